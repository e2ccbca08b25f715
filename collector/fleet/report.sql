-- The numbers of `deepchecks telemetry collector report`, from the fleet's table; tests check that both agree.
-- FINAL reads each uid once, also before ClickHouse has merged duplicates. The day of a uid never changes, so partitions
-- need not be compared: SET do_not_merge_across_partitions_select_final = 1 makes the queries cheaper.
-- Before you publish numbers, suppress small counts: add HAVING installations >= 5.

-- name: total
SELECT sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations FROM deepchecks.rows FINAL;

-- name: event
SELECT
  event AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: day
SELECT
  toString(day) AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY value;

-- name: version
SELECT
  deepchecks_version AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: os
SELECT
  os_name AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: python
SELECT
  python_version AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: runtime
SELECT
  runtime AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: lateness
SELECT
  multiIf(
    dateDiff('day', day, toDate(received)) <= 1, '0-1 days', dateDiff('day', day, toDate(received)) <= 7, '2-7 days',
    dateDiff('day', day, toDate(received)) <= 30, '8-30 days', dateDiff('day', day, toDate(received)) <= 90, '31-90 days',
    'over 90 days'
  ) AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
GROUP BY value
ORDER BY events DESC, value;

-- name: retention
WITH
  seen AS (SELECT DISTINCT installation_id, toMonday(day) AS week FROM deepchecks.rows FINAL),
  firsts AS (SELECT installation_id, min(week) AS cohort FROM seen GROUP BY installation_id)
SELECT toString(cohort) AS value, intDiv(dateDiff('day', cohort, week), 7) AS weeks, count() AS installations
FROM seen INNER JOIN firsts USING (installation_id)
GROUP BY cohort, week
ORDER BY cohort, week;

-- name: daily
SELECT
  toString(day) AS value,
  sum(events) AS events,
  sum(rows) AS rows
FROM deepchecks.daily FINAL
GROUP BY value
ORDER BY value;

-- name: refused
SELECT why AS value, sum(records) AS records FROM deepchecks.refused GROUP BY value ORDER BY value;

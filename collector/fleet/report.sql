-- The numbers of `deepchecks telemetry collector report`, from the fleet's table; tests check that both agree.
-- FINAL reads each uid once, also before ClickHouse has merged duplicates. The day of a uid never changes, so partitions
-- need not be compared: SET do_not_merge_across_partitions_select_final = 1 makes the queries cheaper.
-- grafana.json has the same queries, with the range of the dashboard instead of the last 28 days.
-- Before you publish numbers, round them: replace each number n of installations by intDiv(n, 5) * 5, and leave out the
-- numbers of events and rows.

-- name: total
SELECT sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations FROM deepchecks.rows FINAL;

-- name: week
WITH installations AS (
  SELECT installation_id, groupUniqArray(toMonday(day)) AS weeks FROM deepchecks.rows FINAL GROUP BY installation_id
)
SELECT week, sum(is_active) AS active, sum(is_new) AS new, active - new AS returned, sum(is_lost) AS lost
FROM (
  SELECT arrayJoin(weeks) AS week, 1 AS is_active, week = arrayMin(weeks) AS is_new, 0 AS is_lost FROM installations
  UNION ALL
  SELECT arrayJoin(arrayFilter(next -> NOT has(weeks, next), arrayMap(one -> addWeeks(one, 1), weeks))) AS week, 0, 0, 1
  FROM installations
)
GROUP BY week
HAVING active > 0
ORDER BY week;

-- name: month
WITH installations AS (
  SELECT installation_id, groupUniqArray(toStartOfMonth(day)) AS months FROM deepchecks.rows FINAL GROUP BY installation_id
)
SELECT month, sum(is_active) AS active, sum(is_new) AS new, active - new AS returned, sum(is_lost) AS lost
FROM (
  SELECT arrayJoin(months) AS month, 1 AS is_active, month = arrayMin(months) AS is_new, 0 AS is_lost FROM installations
  UNION ALL
  SELECT arrayJoin(arrayFilter(next -> NOT has(months, next), arrayMap(one -> addMonths(one, 1), months))) AS month, 0, 0, 1
  FROM installations
)
GROUP BY month
HAVING active > 0
ORDER BY month;

-- name: adoption
SELECT
  week, version, count() AS installations,
  round(100 * installations / sum(installations) OVER (PARTITION BY week), 1) AS percent_of_active
FROM (
  SELECT
    installation_id, toMonday(day) AS week, argMax(deepchecks_version, (day, deepchecks_version)) AS version
  FROM deepchecks.rows FINAL
  GROUP BY installation_id, week
)
GROUP BY week, version
ORDER BY week, version;

-- name: retention
WITH
  seen AS (SELECT DISTINCT installation_id, toMonday(day) AS week FROM deepchecks.rows FINAL),
  firsts AS (SELECT installation_id, min(week) AS first_week FROM seen GROUP BY installation_id)
SELECT
  first_week, intDiv(dateDiff('day', first_week, week), 7) AS weeks_later, count() AS installations,
  round(100 * installations / max(installations) OVER (PARTITION BY first_week), 1) AS percent_of_first_week
FROM seen INNER JOIN firsts USING (installation_id)
GROUP BY first_week, week
ORDER BY first_week, week;

-- name: funnel
SELECT
  countIf(did_import) AS imported, countIf(did_import AND did_run) AS imported_and_ran,
  countIf(did_import AND did_run AND did_export) AS imported_ran_and_exported
FROM (
  SELECT
    max(event = 'package-import') AS did_import, max(event IN ('run-check', 'run-suite')) AS did_run,
    max(event IN ('check-to-html', 'suite-to-html', 'suite-to-json', 'suite-to-wandb')) AS did_export
  FROM deepchecks.rows FINAL
  WHERE day > today() - 28
  GROUP BY installation_id
);

-- name: event
SELECT
  event AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: version
SELECT
  deepchecks_version AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: os
SELECT
  os_name AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: python
SELECT
  python_version AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: runtime
SELECT
  runtime AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: lateness
SELECT
  multiIf(
    dateDiff('day', day, toDate(received)) <= 1, '0-1 days', dateDiff('day', day, toDate(received)) <= 7, '2-7 days',
    dateDiff('day', day, toDate(received)) <= 30, '8-30 days', dateDiff('day', day, toDate(received)) <= 90, '31-90 days',
    'over 90 days'
  ) AS value,
  sum(count) AS events, count() AS rows, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY value
ORDER BY installations DESC, value;

-- name: event_by_runtime
SELECT event, runtime, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY event, runtime
ORDER BY event, runtime;

-- name: version_by_python
SELECT deepchecks_version AS version, python_version AS python, uniqExact(installation_id) AS installations
FROM deepchecks.rows FINAL
WHERE day > today() - 28
GROUP BY version, python
ORDER BY version, python;

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

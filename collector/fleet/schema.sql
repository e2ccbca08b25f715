-- The fleet's tables. Run `clickhouse-client --multiquery < schema.sql` once; running it again changes nothing.
--
-- otel_logs (keeps nothing) -> candidates (keeps nothing) -> rows    each uid once
--                                                         -> refused counts of what is not in the catalogue
-- rows -> daily (recomputed every hour by whole days, so that duplicates and late rows are counted correctly)

CREATE DATABASE IF NOT EXISTS deepchecks;

-- The columns that the OpenTelemetry Collector's ClickHouse exporter inserts. It looks for EventName when it starts, and
-- inserts without it if ClickHouse is down then; so otelcol.yaml writes the name into an attribute as well.
-- The engine stores nothing: no body, trace, address or unknown attribute is ever on a disk.
CREATE TABLE IF NOT EXISTS deepchecks.otel_logs (
  Timestamp DateTime64(9),
  TimestampTime DateTime DEFAULT toDateTime(Timestamp),
  TraceId String,
  SpanId String,
  TraceFlags UInt8,
  SeverityText LowCardinality(String),
  SeverityNumber UInt8,
  ServiceName LowCardinality(String),
  Body String,
  ResourceSchemaUrl LowCardinality(String),
  ResourceAttributes Map(LowCardinality(String), String),
  ScopeSchemaUrl LowCardinality(String),
  ScopeName String,
  ScopeVersion LowCardinality(String),
  ScopeAttributes Map(LowCardinality(String), String),
  LogAttributes Map(LowCardinality(String), String),
  EventName String DEFAULT LogAttributes['event.name']
) ENGINE = Null;

CREATE TABLE IF NOT EXISTS deepchecks.candidates (
  uid String,
  installation_id String,
  moment DateTime64(9, 'UTC'),
  event String,
  count Nullable(UInt64),
  deepchecks_version String,
  os_type String,
  os_name String,
  os_version String,
  python_name String,
  python_version String,
  runtime String,
  taken UInt8
) ENGINE = Null;

-- The values are those of the catalogue; tests/collector compares the two.
CREATE MATERIALIZED VIEW IF NOT EXISTS deepchecks.judge TO deepchecks.candidates AS
SELECT
  LogAttributes['log.record.uid'] AS uid,
  ResourceAttributes['app.installation.id'] AS installation_id,
  toTimeZone(Timestamp, 'UTC') AS moment,
  EventName AS event,
  toUInt64OrNull(LogAttributes['deepchecks.event.count']) AS count,
  ResourceAttributes['service.version'] AS deepchecks_version,
  ResourceAttributes['os.type'] AS os_type,
  ResourceAttributes['os.name'] AS os_name,
  ResourceAttributes['os.version'] AS os_version,
  ResourceAttributes['process.runtime.name'] AS python_name,
  ResourceAttributes['process.runtime.version'] AS python_version,
  ResourceAttributes['deepchecks.runtime'] AS runtime,
  ifNull(
    ResourceAttributes['service.name'] = 'deepchecks'
    AND event IN ('deepchecks.package-import', 'deepchecks.run-check', 'deepchecks.run-suite', 'deepchecks.check-to-html', 'deepchecks.suite-to-html', 'deepchecks.suite-to-json', 'deepchecks.suite-to-wandb')
    AND match(uid, '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')
    AND match(installation_id, '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')
    AND count BETWEEN 1 AND 10000000000
    AND moment = toStartOfDay(moment)
    AND moment BETWEEN now('UTC') - INTERVAL 3654 DAY AND now('UTC') + INTERVAL 1 DAY
    AND match(deepchecks_version, '^(\\d{1,4}(\\.\\d{1,5}){0,3}((a|b|rc)\\d{1,3})?(\\.post\\d{1,3})?(\\.dev\\d{1,6})?|unknown)$')
    AND match(os_type, '^(linux|darwin|windows|freebsd|other)$')
    AND match(os_name, '^(almalinux|alpine|amzn|arch|azurelinux|centos|chromeos|debian|endeavouros|fedora|freebsd|gentoo|kali|linuxmint|macos|manjaro|mariner|nixos|ol|opensuse\\-leap|opensuse\\-tumbleweed|photon|pop|raspbian|rhel|rocky|sles|ubuntu|void|windows|wolfi|zorin|other)$')
    AND match(os_version, '^(\\d{1,5}(\\.\\d{1,3})?|unknown)$')
    AND match(python_name, '^(cpython|pypy|graalpy|other)$')
    AND match(python_version, '^(\\d{1,2}\\.\\d{1,3})$')
    AND match(runtime, '^(colab|databricks|kaggle|sagemaker|ci|jupyter|vscode|test|kubernetes|docker|podman|container|wsl|ipython|repl|script|other)$'),
    0
  ) AS taken
FROM deepchecks.otel_logs;

-- Each uid once: the first row is kept, because `precedence` decreases over time. docs/fleet.md has the other engines.
-- Partitioned by year, because a batch of late rows can span ten years, and an insert may use at most 100 partitions.
CREATE TABLE IF NOT EXISTS deepchecks.rows (
  day Date,
  uid UUID,
  event LowCardinality(String),
  count UInt64,
  installation_id UUID,
  deepchecks_version LowCardinality(String),
  os_type LowCardinality(String),
  os_name LowCardinality(String),
  os_version LowCardinality(String),
  python_name LowCardinality(String),
  python_version LowCardinality(String),
  runtime LowCardinality(String),
  received DateTime('UTC') DEFAULT now('UTC'),
  precedence UInt32 DEFAULT 4294967295 - toUnixTimestamp(received)
) ENGINE = ReplacingMergeTree(precedence)
PARTITION BY toYear(day)
ORDER BY (day, uid);

CREATE MATERIALIZED VIEW IF NOT EXISTS deepchecks.take TO deepchecks.rows AS
SELECT
  toDate(moment, 'UTC') AS day,
  toUUID(uid) AS uid,
  substring(event, 12) AS event,
  assumeNotNull(count) AS count,
  toUUID(installation_id) AS installation_id,
  deepchecks_version, os_type, os_name, os_version, python_name, python_version, runtime
FROM deepchecks.candidates
WHERE taken;

-- The number of refused records, without any of their content.
CREATE TABLE IF NOT EXISTS deepchecks.refused (
  received_day Date,
  why LowCardinality(String),
  records UInt64
) ENGINE = SummingMergeTree
ORDER BY (received_day, why);

CREATE MATERIALIZED VIEW IF NOT EXISTS deepchecks.refuse TO deepchecks.refused AS
SELECT
  toDate(now('UTC')) AS received_day,
  if(event = '', 'no event name', 'not in the catalogue') AS why,
  count() AS records
FROM deepchecks.candidates
WHERE NOT taken
GROUP BY received_day, why;

-- Whole days, counted again after new rows for them. A view that adds up arriving rows would count a resent batch twice;
-- this one reads each uid once. Rows are never removed, so the newest count of a group is the correct one.
CREATE TABLE IF NOT EXISTS deepchecks.daily (
  day Date,
  event LowCardinality(String),
  deepchecks_version LowCardinality(String),
  os_name LowCardinality(String),
  python_version LowCardinality(String),
  runtime LowCardinality(String),
  events UInt64,
  rows UInt64,
  installations UInt64,
  computed DateTime('UTC')
) ENGINE = ReplacingMergeTree(computed)
ORDER BY (day, event, deepchecks_version, os_name, python_version, runtime);

CREATE MATERIALIZED VIEW IF NOT EXISTS deepchecks.count_days REFRESH EVERY 1 HOUR APPEND TO deepchecks.daily AS
SELECT
  day, event, deepchecks_version, os_name, python_version, runtime,
  sum(count) AS events,
  count() AS rows,
  uniqExact(installation_id) AS installations,
  now('UTC') AS computed
FROM deepchecks.rows FINAL
WHERE day IN (
  -- Ten minutes of overlap, because a row is dated when its insert begins, and visible when it ends. They are added on
  -- the left side, because max(computed) of an empty table is 1970, and ten minutes less would wrap around to 2106.
  SELECT day FROM deepchecks.rows WHERE received + INTERVAL 10 MINUTE >= (SELECT max(computed) FROM deepchecks.daily)
)
GROUP BY day, event, deepchecks_version, os_name, python_version, runtime;

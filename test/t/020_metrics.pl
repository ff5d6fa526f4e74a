# Metrics through what SQL tests cannot show: a dump and its restore, a crash, prepared transactions, a storm of writers and
# refreshes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_bounded_store('metrics', conf => 'max_prepared_transactions = 5');

# Buckets in which a view and a recount of the raw readings differ, of the own table, an attached one and events together.
my $differences = q{
	WITH raw AS (
		SELECT user_id, device_type, metric_type, value, "timestamp" AS at FROM biometric.biometric_events
		UNION ALL SELECT who::text, NULL, what, v::float8, at FROM readings
		UNION ALL SELECT substr(stream_id, 6), NULL, 'pulse', (event_data->>'pulse')::float8, created_at FROM events.event_store WHERE event_type = 'measured'),
	r AS (SELECT (at AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, count(*) AS n, avg(value) AS a, min(value) AS l, max(value) AS g, stddev(value) AS d
	      FROM raw GROUP BY 1, 2, 3, 4)
	SELECT * FROM analytics.user_metrics_daily v
	FULL JOIN r ON v.day = r.day AND v.user_id = r.user_id AND v.device_type IS NOT DISTINCT FROM r.device_type AND v.metric_type = r.metric_type
	WHERE v.day IS NULL OR r.day IS NULL OR v.reading_count <> n OR abs(avg_value - a) > 1e-9 * abs(a) OR min_value <> l OR max_value <> g
	   OR abs(stddev_value - d) > 1e-9 * d + 1e-6 OR (stddev_value IS NULL) <> (d IS NULL)};

sub check_metrics
{
	my ($server, $title, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($server->safe_psql($database // 'postgres', "$differences LIMIT 3"), '', "$title: the metrics are a recount");
	return;
}

$node->safe_psql(
	'postgres', q{
	CREATE TABLE readings (who integer, what text, v numeric, at timestamptz) PARTITION BY RANGE (at);
	CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
	CREATE TABLE readings_2 PARTITION OF readings FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
	INSERT INTO readings SELECT n % 3, 'weight', 70 + n % 7, '2026-01-20'::timestamptz + n * interval '1 hour' FROM generate_series(1, 500) n;
	SELECT analytics.attach_source('readings', 'who', NULL, 'what', 'v', 'at'), analytics.attach_events('measured', '{"pulse": "pulse"}');
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
	SELECT 'u' || n % 5, 'watch', 'heart_rate', 60 + n % 50, '2026-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 5000) n;
	SELECT count(*) FROM (SELECT events.append_event('user:' || n % 3, 'measured', jsonb_build_object('pulse', 50 + n)) FROM generate_series(1, 100) n) e;
	SELECT analytics.refresh_user_metrics();
	UPDATE biometric.biometric_events SET value = value + 1 WHERE value > 100;
	DELETE FROM readings WHERE v = 76;
	INSERT INTO readings_2 VALUES (9, 'weight', 90, '2026-02-02');
	SELECT events.append_event('user:1', 'measured', '{"pulse": 41.5}');
});
check_metrics($node, 'not all merged');

# ---- dump and restore ---------------------------------------------------------------------------------------------------

my $dumps = $node->basedir;
$node->command_ok([ 'pg_dump', '-Fp', '-f', "$dumps/plain.sql", 'postgres' ], 'a plain dump');
$node->command_ok([ 'pg_dump', '-Fd', '-j', 2, '-f', "$dumps/directory", 'postgres' ], 'a dump by two processes');
$node->safe_psql('postgres', 'CREATE DATABASE plain; CREATE DATABASE parallel');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', "$dumps/plain.sql" ], 'the plain dump restores');
$node->command_ok([ 'pg_restore', '-e', '-j', 2, '-d', 'parallel', "$dumps/directory" ], 'the other restores, by two processes');
# Schema and rows apart: here the triggers are there before the rows that they count.
$node->command_ok([ 'pg_dump', '-s', '-f', "$dumps/schema.sql", 'postgres' ], 'a dump of the schema');
$node->command_ok([ 'pg_dump', '-a', '-f', "$dumps/rows.sql", 'postgres' ], 'a dump of the rows');
$node->safe_psql('postgres', 'CREATE DATABASE apart');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'apart', '-f', "$dumps/$_.sql" ], "the $_ restored") for ('schema', 'rows');
for my $database ('plain', 'parallel', 'apart')
{
	check_metrics($node, "$database, as restored", $database);
	$node->safe_psql($database, 'SELECT analytics.refresh_user_metrics()');
	check_metrics($node, "$database, merged", $database);
	$node->safe_psql(
		$database, q{
		INSERT INTO readings VALUES (1, 'weight', 12, '2026-01-21'), (77, 'weight', 12, '2026-01-21');
		DELETE FROM biometric.biometric_events WHERE value < 70;
		SELECT events.append_event('user:1', 'measured', '{"pulse": 200}')});
	check_metrics($node, "$database, written", $database);
	$node->safe_psql($database, 'SELECT analytics.refresh_user_metrics()');
	check_metrics($node, "$database, written and merged", $database);
	is($node->safe_psql($database, 'TRUNCATE biometric.biometric_events, readings; SELECT analytics.refresh_user_metrics() > 0, count(*) FROM analytics.user_metrics_5min WHERE metric_type <> \'pulse\''),
		't|0', "$database: what is truncated is gone");
}

# ---- prepared transactions ------------------------------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	BEGIN; INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('prepared', 'm', 1, '2026-01-01');
	SAVEPOINT s; DELETE FROM biometric.biometric_events WHERE user_id = 'u1'; ROLLBACK TO s; DELETE FROM readings WHERE who = 2; PREPARE TRANSACTION 'p1';
	BEGIN; UPDATE biometric.biometric_events SET value = 7 WHERE user_id = 'u4'; PREPARE TRANSACTION 'p2';
	SELECT analytics.refresh_user_metrics()});
check_metrics($node, 'prepared');
$node->restart;
$node->safe_psql('postgres', "COMMIT PREPARED 'p1'");
check_metrics($node, 'one is committed');
$node->safe_psql('postgres', "SELECT analytics.refresh_user_metrics(); ROLLBACK PREPARED 'p2'; SELECT analytics.refresh_user_metrics()");
check_metrics($node, 'the other is rolled back');
is($node->safe_psql('postgres', "SELECT reading_count FROM analytics.user_metrics_daily WHERE user_id = 'prepared'"), 1, 'it is counted once');

# ---- writers and refreshes at once, and a crash among them ------------------------------------------------------------------

my $write = q{
\set u random(1, 20)
\set m random(1, 600)
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp") VALUES ('s' || :u, 'ring', 'hrv', :m, '2026-01-02'::timestamptz + :m * interval '1 minute');
};
my $change = q{
\set u random(1, 20)
BEGIN;
UPDATE biometric.biometric_events SET value = value + 1 WHERE ctid = (SELECT ctid FROM biometric.biometric_events WHERE user_id = 's' || :u LIMIT 1 FOR UPDATE SKIP LOCKED);
DELETE FROM biometric.biometric_events WHERE ctid = (SELECT ctid FROM biometric.biometric_events WHERE user_id = 's' || :u ORDER BY value DESC LIMIT 1 FOR UPDATE SKIP LOCKED);
INSERT INTO readings VALUES (:u, 'weight', :u, '2026-01-05');
END;
};
my $many = q{
\set n random(200, 900)
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
SELECT 's' || n % 40, 'ring', 'm' || n % 7, n, '2026-01-02'::timestamptz + n * interval '3 minutes' FROM generate_series(1, :n) n;
DELETE FROM biometric.biometric_events WHERE user_id LIKE 's%' AND metric_type = 'm' || :n % 7 AND value > :n - 300;
};
my $merge = "SELECT analytics.refresh_user_metrics();\n";
my $vacuum = "VACUUM auren.rollup_daily, auren.rollup_hourly, auren.rollup_5min, auren.deltas, auren.delta_packs;\n";
bench($node, 'storm', [ $write, $write, $change, $merge ], clients => 8, count => 300);
check_metrics($node, 'behind the storm of single rows');
bench($node, 'storm of many rows', [ $many, $change, $merge, $vacuum ], clients => 6, count => 60);
check_metrics($node, 'behind the storm');
$node->safe_psql('postgres', 'SELECT analytics.refresh_user_metrics()');
check_metrics($node, 'behind the storm, merged');

# the same, killed in the middle
my $directory = PostgreSQL::Test::Utils::tempdir();
my @files;
for my $script ($write, $change, $many, $merge)
{
	my $file = "$directory/" . scalar(@files) . '.sql';
	append_to_file($file, $script);
	push @files, '-f', $file;
}
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM readings');
my $storm = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', 6, '-t', 10000000, @files, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
wait_for('changes of the storm', sub { $node->safe_psql('postgres', 'SELECT count(*) FROM readings') > $before + 300 });
$node->kill9;
IPC::Run::finish($storm);
restart_after_kill($node);
$node->safe_psql('postgres', "SELECT count(*) FROM biometric.biometric_events");
check_metrics($node, 'behind the crash');
$node->safe_psql('postgres', 'SELECT analytics.refresh_user_metrics()');
check_metrics($node, 'behind the crash, merged');
indexes_are_sound($node, 'postgres', 'behind the crash');

# ---- a large source made anew, among the dead rows of the last times --------------------------------------------------------------------

# What a look-up keeps for a dead entry outlives the query that reads the source in parts.
$node->safe_psql('postgres', q{ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf(); TRUNCATE biometric.biometric_events});
$node->safe_psql(
	'postgres', q{
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
	SELECT 'u' || n % 50, 'd', 'rate', n % 90, '2026-01-01'::timestamptz + n * interval '7 minutes' FROM generate_series(1, 520000) n});
$node->safe_psql('postgres', 'SELECT analytics.rebuild_source(1); SELECT analytics.refresh_user_metrics()') for 1 .. 3;
check_metrics($node, 'made anew three times');

store_is_sound($node, 'postgres', 'the store of the readings');
$node->stop;
done_testing();

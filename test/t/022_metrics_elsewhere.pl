# Metrics where the writing is done by somebody else: on a standby, at a subscriber of logical replication, under a snapshot that was
# held for long, and while partitions are detached without blocking.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# wal_consistency_checking: the standby compares every page that the refresh and the triggers wrote past the executor
my $primary = new_bounded_store('metrics_primary', init => { allows_streaming => 'logical' }, conf => "wal_consistency_checking = 'all'\nwal_keep_size = 2GB");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('metrics_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");
$standby->start;
my $subscriber = new_bounded_store('metrics_subscriber');

# Buckets in which a view and a recount of the same server's readings differ.
sub differences
{
	my ($view, $column, $bucket) = @_;
	return qq{
	WITH r AS (SELECT $bucket AS b, user_id, device_type, metric_type, count(*) AS n, avg(value) AS a, min(value) AS l, max(value) AS g, stddev(value) AS d
	           FROM biometric.biometric_events GROUP BY 1, 2, 3, 4)
	SELECT * FROM analytics.$view v
	FULL JOIN r ON v.$column = b AND v.user_id = r.user_id AND v.device_type = r.device_type AND v.metric_type = r.metric_type
	WHERE v.reading_count IS NULL OR n IS NULL OR v.reading_count <> n OR abs(avg_value - a) > 1e-9 * abs(a) OR min_value <> l OR max_value <> g
	   OR abs(stddev_value - d) > 1e-9 * d + 1e-6 OR (stddev_value IS NULL) <> (d IS NULL) LIMIT 3};
}
my $days = differences('user_metrics_daily', 'day', q{("timestamp" AT TIME ZONE 'UTC')::date});
my $hours = differences('user_metrics_hourly', 'bucket', q{date_trunc('hour', "timestamp")});
my $fives = differences('user_metrics_5min', 'bucket', q{date_bin('5 minutes', "timestamp", '2000-01-01 00:00Z')});

sub check_metrics
{
	my ($server, $title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($server->safe_psql('postgres', $days), '', "$title: days");
	is($server->safe_psql('postgres', $hours), '', "$title: hours");
	is($server->safe_psql('postgres', $fives), '', "$title: five minutes");
	return;
}

my $writes = q{
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
	SELECT 'u' || n % 50, 'd' || n % 2, 'm' || n % 3, n % 90, '2026-01-01'::timestamptz + n * interval '41 seconds' FROM generate_series(1, 3000) n;
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp") VALUES ('one', 'd', 'm', 1, '2026-01-01'), ('one', 'd', 'm', 2, '2026-01-02');
	UPDATE biometric.biometric_events SET value = value + 0.5 WHERE user_id = 'u7';
	DELETE FROM biometric.biometric_events WHERE user_id = 'u8' AND value > 40;
	BEGIN; DELETE FROM biometric.biometric_events; ROLLBACK;
};

# ---- a subscriber, with what was there and what comes ------------------------------------------------------------------------

$primary->safe_psql('postgres', $writes);
$primary->safe_psql(
	'postgres', q{
	CREATE PUBLICATION readings_out FOR TABLE biometric.biometric_events});
my $connection = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION readings_in CONNECTION '$connection' PUBLICATION readings_out");
$subscriber->wait_for_subscription_sync($primary, 'readings_in');
is($subscriber->safe_psql('postgres', 'SELECT count(*) > 2900 FROM biometric.biometric_events'), 't', 'the subscriber has the readings');
check_metrics($subscriber, 'at the subscriber, copied');
$primary->safe_psql('postgres', $writes);
$primary->wait_for_catchup('readings_in');
check_metrics($subscriber, 'at the subscriber, applied');
$subscriber->safe_psql('postgres', 'SELECT analytics.refresh_user_metrics()');
check_metrics($subscriber, 'at the subscriber, merged there');
$primary->safe_psql('postgres', 'TRUNCATE biometric.biometric_events');
$primary->wait_for_catchup('readings_in');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM biometric.biometric_events'), 0, 'TRUNCATE comes too');
check_metrics($subscriber, 'at the subscriber, truncated');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION readings_in DISABLE');
$primary->safe_psql('postgres', 'DROP PUBLICATION readings_out');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION readings_in SET (slot_name = NONE); DROP SUBSCRIPTION readings_in');
$subscriber->stop;

# ---- a standby -----------------------------------------------------------------------------------------------------------------

$primary->safe_psql('postgres', $writes);
$primary->wait_for_catchup($standby);
check_metrics($standby, 'on the standby, nothing merged');
for my $round (1 .. 3)
{
	$primary->safe_psql('postgres', "SELECT analytics.refresh_user_metrics(); $writes");
	$primary->safe_psql('postgres', 'VACUUM auren.rollup_daily, auren.deltas, auren.delta_packs');
	$primary->wait_for_catchup($standby);
	check_metrics($standby, "on the standby, round $round");
}
like($standby->safe_psql('postgres', q{SELECT (SELECT sum(reading_count) FROM analytics.metric_series('u1', 'm1', '2026-01-01', '2026-01-03')),
	(SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'u1' AND metric_type = 'm1')}), qr/^([1-9]\d+)\|\1$/, 'a series on the standby');
is($standby->safe_psql('postgres', 'SELECT pending_changes > 3000 FROM analytics.refresh_status'), 't', 'what is pending, on the standby');
my ($status, $out, $err) = $standby->psql('postgres', 'SELECT analytics.refresh_user_metrics()', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/25006/, 'no refresh on the standby');

# ---- a snapshot that is held --------------------------------------------------------------------------------------------------

my $holder = $primary->background_psql('postgres', on_error_stop => 0);
my $held = $holder->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*), sum(value) FROM biometric.biometric_events});
for my $round (1 .. 4)
{
	$primary->safe_psql('postgres', "$writes SELECT analytics.refresh_user_metrics()");
	$primary->safe_psql('postgres', 'VACUUM auren.rollup_daily, auren.rollup_hourly, auren.rollup_5min, auren.deltas, auren.delta_packs');
	is($holder->query_safe($days), '', "the held snapshot has its own days, round $round");
	is($holder->query_safe($fives), '', "and its own five minutes, round $round");
	check_metrics($primary, "beside the held snapshot, round $round");
}
is($holder->query_safe('SELECT count(*), sum(value) FROM biometric.biometric_events'), $held, 'it was the same snapshot all the time');
$holder->query_safe('COMMIT');
is($holder->query_safe($days), '', 'and it goes on from there');

# ---- partitions that are detached without blocking ----------------------------------------------------------------------------------

$primary->safe_psql(
	'postgres', q{
	CREATE TABLE steps (who text, n integer, at timestamptz) PARTITION BY RANGE (at);
	CREATE TABLE steps_1 PARTITION OF steps FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
	CREATE TABLE steps_2 PARTITION OF steps FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
	ALTER TABLE steps ADD COLUMN what text DEFAULT 'steps';
	SELECT analytics.attach_source('steps', 'who', NULL, 'what', 'n', 'at'), analytics.refresh_user_metrics();
	INSERT INTO steps SELECT 'w' || n % 9, n, '2026-01-20'::timestamptz + n * interval '1 hour' FROM generate_series(1, 800) n});
my $steps = q{SELECT (SELECT sum(reading_count) FROM analytics.user_metrics_daily WHERE metric_type = 'steps'), (SELECT count(*) FROM steps)};
like($primary->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'all partitions are counted');
$primary->safe_psql('postgres', 'ALTER TABLE steps DETACH PARTITION steps_1 CONCURRENTLY');
like($primary->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'one was detached without blocking');
$primary->safe_psql('postgres', q{INSERT INTO steps_1 VALUES ('w1', 5, '2026-01-05')});
like($primary->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'what is written to it is counted no more');
$primary->safe_psql('postgres', 'SELECT analytics.refresh_user_metrics()');
like($primary->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'merged');
$primary->safe_psql('postgres', q{ALTER TABLE steps ATTACH PARTITION steps_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')});
like($primary->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'and attached again');
$primary->safe_psql('postgres', q{INSERT INTO steps VALUES ('w1', 5, '2026-01-05'); SELECT analytics.refresh_user_metrics()});
like($primary->safe_psql('postgres', $steps), qr/^801\|801|802\|802$/, 'with all of its rows');
$primary->wait_for_catchup($standby);
like($standby->safe_psql('postgres', $steps), qr/^(\d+)\|\1$/, 'on the standby too');

$standby->stop;
$primary->stop;
done_testing();

# analytics.schedule with the real pg_cron: its jobs refresh the metrics. scripts/check installs the package.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($library) = (`"$ENV{PG_CONFIG}" --pkglibdir` =~ /(.*)/);
if (!-e "$library/pg_cron.so")
{
	die "pg_cron is not installed, and CI must have it\n" if $ENV{CI};
	plan skip_all => 'pg_cron is not installed for this PostgreSQL';
}

my $keys = PostgreSQL::Test::Utils::tempdir() . '/seal_keys';
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys or die $!;
my $node = PostgreSQL::Test::Cluster->new('schedule');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
start_bounded($node, "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\nauren_events.seal_key_file = '$keys'\ncron.host = '" . $node->host . "'\n");
$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');

my ($code, $out, $err) = $node->psql('postgres', 'SELECT * FROM analytics.schedule()');
isnt($code, 0, 'without the extension there is an error');
like($err, qr/extension pg_cron is not in this database.*CREATE EXTENSION pg_cron/s, 'that says what to do');

$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
my $jobs = q{SELECT message FROM events.verify_installation() WHERE "check" = 'jobs' AND NOT ok};
is($node->safe_psql('postgres', $jobs), 'no job calls analytics.refresh_user_metrics; no job calls events.create_monthly_partitions', 'verify_installation misses the jobs');
is( $node->safe_psql('postgres', 'SELECT * FROM analytics.schedule()'),
	"auren_refresh|0 * * * *|SELECT analytics.refresh_user_metrics()\nauren_months|15 3 * * *|SELECT events.create_monthly_partitions()\nauren_retention|30 3 * * *|SELECT analytics.apply_retention()",
	'three jobs');
is($node->safe_psql('postgres', $jobs), '', 'it does not miss them any more');
$node->safe_psql('postgres', q{UPDATE cron.job SET active = false WHERE jobname = 'auren_months'});
is($node->safe_psql('postgres', $jobs), 'job auren_months is not active', 'it tells of one that is switched off');
$node->safe_psql('postgres', q{UPDATE cron.job SET active = true WHERE jobname = 'auren_months';
	INSERT INTO cron.job_run_details (jobid, runid, database, username, command, status, return_message, start_time)
	SELECT jobid, -1, database, username, command, 'failed', 'out of luck', '2026-01-01 03:15+00' FROM cron.job WHERE jobname = 'auren_months'});
is($node->safe_psql('postgres', $jobs), 'the last run of job auren_months failed at 2026-01-01 03:15:00+00: out of luck', 'and of one whose last run failed');
$node->safe_psql('postgres', 'DELETE FROM cron.job_run_details');
$node->safe_psql('postgres', "SELECT * FROM analytics.schedule('* * * * *', '* * * * *', NULL)");
is($node->safe_psql('postgres', 'SELECT jobname, schedule FROM cron.job ORDER BY 1'), "auren_months|* * * * *\nauren_refresh|* * * * *",
	'a second call changes the times, and NULL takes a job away');

# Seals, verifications and the retention of events.
is( $node->safe_psql('postgres', 'SELECT * FROM events.schedule_maintenance()'),
	"auren_seal|0 2 * * *|SELECT count(*) FROM events.seal()\nauren_verify|30 2 * * *|SELECT count(*) FROM events.verify(p_since_seal => "
	  . "(SELECT max(last_seal) FROM events.verifications WHERE findings = 0 AND from_month IS NULL AND to_month IS NULL))\n"
	  . 'auren_event_retention|0 4 * * *|CALL events.apply_event_retention()',
	'three more');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
$node->safe_psql('postgres', q{
	SELECT events.create_monthly_partitions(0), t.old_month('2024-01-01'), t.old_event('old:1', 'noted', '{"n": 1}', '2024-01-05');
	SELECT events.register_seal_key(), events.set_event_retention('1 year')});
$node->safe_psql('postgres', "SELECT * FROM events.schedule_maintenance('* * * * *', '* * * * *', '* * * * *')");
# Statements of a plan are jobs of their own, which run outside of a transaction block.
my $over = $node->safe_psql('postgres', q{SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '3 months')::date});
$node->safe_psql('postgres', qq{SELECT t.old_month('$over'), t.old_event('over:1', 'noted', '{"n": 1}', '$over')});
is( $node->safe_psql('postgres', qq{SELECT count(cron.schedule('settle_' || step, '* * * * *', statement)) FROM (
		SELECT min(step) AS step, (array_agg(statement ORDER BY step))[1] AS statement FROM events.maintenance_plan()
		WHERE month = '$over' AND statement ~ '^(REINDEX|VACUUM)' GROUP BY left(statement, 6)) p}),
	2, 'statements of the plan of a month, as jobs');
$node->safe_psql('postgres', q{
	INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES ('u', 'm', 1);
	SELECT count(*) FROM events.create_monthly_partitions(0)});
is($node->safe_psql('postgres', 'SELECT pending_changes FROM analytics.refresh_status'), 1, 'a change is pending');
wait_for('the job merged it', sub { $node->safe_psql('postgres', 'SELECT pending_changes FROM analytics.refresh_status') eq '0' });
wait_for('the other made the months', sub { $node->safe_psql('postgres', q{SELECT count(*) >= 4 FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass}) eq 't' });
wait_for('an event was sealed', sub { $node->safe_psql('postgres', 'SELECT sum(events) FROM events.seals') eq '2' });
wait_for('that was verified', sub { $node->safe_psql('postgres', 'SELECT count(*) > 0 FROM events.verifications WHERE findings = 0 AND last_seal > 0 AND seals > 0') eq 't' });
wait_for('its month was dropped', sub { $node->safe_psql('postgres', q{SELECT state FROM events.months WHERE month = '2024-01-01'}) eq 'dropped' });
is($node->safe_psql('postgres', q{SELECT events.get_stream_state('old:1')}), '{"noted": {"n": 1}}', 'and left the state');
wait_for('an index and the table of the other month were settled', sub {
	$node->safe_psql('postgres', q{SELECT count(DISTINCT left(command, 6)) FROM cron.job_run_details WHERE status = 'succeeded' AND command ~ '^(REINDEX|VACUUM)'}) eq '2' });
# Both statements of the plan run in the same minute, so one of them may end in a deadlock; doc/operations.md gives each a time of its own.
is( $node->safe_psql('postgres', q{
		SELECT string_agg(command || ': ' || return_message, E'\n') FROM cron.job_run_details
		WHERE status NOT IN ('succeeded', 'running', 'starting') AND return_message NOT LIKE '%unsealed:2024-01%'
			AND NOT (command ~ '^(REINDEX|VACUUM)' AND return_message LIKE '%deadlock detected%')}),
	'', 'no run failed, but for the retention while the month was not sealed');
is($node->safe_psql('postgres', 'SELECT sum(reading_count) FROM analytics.user_metrics_daily'), 1, 'and the reading is counted once');

$node->stop;
done_testing();

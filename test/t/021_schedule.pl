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

my $node = PostgreSQL::Test::Cluster->new('schedule');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
start_bounded($node, "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\ncron.host = '" . $node->host . "'\n");
$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');

my ($code, $out, $err) = $node->psql('postgres', 'SELECT * FROM analytics.schedule()');
isnt($code, 0, 'without the extension there is an error');
like($err, qr/extension pg_cron is not in this database.*CREATE EXTENSION pg_cron/s, 'that says what to do');

$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
is( $node->safe_psql('postgres', 'SELECT * FROM analytics.schedule()'),
	"auren_refresh|0 * * * *|SELECT analytics.refresh_user_metrics()\nauren_months|15 3 * * *|SELECT events.create_monthly_partitions()\nauren_retention|30 3 * * *|SELECT analytics.apply_retention()",
	'three jobs');
$node->safe_psql('postgres', "SELECT * FROM analytics.schedule('* * * * *', '* * * * *', NULL)");
is($node->safe_psql('postgres', 'SELECT jobname, schedule FROM cron.job ORDER BY 1'), "auren_months|* * * * *\nauren_refresh|* * * * *",
	'a second call changes the times, and NULL takes a job away');

$node->safe_psql('postgres', q{
	INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES ('u', 'm', 1);
	SELECT count(*) FROM events.create_monthly_partitions(0)});
is($node->safe_psql('postgres', 'SELECT pending_changes FROM analytics.refresh_status'), 1, 'a change is pending');
wait_for('the job merged it', sub { $node->safe_psql('postgres', 'SELECT pending_changes FROM analytics.refresh_status') eq '0' });
wait_for('the other made the months', sub { $node->safe_psql('postgres', q{SELECT count(*) >= 4 FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass}) eq 't' });
is( $node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE status NOT IN ('succeeded', 'running', 'starting')) FROM cron.job_run_details}),
	0, 'no run failed');
is($node->safe_psql('postgres', 'SELECT sum(reading_count) FROM analytics.user_metrics_daily'), 1, 'and the reading is counted once');

$node->stop;
done_testing();

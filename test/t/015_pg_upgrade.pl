# pg_upgrade takes a store over into a new cluster: the same events, states, metrics, subscriptions, keys and rights, with what a DBA
# added to the tables, and it goes on. Old and new cluster are of one major here, since more is not installed everywhere: what
# pg_upgrade does to an extension is the same between two majors.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_store('old');
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;

$old->safe_psql(
	'postgres', q{
	CREATE ROLE app_writer LOGIN; CREATE ROLE of_one LOGIN;
	SELECT events.grant_access('app_writer', 'writer'), events.grant_access('app_writer', 'reader');
	SELECT events.bind_tenant('of_one', 'one'), events.grant_access('of_one', 'reader');
	SELECT events.create_monthly_partitions(4);
	SELECT events.set_reducer('counted', 'sum', '{"into": "total"}');
	SELECT analytics.attach_events('counted', '{"n": "steps"}');
	SELECT events.append_event('user:' || n % 7, CASE n % 3 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n))
	FROM generate_series(1, 500) n;
	SELECT events.append_event('user:1', 'supplied', '{"exact": 0.10}', p_event_id := '11111111-1111-4111-8111-111111111111');
	SELECT events.take_snapshot('user:1');
	SELECT events.append_event('user:closed', 'last', '{}'), events.close_stream('user:closed', 'left us');
	SELECT events.create_subscription('taken', p_shares => 2);
	SELECT count(*) FROM events.fetch('taken', 'c', 20);
	SELECT events.park('taken', 'c', 7, 'aside'), events.acknowledge('taken', 'c', 15);
	SELECT events.add_notification_rule('seen', 'told');
	INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp)
	SELECT 'u' || n % 3, 'hr', n, '2026-01-01 00:00Z'::timestamptz + n * interval '7 minutes' FROM generate_series(1, 300) n;
	CREATE TABLE vitals (person integer, kind text, amount numeric, taken_at timestamptz) PARTITION BY RANGE (taken_at);
	CREATE TABLE vitals_2026 PARTITION OF vitals FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	SELECT analytics.attach_source('vitals', 'person', NULL, 'kind', 'amount', 'taken_at');
	INSERT INTO vitals SELECT n % 2, 'weight', 80 + n, '2026-11-20 08:00Z' FROM generate_series(1, 20) n;
	SELECT analytics.refresh_user_metrics();
	INSERT INTO vitals VALUES (1, 'weight', 70, '2026-11-21 08:00Z');
	CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER audited AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION audited();
	ALTER TABLE biometric.biometric_events ADD CONSTRAINT sane CHECK (value < 10000);
	CREATE INDEX of_value ON biometric.biometric_events (value);
	ALTER TABLE biometric.biometric_events ENABLE ROW LEVEL SECURITY;
	CREATE POLICY seen ON biometric.biometric_events FOR SELECT USING (user_id <> 'u0');
	SET app.tenant_id = 'one';
	SELECT events.append_event('user:1', 'of_one', '{"tenant": "one"}');
});

my @same = (
	'events' => q{SELECT e::text FROM events.event_store e ORDER BY global_position},
	'states' => q{SELECT stream_id, events.get_stream_state(stream_id) FROM auren.stream_rows WHERE tenant_id = 'default' ORDER BY 1},
	'streams' => q{SELECT s::text FROM events.streams s ORDER BY stream_id},
	'snapshots' => q{SELECT stream_id, stream_version, usable FROM events.snapshots ORDER BY 1, 2},
	'metrics' => q{SELECT m::text FROM analytics.user_metrics_daily m ORDER BY 1},
	'subscriptions' => q{SELECT name, checkpoint, head, lag_events, parked FROM events.subscriptions ORDER BY 1},
	'parked events' => q{SELECT name, global_position, reason FROM events.parked ORDER BY 1, 2},
	'notification rules' => q{SELECT r::text FROM events.notification_rules r ORDER BY 1},
	'bindings' => q{SELECT b::text FROM events.tenant_bindings b ORDER BY 1},
	'what was added' => q{SELECT o::text FROM events.added_objects o ORDER BY relation, kind, name},
	'what hangs on the tables' => q{SELECT o::text FROM auren.table_objects o ORDER BY relation, kind, name},
	'members of the extension' => q{
		SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events') ORDER BY 1},
	'what a dump takes along' => q{
		SELECT c::regclass, w FROM pg_extension, unnest(extconfig, extcondition) AS u(c, w) WHERE extname = 'auren_events' ORDER BY c::regclass::text},
	'sources' => q{SELECT s::text FROM analytics.sources s ORDER BY 1},
	'rights' => q{
		SELECT p.oid::regprocedure || ' ' || coalesce(p.proacl::text, '') FROM pg_proc p
		WHERE pronamespace::regnamespace::text IN ('events', 'analytics', 'encrypted') ORDER BY 1},
	'triggers' => q{
		SELECT tgrelid::regclass, tgname, tgenabled, tgtype FROM pg_trigger
		WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, tgname},
	'event triggers' => q{SELECT evtname, evtevent, evtenabled, evttags FROM pg_event_trigger ORDER BY 1});
my %before;
my @queries = @same;
while (my ($what, $query) = splice @queries, 0, 2)
{
	$before{$what} = $old->safe_psql('postgres', $query);
}
my $epoch = $old->safe_psql('postgres', 'SELECT events.store_epoch()');
my $last = $old->safe_psql('postgres', 'SELECT last_value FROM auren.global_position_seq');
$old->stop;

my $bin = $old->config_data('--bindir');
chdir $new->basedir or die;
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'pg_upgrade');
$new->start;

@queries = @same;
while (my ($what, $query) = splice @queries, 0, 2)
{
	is($new->safe_psql('postgres', $query), $before{$what}, "same $what");
}
isnt($new->safe_psql('postgres', 'SELECT events.store_epoch()'), $epoch, 'the epoch is another one');

is( $new->safe_psql('postgres', q{SELECT stream_version, global_position FROM events.append_events('{user:1}', '{seen}', ARRAY['{}']::jsonb[], p_expected_versions := '{73}')}),
	'74|' . ($last + 1), 'versions and positions go on');
is( $new->safe_psql('postgres', q{SELECT events.append_event('user:1', 'supplied', '{"exact": 0.10}', p_event_id := '11111111-1111-4111-8111-111111111111')}),
	'11111111-1111-4111-8111-111111111111', 'an id of before is known');
is($new->safe_psql('postgres', q{SELECT min(global_position) FROM events.fetch('taken', 'c', 1000) f WHERE f.global_position > 15}), 16, 'a subscription goes on after its checkpoint');
fails_with($new, 'postgres', q{SELECT events.append_event('user:closed', 'more', '{}')}, 'ZE004', 'a closed stream is closed');
fails_with($new, 'postgres', q{DELETE FROM events.event_store}, 'ZE003', 'events are immutable');
fails_with($new, 'postgres', q{DROP EXTENSION auren_events}, '55006', 'the extension is guarded');
fails_with($new, 'postgres', q{SET ROLE of_one; SELECT count(*) FROM events.replay_stream('user:1')}, '42501', 'a bound role is bound');

# readings of every source are counted on
$new->safe_psql(
	'postgres', q{
	INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('u1', 'hr', 1000, '2026-01-01 00:00Z');
	INSERT INTO vitals VALUES (1, 'weight', 60, '2026-11-21 09:00Z');
	SELECT events.append_event('user:1', 'counted', '{"n": 9000, "timestamp": "2026-11-21T09:00:00Z"}');
	SELECT analytics.refresh_user_metrics()});
is( $new->safe_psql(
		'postgres', q{
		SELECT metric_type, reading_count, min_value, max_value FROM analytics.user_metrics_daily
		WHERE day = '2026-11-21' OR metric_type = 'hr' AND user_id = 'u1' AND day = '2026-01-01' ORDER BY metric_type}),
	"hr|70|1|1000\nsteps|1|9000|9000\nweight|2|60|70", 'readings of every source are counted');

# and a dump of the new cluster restores
my $dump = $new->basedir . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $new->connstr('postgres') ], 'pg_dump of the new cluster');
$new->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('copy'), $dump ], 'pg_restore of it');
is($new->safe_psql('copy', 'SELECT count(*) FROM events.restore_objects()'), 0, 'what was added is made again');
is($new->safe_psql('copy', $same[1]), $new->safe_psql('postgres', $same[1]), 'it holds the same events');

store_is_sound($new, 'postgres', 'the upgraded store');
store_is_sound($new, 'copy', 'its copy');
$new->stop;
done_testing();

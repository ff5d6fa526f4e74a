# A physical standby follows every page that appends write (wal_consistency_checking = all compares them), reads there
# give what the primary gives, appends there are refused, and a promoted standby goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_store('primary', init => { allows_streaming => 1 }, conf => "wal_consistency_checking = 'all'\nwal_keep_size = 2GB\n");
$primary->safe_psql('postgres', q{CREATE ROLE app_reader LOGIN; SELECT events.grant_access('app_reader', 'reader')});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");
$standby->start;

# The standby sees the months made, single appends, batches, long values, rollbacks, a closed stream, a vacuum.

$primary->safe_psql('postgres', q{SELECT events.append_event('user:0', 'first', '{"n": 0}')});
$primary->pgbench(
	'--no-vacuum -c 6 -j 2 -t 60 -M prepared --max-tries=1 postgres',
	0, [ qr{actually processed: 360/360}, qr{failed transactions: 0 } ], [qr{^$}],
	'single and batch appends on the primary',
	{
		'004_single@3' => q{
\set stream random(1, 20)
SELECT events.append_event('user:' || :stream, 'single', jsonb_build_object('n', :stream::int), p_metadata := '{"source": "pgbench"}');
SELECT events.append_event('user:' || :stream, 'supplied', '{}', p_event_id := gen_random_uuid());
BEGIN;
SAVEPOINT a;
SELECT events.append_event('user:' || :stream, 'undone', '{}');
ROLLBACK TO SAVEPOINT a;
SELECT events.append_event('user:' || :stream, 'kept', '{"after": "a savepoint"}');
COMMIT;
},
		'004_batch@1' => q{
\set size random(1, 300)
SELECT count(*) FROM events.append_events(
	ARRAY(SELECT 'user:' || n % 30 FROM generate_series(1, :size::int) n), array_fill('batch'::text, ARRAY[:size::int]),
	ARRAY(SELECT jsonb_build_object('n', n, 'text', repeat(md5(n::text), n)) FROM generate_series(1, :size::int) n),
	p_event_ids := ARRAY(SELECT CASE WHEN n % 3 = 0 THEN gen_random_uuid() END FROM generate_series(1, :size::int) n));
}
	});
$primary->safe_psql(
	'postgres', q{
	SELECT events.close_stream('user:30', 'over') FROM events.append_event('user:30', 'last', '{}');
	SELECT events.create_monthly_partitions(6);
	VACUUM events.event_store, auren.stream_rows, auren.supplied_ids;
	SET app.tenant_id = 'other'; SELECT events.append_event('user:1', 'of_other', '{}');});
$primary->wait_for_catchup($standby);

foreach my $read (
	q{SELECT r::text FROM events.replay_stream('user:1') r},
	q{SELECT r::text FROM events.replay_stream('user:1', 5, 9) r},
	q{SELECT r::text FROM events.replay_stream_backward('user:2', NULL, 7) r},
	q{SELECT events.get_stream_state('user:3'), events.get_stream_state('user:3', 4)},
	q{SELECT r::text FROM events.last_event('user:4') r UNION ALL SELECT r::text FROM events.last_event('user:4', 'single') r},
	q{SELECT events.stream_version('user:5'), events.stream_exists('user:5'), events.stream_exists('user:none')},
	q{SELECT s::text FROM events.streams s ORDER BY stream_id},
	q{SELECT r::text FROM events.events_by_time(now() - interval '1 hour', now() + interval '1 hour', p_limit := 50) r},
	q{SELECT r::text FROM events.find_events('{"after": "a savepoint"}', p_limit := 20) r},
	q{SELECT count(*), max(global_position) FROM events.tenant_events},
	q{SET app.tenant_id = 'other'; SELECT r::text FROM events.replay_stream('user:1') r})
{
	my $expected = $primary->safe_psql('postgres', $read);
	isnt($expected, '', "the primary answers $read");
	is($standby->safe_psql('postgres', $read), $expected, "the standby answers $read");
}
# States there: long folds leave no snapshot, those of the primary are used, and new reducers arrive.

$primary->safe_psql('postgres', q{
	SELECT count(*) FROM events.append_events(array_fill('long:1'::text, ARRAY[3000]), array_fill('read'::text, ARRAY[3000]),
		ARRAY(SELECT to_jsonb(n) FROM generate_series(1, 3000) n))});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT events.get_stream_state('long:1'), (SELECT count(*) FROM events.snapshots)}), '{"read": 3000}|0',
	'a long fold on the standby leaves no snapshot');
is($primary->safe_psql('postgres', q{SET default_transaction_read_only = on; SELECT events.get_stream_state('long:1'), (SELECT count(*) FROM events.snapshots)}), '{"read": 3000}|0',
	'nor does one in a read-only transaction of the primary');
$primary->safe_psql('postgres', q{
	SELECT events.get_stream_state('long:1');
	UPDATE auren.stream_snapshots SET state = '{"from": "the snapshot"}'});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT events.get_stream_state('long:1')}), '{"from": "the snapshot"}', 'the standby uses the primary\'s snapshot');
$primary->safe_psql('postgres', q{SELECT events.set_reducer('read', 'count')});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT events.get_stream_state('long:1')}), '{"read": 3000}', 'reducers arrive on the standby, and the snapshot of the others is not used');
$primary->safe_psql('postgres', q{SELECT events.drop_reducer('read'); SELECT events.drop_snapshots()});
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', q{SELECT events.stream_version('user:0') >= 1}, extra_params => [ '-U', 'app_reader' ]), 't', 'a reader reads there');

# What writes is refused.

my $before = $standby->safe_psql('postgres', 'SELECT count(*) FROM events.event_store');
foreach my $write (
	q{SELECT events.append_event('user:1', 'refused', '{}')},
	q{SELECT events.append_event('user:1', 'refused', '{}', p_event_id := gen_random_uuid())},
	q{SELECT * FROM events.append_events('{user:1}', '{refused}', ARRAY['{}']::jsonb[])},
	q{SELECT events.close_stream('user:1', 'refused')},
	q{SELECT events.reopen_stream('user:30')},
	q{SELECT events.set_reducer('refused', 'count')},
	q{SELECT events.take_snapshot('user:1')},
	q{SELECT events.drop_snapshots()},
	q{SELECT events.create_monthly_partitions(12)})
{
	fails_with($standby, 'postgres', $write, '25006', "on the standby: $write");
}
foreach my $write (
	q{SELECT events.append_event('user:1', 'refused', '{}')},
	q{SELECT events.close_stream('user:1', 'refused')},
	q{SELECT events.create_monthly_partitions(12)})
{
	fails_with($primary, 'postgres', "SET default_transaction_read_only = on; $write", '25006', "in a read-only transaction: $write");
}
is($primary->safe_psql('postgres', q{SELECT closed FROM events.streams WHERE stream_id = 'user:1'}), 'f', 'nothing was closed');

# Promotion.

my $version = $primary->safe_psql('postgres', q{SELECT events.stream_version('user:1')});
my $position = $primary->safe_psql('postgres', 'SELECT max(global_position) FROM events.event_store');
my $supplied = $primary->safe_psql('postgres', q{SELECT event_id FROM events.event_store WHERE event_type = 'supplied' AND stream_id = 'user:1' ORDER BY stream_version LIMIT 1});
my $content = $primary->safe_psql('postgres', q{SELECT count(*), md5(string_agg(e::text, ' ' ORDER BY global_position)) FROM events.event_store e});
$primary->wait_for_catchup($standby);
$primary->stop('immediate');
$standby->promote;

is($standby->safe_psql('postgres', q{SELECT count(*), md5(string_agg(e::text, ' ' ORDER BY global_position)) FROM events.event_store e}), $content,
	'promoted: the same events');
my ($next_version, $next_position) = split /\|/,
  $standby->safe_psql('postgres', q{SELECT stream_version, global_position FROM events.append_events('{user:1}', '{promoted}', ARRAY['{}']::jsonb[])});
is($next_version, $version + 1, 'promoted: versions go on');
cmp_ok($next_position, '>', $position, 'promoted: positions go on');
is($standby->safe_psql('postgres', qq{SELECT events.append_event('user:1', 'supplied', '{}', p_event_id := '$supplied')}), $supplied,
	'promoted: an id sent again is known');
fails_with($standby, 'postgres', q{SELECT events.append_event('user:1', 'stale', '{}', p_expected_version := } . $version . ')', 'ZE001', 'promoted: a stale version');
fails_with($standby, 'postgres', q{SELECT events.append_event('user:30', 'closed', '{}')}, 'ZE004', 'promoted: a closed stream');
is($standby->safe_psql('postgres', q{SELECT events.stream_version('user:1')}), $next_version, 'promoted: nothing else was written');
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC:/, 'replay found no page that differs');
store_is_sound($standby, 'postgres', 'promoted');

$standby->stop;
done_testing();

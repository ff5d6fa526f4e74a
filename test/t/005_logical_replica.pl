# Logical replication carries what appends write past the executor: a subscriber with the extension gets every event.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_store('publisher', init => { allows_streaming => 'logical' });
my $subscriber = new_store('subscriber');

my $batch = q{
	SELECT count(*) FROM events.append_events(
		ARRAY(SELECT 'user:' || n % 30 FROM generate_series(1, 1000) n), array_fill('batch'::text, ARRAY[1000]),
		ARRAY(SELECT jsonb_build_object('n', n, 'text', repeat(md5(n::text), n % 200)) FROM generate_series(1, 1000) n),
		p_event_ids := ARRAY(SELECT CASE WHEN n % 3 = 0 THEN gen_random_uuid() END FROM generate_series(1, 1000) n))};
my $singles = q{
	SELECT events.append_event('user:' || n % 30, 'single', '{"a": 0.10, "b": 1e400}', p_metadata := jsonb_build_object('n', n)) FROM generate_series(1, 200) n;
	SELECT events.append_event('user:' || n, 'supplied', '{}', p_event_id := gen_random_uuid()) FROM generate_series(1, 30) n};

$publisher->safe_psql('postgres', "$batch; $singles");
$subscriber->safe_psql('postgres', 'SELECT events.create_monthly_partitions()');

# Events are only inserted. Stream rows change; ids come with the events.
$publisher->safe_psql(
	'postgres', q{
	CREATE PUBLICATION events_out FOR TABLE events.event_store WITH (publish = 'insert', publish_via_partition_root = true);
	CREATE PUBLICATION streams_out FOR TABLE auren.stream_rows, auren.supplied_ids});
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION events_in CONNECTION '$connection' PUBLICATION events_out, streams_out");
$subscriber->wait_for_subscription_sync($publisher, 'events_in');

sub compare
{
	my ($name) = @_;
	foreach my $query (
		q{SELECT count(*), md5(string_agg(e::text, ' ' ORDER BY global_position)) FROM events.event_store e},
		q{SELECT md5(string_agg(r::text, ' ' ORDER BY r)) FROM auren.stream_rows r},
		q{SELECT count(*), md5(string_agg(i::text, ' ' ORDER BY i)) FROM auren.supplied_ids i},
		q{SELECT stream_id, events.get_stream_state(stream_id) FROM events.streams ORDER BY 1},
		q{SELECT r::text FROM events.replay_stream('user:7') r})
	{
		is($subscriber->safe_psql('postgres', $query), $publisher->safe_psql('postgres', $query), "$name: $query");
	}
	return;
}
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), 1230, 'what was there is copied');
compare('copied');

# what comes afterwards, single and batch, committed and not
$publisher->safe_psql(
	'postgres', qq{
	$singles; $batch;
	BEGIN; $batch; ROLLBACK;
	BEGIN; SAVEPOINT a; $singles; ROLLBACK TO a; $batch; COMMIT;
	SELECT events.close_stream('user:3', 'over');
	SET app.tenant_id = 'other'; SELECT events.append_event('user:7', 'of_other', '{}');});
$publisher->wait_for_catchup('events_in');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), 1230 + 230 + 2000 + 1, 'what was appended since has come');
compare('streamed');

# events are immutable there too
fails_with($subscriber, 'postgres', q{UPDATE events.event_store SET event_data = '{}'}, 'ZE003', 'UPDATE on the subscriber');
fails_with($subscriber, 'postgres', q{TRUNCATE events.event_store}, 'ZE003', 'TRUNCATE on the subscriber');

# The subscriber takes over. Replication leaves the sequence to the administrator.
$publisher->stop;
$subscriber->safe_psql(
	'postgres', q{
	ALTER SUBSCRIPTION events_in DISABLE; ALTER SUBSCRIPTION events_in SET (slot_name = NONE); DROP SUBSCRIPTION events_in;
	SELECT setval('auren.global_position_seq', (SELECT max(global_position) FROM events.event_store))});
my $version = $subscriber->safe_psql('postgres', q{SELECT events.stream_version('user:7')});
is($subscriber->safe_psql('postgres', q{SELECT stream_version FROM events.append_events('{user:7}', '{took_over}', ARRAY['{}']::jsonb[])}),
	$version + 1, 'the subscriber goes on');
my $supplied = $subscriber->safe_psql('postgres', q{SELECT event_id FROM events.event_store WHERE event_type = 'supplied' AND stream_id = 'user:7' LIMIT 1});
is($subscriber->safe_psql('postgres', qq{SELECT events.append_event('user:7', 'supplied', '{}', p_event_id := '$supplied')}), $supplied,
	'the subscriber knows the ids');
fails_with($subscriber, 'postgres', q{SELECT events.append_event('user:3', 'closed', '{}')}, 'ZE004', 'the subscriber knows what is closed');
store_is_sound($subscriber, 'postgres', 'the subscriber');

$subscriber->stop;
done_testing();

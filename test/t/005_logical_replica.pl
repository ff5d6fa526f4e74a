# A logical subscriber receives what the direct path wrote, single and in batches, and reads it with the extension's own
# functions.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;

my $publisher = new_store('publisher', streaming => 'logical', conf => 'max_prepared_transactions = 20');
my $subscriber = new_store('subscriber', streaming => 'logical', conf => 'max_prepared_transactions = 20');

# what is there before the subscription comes with its first copy
$publisher->safe_psql('postgres', q{
	SELECT count(events.append_event('before:' || i % 3, 'e', jsonb_build_object('i', i), p_event_id => md5(i::text)::uuid)) FROM generate_series(1, 30) i;
	CREATE PUBLICATION store FOR TABLE events.event_store, events.stream_rows, events.supplied_ids, events.tenant_bindings
		WITH (publish = 'insert, update, delete', publish_via_partition_root = true);
});
$subscriber->safe_psql('postgres', 'SELECT events.create_monthly_partitions(2)');
my $connect = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION store CONNECTION '$connect' PUBLICATION store");
$subscriber->wait_for_subscription_sync($publisher, 'store');

sub same
{
	my ($title) = @_;
	$publisher->wait_for_catchup('store');
	is(store_digest($subscriber), store_digest($publisher), "$title: the subscriber has the same store");
	return;
}
same('first copy');

bench($publisher, 'single appends', [
	"\\set s random(1, 20)\nSELECT events.append_event('s:' || :s, 'e', '{\"n\": 1}');\n",
	"\\set s random(1, 20)\nSELECT events.append_event('s:' || :s, 'e', '{\"n\": 2}', p_event_id => gen_random_uuid());\n",
	"BEGIN;\nSELECT events.append_event('gone:1', 'e', '{}', p_event_id => gen_random_uuid());\nROLLBACK;\n"
	], clients => 4, count => 250);
same('single appends');

bench($publisher, 'batches', [
	"\\set n random(1, 300)\nSELECT count(*) FROM events.append_events((SELECT array_agg('b:' || i % 20) FROM generate_series(1, :n) i),
		(SELECT array_agg('t' || i % 5) FROM generate_series(1, :n) i), (SELECT array_agg(jsonb_build_object('i', i, 'p', repeat('y', i))) FROM generate_series(1, :n) i));\n"
	], clients => 4, count => 15, mode => 'simple');
fill($publisher, 'large:1', 3000, pad => 300);
$publisher->safe_psql('postgres', q{SELECT events.append_event('toast:1', 'e', jsonb_build_object('t', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 5000) i)))});
same('batches');

$publisher->safe_psql('postgres', q{
	DO $$ BEGIN
		FOR i IN 1 .. 20 LOOP
			BEGIN
				PERFORM events.append_event('sub:1', 'e', to_jsonb(i));
				PERFORM events.append_event('sub:' || i, 'e', to_jsonb(i));
				IF i % 2 = 0 THEN RAISE EXCEPTION 'back'; END IF;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END LOOP;
	END $$;
	BEGIN; SELECT events.append_event('prepared:1', 'e', '{}'); PREPARE TRANSACTION 'p';
	COMMIT PREPARED 'p';
	SELECT events.close_stream('s:1', 'done');
	CREATE ROLE a_bound;
});
$subscriber->safe_psql('postgres', 'CREATE ROLE a_bound');
same('savepoints, prepared transactions, a closed stream');

my @reads = (
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.replay_stream('s:2') r},
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.replay_stream('large:1', 100, 2000) r},
	q{SELECT md5(events.get_stream_state('b:1')::text)},
	q{SELECT stream_id, version, closed, closed_reason FROM events.streams ORDER BY 1},
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.find_events('{"n": 2}') r});
is($subscriber->safe_psql('postgres', $_), $publisher->safe_psql('postgres', $_), "on the subscriber: $_") for @reads;

# After a switch to the subscriber its sequence is set behind the positions that came (replication carries no
# sequence), and appends go on.
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION store DISABLE');
$subscriber->safe_psql('postgres', q{SELECT setval('events.global_position_seq', (SELECT max(global_position) FROM events.event_store))});
my $version = $subscriber->safe_psql('postgres', q{SELECT events.stream_version('large:1')});
is($subscriber->safe_psql('postgres', q{SELECT stream_version FROM events.append_events(ARRAY['large:1', 'after:1'], ARRAY['e', 'e'], ARRAY['{}', '{}']::jsonb[])}),
	($version + 1) . "\n1", 'on the subscriber versions go on');
is($subscriber->safe_psql('postgres', q{SELECT events.append_event('before:1', 'e', jsonb_build_object('i', 1), p_event_id => md5('1')::uuid)}),
	$publisher->safe_psql('postgres', q{SELECT md5('1')::uuid}), 'and an id that came is known');
check_store($subscriber, 'subscriber');
check_store($publisher, 'publisher');
$subscriber->safe_psql('postgres', q{ALTER SUBSCRIPTION store SET (slot_name = NONE); DROP SUBSCRIPTION store});

done_testing();

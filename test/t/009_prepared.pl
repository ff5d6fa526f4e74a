# A prepared transaction outlives a crash of the server: it still holds its streams, and commits or goes back as a whole.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use Test::More;

my $node = new_bounded_store('prepared', conf => 'max_prepared_transactions = 20');
my $id = '00000000-0000-4000-8000-000000000001';

$node->safe_psql('postgres', "SELECT events.append_event('s:1', 'e', '{}')");
$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT events.append_event('s:1', 'e', '{"by": "first"}', p_event_id => '$id');
	SAVEPOINT s;
	SELECT events.append_event('s:1', 'e', '{"by": "gone"}');
	ROLLBACK TO s;
	SELECT count(*) FROM events.append_events((SELECT array_agg('s:' || i) FROM generate_series(1, 50) i),
		(SELECT array_agg('e'::text) FROM generate_series(1, 50)), (SELECT array_agg('{}'::jsonb) FROM generate_series(1, 50)));
	PREPARE TRANSACTION 'first';
	BEGIN;
	SELECT events.append_event('t:1', 'e', '{}');
	SELECT events.close_stream('t:1', 'done');
	PREPARE TRANSACTION 'second';
});

$node->kill9;
restart_after_kill($node);

is($node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY 1'), "first\nsecond", 'both are there after the crash');
is($node->safe_psql('postgres', "SELECT events.stream_version('s:1'), events.stream_exists('s:2'), events.stream_exists('t:1')"), '1|f|f',
	'and not seen');
for my $stream ('s:1', 's:50', 't:1')
{
	my ($code, $out, $err) = $node->psql('postgres', "SET lock_timeout = '200ms'; SELECT events.append_event('$stream', 'e', '{}')");
	like($err, qr/canceling statement due to lock timeout/, "$stream is held");
}
my ($code, $out, $err) = $node->psql('postgres',
	"SET lock_timeout = '200ms'; SELECT events.append_event('other:1', 'e', '{}', p_event_id => '$id')");
like($err, qr/canceling statement due to lock timeout/, 'its id is held');
$node->safe_psql('postgres', "SELECT events.append_event('free:1', 'e', '{}')");

$node->safe_psql('postgres', q{COMMIT PREPARED 'first'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'second'});
is($node->safe_psql('postgres', "SELECT stream_version, event_data->>'by' FROM events.replay_stream('s:1') ORDER BY 1"),
	"1|\n2|first\n3|", 'what was committed is seen');
is($node->safe_psql('postgres', "SELECT count(*) FROM events.streams WHERE category = 's'"), 50, 'in all its streams');
is($node->safe_psql('postgres', "SELECT events.stream_exists('t:1')"), 'f', 'what went back is not');
$node->safe_psql('postgres', "SELECT events.append_event('s:1', 'e', '{}', p_expected_version => 3), events.append_event('t:1', 'e', '{}', p_expected_version => 0)");
is($node->safe_psql('postgres', qq{SELECT events.append_event('s:1', 'e', '{"by": "first"}', p_event_id => '$id')}), $id, 'its id is known');
store_is_sound($node, 'postgres', 'after prepared transactions and a crash');

# A month that a prepared transaction made and nobody sees yet
create_store($node, 'empty');
$node->safe_psql('empty', q{BEGIN; SELECT events.append_event('s:1', 'e', '{}'); PREPARE TRANSACTION 'month';});
$node->kill9;
restart_after_kill($node);
($code, $out, $err) = $node->psql('empty', "SET lock_timeout = '200ms'; SELECT events.append_event('s:2', 'e', '{}')");
like($err, qr/canceling statement due to lock timeout/, 'an append waits for the month');
$node->safe_psql('empty', q{ROLLBACK PREPARED 'month'});
$node->safe_psql('empty', "SELECT events.append_event('s:2', 'e', '{}')");
store_is_sound($node, 'empty', 'after a month that went back');

done_testing();

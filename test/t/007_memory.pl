# Memory of a backend is bounded, whatever the length of a stream or of a batch.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
open(my $file, '>', $keys) or die $!;
print $file 'one ' . '0123456789abcdef' x 4 . "\n";
close($file);
chmod 0600, $keys;
my $node = new_store('memory', conf => qq{
auren_events.master_key_file = '$keys'
work_mem = 4MB
shared_buffers = 128MB
max_wal_size = 2GB
jit = off
});

# Runs a statement in a session that has warmed up, and gives how much its private memory grew at most, in MB.
sub growth
{
	my ($session, $statement) = @_;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $before = rss_anon($pid);
	my $peak = $before;
	$session->query_until(qr/begun/, "\\echo begun\n$statement;\n\\echo ended\n");
	my $result = '';
	while (1)
	{
		my $now = rss_anon($pid);
		$peak = $now if $now > $peak;
		$session->{run}->pump_nb;
		last if $session->{stdout} =~ /^ended$/m;
		usleep(5_000);
	}
	($result) = $session->{stdout} =~ /\A(.*?)\n?^ended$/ms;
	$session->{stdout} = '';
	return (($peak - $before) / 1024, $result);
}

my $session = $node->background_psql('postgres', on_error_stop => 1);

# A million events, by batches of 100,000, all in one session: it must not grow from batch to batch.

my $batch = q{
	SELECT count(*), min(stream_version) FROM events.append_events(array_fill('long:1'::text, ARRAY[100000]),
		ARRAY(SELECT 'type_' || n % 10 FROM generate_series(1, 100000) n),
		ARRAY(SELECT jsonb_build_object('n', n, 'text', repeat('x', 150)) FROM generate_series(1, 100000) n))};
my $argument = $node->safe_psql('postgres', q{
	SELECT sum(pg_column_size(jsonb_build_object('n', n, 'text', repeat('x', 150))) + 40) / 1048576 FROM generate_series(1, 100000) n});
my @growth;
foreach my $part (1 .. 10)
{
	my ($grew, $result) = growth($session, $batch);
	is($result, '100000|' . (100000 * ($part - 1) + 1), "batch $part of 100,000 events");
	push @growth, $grew;
}
note(sprintf('arguments of %.0f MB; batches grew the backend by %s MB', $argument, join(' ', map { sprintf '%.0f', $_ } @growth)));
cmp_ok($growth[0], '<', 150, 'a batch of 100,000 events is bounded');
my $later = 0;
$later += $_ foreach @growth[ 2 .. 9 ];
cmp_ok($later / 8, '<', 150, 'later batches are bounded');
$session->quit;

$session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe(q{SELECT count(*) FROM events.replay_stream('long:1', 1, 10)});
$session->query_safe(q{SELECT events.get_stream_state('long:1', 10)});
my $state = $node->safe_psql('postgres', q{
	SELECT jsonb_object_agg(event_type, event_data) FROM (
		SELECT DISTINCT ON (event_type) event_type, event_data FROM events.event_store WHERE stream_id = 'long:1' ORDER BY event_type, stream_version DESC) s});
foreach my $case (
	[ 'replayed', q{SELECT count(*), sum(length(event_data ->> 'text')), max(stream_version) FROM events.replay_stream('long:1')}, '1000000|150000000|1000000' ],
	[ 'replayed backwards', q{SELECT count(*), min(stream_version) FROM events.replay_stream_backward('long:1')}, '1000000|1' ],
	[ 'replayed in the target list', q{SELECT count(e) FROM (SELECT events.replay_stream('long:1') AS e OFFSET 0) s}, '1000000' ],
	[ 'folded', q{SELECT events.get_stream_state('long:1')}, $state ],
	[ 'folded at a version', q{SELECT events.get_stream_state('long:1', 900000) ->> 'none'}, '' ],
	[ 'read by time', q{SELECT count(*) FROM events.events_by_time(now() - interval '1 day', now() + interval '1 day', p_limit := 1000000)}, '1000000' ],
	[ 'searched', q{SELECT count(*) FROM events.find_events('{"n": 77}', p_limit := 1000000)}, '10' ],
	[ 'searched for all', q{SELECT count(*) FROM events.find_events('{}', p_limit := 1000000)}, '1000000' ])
{
	my ($what, $statement, $expected) = @$case;
	my ($grew, $result) = growth($session, $statement);
	is($result, $expected, "a stream of a million events is $what");
	cmp_ok($grew, '<', 100, "$what: grows less than 100 MB");
	note(sprintf('%s: grew by %.1f MB', $what, $grew));
}

# Folds of each kind, from the first event on.

$session->query_safe('SET auren_events.snapshot_after = 0');
$session->query_safe(q{
	CREATE FUNCTION public.last_of(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
		RETURN pg_catalog.jsonb_set($1, '{last}', $3 OPERATOR(pg_catalog.->) 'n')});
foreach my $case (
	[ 'latest', '{}', q{-> 'type_9' ->> 'n'}, '99999' ],
	[ 'sum', '{"into": "s"}', q{-> 's' ->> 'n'}, '50000500000' ],
	[ 'count', '{"into": "c"}', q{->> 'c'}, '1000000' ],
	[ 'merge', '{}', q{->> 'n'}, '100000' ],
	[ 'append', '{"into": "a"}', q{-> 'a' -> 999 ->> 'n'}, '100000' ],
	[ 'ignore', '{}', '', '{}' ])
{
	my ($kind, $options, $path, $expected) = @$case;
	$session->query_safe("SELECT events.set_reducer('type_' || n, '$kind', '$options') FROM generate_series(0, 9) n; SELECT events.drop_snapshots()");
	my ($grew, $result) = growth($session, "SELECT events.get_stream_state('long:1') $path");
	is($result, $expected, "a million events folded by $kind");
	cmp_ok($grew, '<', 50, "$kind: grows less than 50 MB");
	note(sprintf('fold by %s: grew by %.1f MB', $kind, $grew));
}
$session->query_safe(q{SELECT events.set_reducer('type_' || n, 'function', '{"function": "public.last_of"}') FROM generate_series(0, 9) n});
foreach my $policy ('error', 'skip')
{
	$session->query_safe(qq{SELECT events.set_reducer('type_' || n, 'function', '{"function": "public.last_of", "on_error": "$policy"}') FROM generate_series(0, 9) n});
	my ($grew, $result) = growth($session, q{SELECT events.get_stream_state('long:1', 100000)});
	is($result, '{"last": 100000}', "100,000 events folded by a function, on_error $policy");
	cmp_ok($grew, '<', 50, "function, on_error $policy: grows less than 50 MB");
	note(sprintf('fold by a function, on_error %s: grew by %.1f MB', $policy, $grew));
}
$session->query_safe(q{SELECT events.drop_reducer('type_' || n) FROM generate_series(0, 9) n});

# Tags that rules make are gone with the next event. The rules are said to be complete, so that a million events need not be filled.

$session->query_safe(q{SELECT events.add_tag_rule('type_' || n, '/text', 'text') FROM generate_series(0, 9) n});
foreach my $case (
	[ 'filled', q{SELECT events.fill_tag_rules(100000) > 0}, 't' ],
	[ 'replayed', q{UPDATE auren.declared_tag_rules SET complete = true; SELECT sum(cardinality(tags)) FROM events.replay_stream('long:1')}, '1000000' ],
	[ 'read as a feed', q{SELECT sum(cardinality(tags)) FROM events.read_all(0, 1000000) WHERE stream_id = 'long:1'}, '1000000' ],
	[ 'read by tags', q{SELECT count(*) FROM events.read_all(0, 1000000, p_tags := '{none}')}, '0' ],
	[ 'read by time', q{SELECT sum(cardinality(tags)) FROM events.events_by_time(now() - interval '1 day', now() + interval '1 day', p_limit := 1000000)}, '1000000' ],
	[ 'searched for all', q{SELECT sum(cardinality(tags)) FROM events.find_events('{}', p_limit := 1000000)}, '1000000' ])
{
	my ($what, $statement, $expected) = @$case;
	my ($grew, $result) = growth($session, $statement);
	is($result, $expected, "events with tags of a rule are $what");
	cmp_ok($grew, '<', 100, "tags of a rule, $what: grows less than 100 MB");
	note(sprintf('tags of a rule, %s: grew by %.1f MB', $what, $grew));
}
$session->query_safe(q{SELECT events.drop_tag_rule('type_' || n, '/text', 'text') FROM generate_series(0, 9) n});

# Personal events: what one needs to be encrypted or opened is gone with the next one. Twice as many opened events take no more.

$session->query_safe(q{SET client_min_messages = warning; SELECT encrypted.add_rule('personal', '{/note}', 'personal:*')});
my $personal = q{SELECT count(*) FROM events.append_events(array_fill('%s:1'::text, ARRAY[20000]), array_fill('%s'::text, ARRAY[20000]),
	ARRAY(SELECT jsonb_build_object('n', 7, 'note', repeat('x', 150)) FROM generate_series(1, 20000) n))};
my %grew;
foreach my $type ('plain', 'personal', 'personal', 'plain')
{
	my ($grew, $result) = growth($session, sprintf($personal, $type, $type));
	is($result, '20000', "a batch of 20,000 $type events");
	$grew{$type} = $grew;
	note(sprintf('a batch of 20,000 %s events: grew by %.1f MB', $type, $grew));
}
cmp_ok($grew{personal}, '<', 50, 'a batch of 20,000 personal events is bounded');
$session->quit;
$session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe(q{SET client_min_messages = warning; SET auren_events.snapshot_after = 0; SELECT events.get_stream_state_decrypted('personal:1', 10)});
foreach my $case (
	[ 'folded', q{SELECT events.get_stream_state_decrypted('personal:1') -> 'personal' ->> 'note' = repeat('x', 150)}, 't' ],
	[ 'replayed', q{SELECT count(*) FROM events.replay_stream_decrypted('personal:1') WHERE event_data ->> 'note' = repeat('x', 150)}, '40000' ])
{
	my ($what, $statement, $expected) = @$case;
	my ($grew, $result) = growth($session, $statement);
	is($result, $expected, "40,000 personal events are $what");
	cmp_ok($grew, '<', 30, "40,000 personal events are $what: grows less than 30 MB");
	note(sprintf('40,000 personal events %s: grew by %.1f MB', $what, $grew));
}

# Waiting takes no memory, however long: some hundred looks.

$session->query_safe(q{SELECT events.create_subscription('behind', p_shares => 256)});
foreach my $wait (q{SELECT events.wait_for_subscription('behind', 1000, '4 seconds')}, q{SELECT events.wait_for_events(1000000000, '2 seconds')})
{
	my ($grew, $result) = growth($session, $wait);
	is($result, 'f', "$wait: the time is over");
	cmp_ok($grew, '<', 5, "$wait: grows less than 5 MB");
	note(sprintf('%s: grew by %.1f MB', $wait, $grew));
}
$session->query_safe(q{SELECT events.drop_subscription('behind')});

# A fetch that passes by 200,000 events of a stream that waits, their count, and the fetch that gives them.

my $hold = $node->safe_psql('postgres', q{SELECT max(global_position) - 200000 FROM events.event_store WHERE stream_id = 'long:1'});
$session->query_safe(qq{SELECT events.create_subscription('held', $hold, p_stream_prefix => 'long:1')});
$session->query_safe(q{SELECT events.retry('held', 'c', global_position, '1 hour') FROM events.fetch('held', 'c', 1)});
foreach my $case (
	[ q{SELECT count(*) FROM events.fetch('held', 'c', 1000000)}, '0', 'passing by' ],
	[ q{SELECT waiting_events FROM events.subscriptions WHERE name = 'held'}, '199999', 'counting' ],
	[ q{UPDATE auren.subscription_held SET not_before = now() WHERE state = 'retry'; SELECT count(*) FROM events.fetch('held', 'c', 1000000)}, '200000', 'giving' ])
{
	my ($grew, $result) = growth($session, $case->[0]);
	is($result, $case->[1], "$case->[2] 200,000 events that wait: all of them");
	cmp_ok($grew, '<', 30, "$case->[2] 200,000 events that wait: grows less than 30 MB");
	note(sprintf('%s 200,000 events that wait: grew by %.1f MB', $case->[2], $grew));
}
$session->query_safe(q{SELECT events.drop_subscription('held')});

# A stream fetched by a client, by cursor and by COPY.

my ($grew, $result) = growth($session, q{BEGIN; DECLARE c CURSOR FOR SELECT * FROM events.replay_stream('long:1'); FETCH 1 FROM c; MOVE 999990 FROM c; COMMIT});
cmp_ok($grew, '<', 100, 'a cursor grows less than 100 MB');
($grew, $result) = growth($session, q{COPY (SELECT * FROM events.replay_stream('long:1')) TO '/dev/null'});
cmp_ok($grew, '<', 100, 'COPY grows less than 100 MB');

# Many short calls in one transaction leave nothing behind.

($grew, $result) = growth($session, q{
	DO $$ BEGIN
		FOR i IN 1 .. 20000 LOOP
			PERFORM events.append_event('short:' || i % 100, 'tick', '{"n": 1}', p_event_id := gen_random_uuid());
			PERFORM events.get_stream_state('short:' || i % 100, 3);
		END LOOP;
	END $$});
cmp_ok($grew, '<', 100, '20,000 appends and states in one transaction grow less than 100 MB');
note(sprintf('appends and states: grew by %.1f MB', $grew));
$session->quit;
store_is_sound($node, 'postgres', 'a million events');

$node->stop;
done_testing();

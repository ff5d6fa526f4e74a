# pg_cancel_backend and pg_terminate_backend are answered at once: in a replay, in a state, in a large append, in a seal, and while
# waiting for a stream that another transaction holds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# what an answer may take, a loaded machine included
my $limit = 3;

# without snapshots a fold stays as long as its stream
my $keys = PostgreSQL::Test::Utils::tempdir() . '/seal_keys';
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys;
my $node = new_store('cancel', conf => "auren_events.snapshot_after = 0\nauren_events.seal_key_file = '$keys'\n");
$node->safe_psql(
	'postgres', q{
	SELECT count(*) FROM generate_series(1, 6) AS part, LATERAL (
		SELECT count(*) FROM events.append_events(array_fill('long:1'::text, ARRAY[50000]),
			ARRAY(SELECT 'type_' || n % 10 FROM generate_series(1, 50000) n),
			ARRAY(SELECT jsonb_build_object('part', part, 'n', n) FROM generate_series(1, 50000) n))) s;
	CREATE TABLE large AS SELECT array_fill('large:1'::text, ARRAY[100000]) AS streams, array_fill('part'::text, ARRAY[100000]) AS types,
		ARRAY(SELECT jsonb_build_object('n', n, 'text', md5(n::text)) FROM generate_series(1, 100000) n) AS data});
is($node->safe_psql('postgres', q{SELECT events.stream_version('long:1')}), 300000, 'a long stream');
my $control = $node->background_psql('postgres', on_error_stop => 1);

# Starts a statement, waits until it does what is to be interrupted, and gives what became of it and how long that took.
sub interrupt
{
	my ($how, $statement, $ready, $pause) = @_;
	my $session = start_psql($node, 'postgres', q{SET application_name = 'interrupted'}, $statement);
	my $pid;
	foreach my $attempt (1 .. 2000)
	{
		$pid = $control->query_safe("SELECT pid FROM pg_stat_activity WHERE application_name = 'interrupted' AND state = 'active' AND query NOT LIKE 'SET%' AND $ready");
		last if $pid ne '';
		$session->{handle}->pump_nb;
		last if !$session->{handle}->pumpable;
		usleep(2_000);
	}
	if ($pid eq '')
	{
		finish_psql($session);
		die "never ready: $statement: $session->{stderr}" if $session->{rc} != 0;
		return $session;
	}
	usleep($pause * 1e6);
	my $start = time;
	$control->query_safe("SELECT $how(pid) FROM pg_stat_activity WHERE pid = $pid AND state = 'active'");
	finish_psql($session);
	$session->{seconds} = time - $start;
	return $session;
}

# Interrupts a statement until it was caught at work: a machine may be fast enough to end it before. Gives how often it was.
sub answers
{
	my ($statement, $ready, $name, $pause) = @_;
	$pause //= 0.1;
	my $ended = 0;
	foreach my $case ([ 'pg_cancel_backend', '57014' ], [ 'pg_terminate_backend', '57P01' ])
	{
		my ($how, $sqlstate) = @$case;
		my $session;
		foreach my $attempt (1 .. 20)
		{
			# the first attempts leave the statement time to get into its work
			$session = interrupt($how, $statement, $ready, $attempt < 10 ? $pause / $attempt : 0);
			last if $session->{rc} != 0;
			$ended++;
		}
		like($session->{stderr}, qr/(ERROR|FATAL):  $sqlstate: /, "$name: $how: $sqlstate");
		cmp_ok($session->{seconds}, '<', $limit, "$name: $how: within $limit s");
		note(sprintf('%s: %s answered in %.3f s', $name, $how, $session->{seconds}));
		wait_until($node, 'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'interrupted'}, 'the session is gone');
	}
	return $ended;
}

answers(q{SELECT count(*) FROM events.replay_stream('long:1')}, 'true', 'one replay');
answers(q{SELECT events.replay_stream('long:1')}, 'true', 'one replay in the target list');
answers(q{SELECT count(*) FROM events.replay_stream_backward('long:1')}, 'true', 'one replay backwards');
answers(q{SELECT events.get_stream_state('long:1')}, 'true', 'one state');
answers(q{SELECT count(events.get_stream_state('long:1', n)) FROM generate_series(1, 300000) n}, 'true', 'many states');
answers(q{SELECT count(*) FROM generate_series(1, 1000000) n, LATERAL events.last_event('long:1', 'type_' || n % 20) e}, 'true', 'many last events');
answers(q{SELECT count(*) FROM events.find_events('{"n": 49999, "part": 7}', p_limit := 1000000) e, generate_series(1, 100) UNION ALL SELECT count(*) FROM generate_series(1, 1000) n, LATERAL events.find_events(jsonb_build_object('part', 1 + n % 6), p_limit := 100000)},
	'true', 'searches');
answers(q{SELECT count(*) FROM events.events_by_time(now() - interval '1 day', now() + interval '1 day', p_limit := 1000000)}, 'true', 'events by time');
my $ended = answers(q{SELECT count(*) FROM large, events.append_events(streams, types, data)}, 'true', 'a large append');
$ended += answers(q{SELECT count(*) FROM large, events.append_events(streams, types, data)}, 'true', 'a large append, later', 0.8);
is($node->safe_psql('postgres', q{SELECT count(*) FROM events.event_store WHERE stream_id = 'large:1'}), 100000 * $ended,
	'a large append that was interrupted wrote nothing');
answers(q{SELECT count(*) FROM events.read_all(0, 1000000, ARRAY['of none'])}, 'true', 'the feed');
$node->safe_psql('postgres', q{SELECT events.create_subscription('none', p_event_types => ARRAY['of none'])});
answers(q{SELECT count(*) FROM generate_series(1, 1000) n, LATERAL (SELECT events.reset_subscription('none', 0 * n)) r, LATERAL events.fetch('none', 'c' || n) f}, 'true', 'fetches that find nothing');
answers(q{SELECT events.wait_for_events(1000000000, '1 hour')}, 'true', 'waiting for events');
answers(q{SELECT events.wait_for_subscription('none', 1000000000, '1 hour')}, 'true', 'waiting for a subscription');
answers(q{SELECT count(events.append_event('single:' || n, 'part', '{}')) FROM generate_series(1, 1000000) n}, 'true', 'many appends');

# seals: what was interrupted leaves nothing of it
$node->safe_psql('postgres', 'SELECT events.register_seal_key()');
$ended = answers('SELECT count(*) FROM events.seal(10000000)', 'true', 'a seal');
is($node->safe_psql('postgres', 'SELECT count(*) FROM auren.seal_leaves l FULL JOIN events.seals s USING (seal) WHERE l.seal IS NULL OR s.seal IS NULL'), 0, 'an interrupted seal left nothing half');
$node->safe_psql('postgres', 'SELECT count(*) FROM events.seal(10000000)') if !$ended;
answers('SELECT (SELECT count(*) FROM events.verify(p_since_seal => 0 * n)) FROM generate_series(1, 100) n', 'true', 'verifications');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events.verify()'), 0, 'and all is as it was sealed');

# waiting for another's transaction: on a stream, on a new stream, on an id
my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN');
$holder->query_safe(q{SELECT events.append_event('long:1', 'held', '{}')});
$holder->query_safe(q{SELECT events.append_event('new:1', 'held', '{}', p_event_id := '11111111-1111-4111-8111-111111111111')});
my $waits = q{wait_event_type = 'Lock'};
answers(q{SELECT events.append_event('long:1', 'waits', '{}')}, $waits, 'waiting for a stream');
answers(q{SELECT events.append_event('new:1', 'waits', '{}')}, $waits, 'waiting for a new stream');
answers(q{SELECT events.append_event('new:2', 'waits', '{}', p_event_id := '11111111-1111-4111-8111-111111111111')}, $waits, 'waiting for an id');
answers(q{SELECT count(*) FROM events.append_events('{a:1,long:1,z:1}', '{a,b,c}', ARRAY['{}', '{}', '{}']::jsonb[])}, $waits, 'a batch waiting for a stream');
answers(q{SELECT events.close_stream('long:1', 'waits')}, $waits, 'closing, waiting for a stream');
$holder->query_safe('ROLLBACK');
$holder->quit;
$control->quit;

is($node->safe_psql('postgres', q{SELECT stream_version FROM events.append_events('{long:1}', '{after}', ARRAY['{}']::jsonb[])}), 300001, 'the stream goes on');
store_is_sound($node, 'postgres', 'interrupted');

$node->stop;
done_testing();

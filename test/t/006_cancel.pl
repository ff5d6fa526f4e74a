# pg_cancel_backend and pg_terminate_backend are answered at once: within a replay, a state, a batch, and while waiting
# for another's lock. The contract says a second; the test asserts three, and prints what it measured.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_store('cancel', conf => 'work_mem = 4MB');
fill($node, 'long:1', 300_000, types => 1000, pad => 50);
$node->safe_psql('postgres', q{
	VACUUM ANALYZE events.event_store;
	SELECT events.append_event('held:1', 'e', '{}');
	-- a batch that is there as arrays, so that the call itself is what is cancelled
	CREATE TABLE batch AS
		SELECT array_agg('batch:' || i % 1000) AS streams, array_agg('e' || i % 10) AS types,
		       array_agg(jsonb_build_object('i', i, 'pad', repeat('x', 100))) AS data, array_agg(md5(i::text)::uuid) AS ids
		FROM generate_series(1, 400000) i;
});

my $month = $node->safe_psql('postgres', q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});
my $pages = "SELECT pg_relation_size('events.event_store_$month')";

# Runs a statement in a session of its own; when $ready says so, sends the signal and measures until the statement has
# ended. Returns the seconds and what psql printed as errors.
sub interrupt
{
	my ($how, $sql, $ready, $database) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $tag = 'interrupt-' . int(rand(1e9));
	my $run = IPC::Run::start(
		[ 'env', "PGAPPNAME=$tag", $node->installed_command('psql'), '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database // 'postgres'), '-c', $sql ],
		'<', \$in, '>', \$out, '2>', \$err);
	my $pid;
	wait_until('the statement runs', sub {
		$pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$tag' AND state = 'active' AND backend_type = 'client backend'");
	});
	wait_until('the statement is where it is to be met', sub { $ready->($pid) });
	my $start = time;
	$node->safe_psql('postgres', "SELECT pg_${how}_backend($pid)");
	$run->finish;
	return (time - $start, $err);
}

my %expected = (cancel => qr/57014: .*canceling statement due to user request/, terminate => qr/57P01: .*terminating connection due to administrator command/);
sub check_interrupt
{
	my ($title, $sql, $ready, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $how ('cancel', 'terminate')
	{
		my ($seconds, $err) = interrupt($how, $sql, $ready, $database);
		like($err, $expected{$how}, "$title: $how ends it");
		cmp_ok($seconds, '<', 3, sprintf('%s: %s was answered in %.3f s', $title, $how, $seconds));
	}
	return;
}

my $shortly = sub { usleep(300_000); return 1 };
my $at_once = sub { return 1 };
my $waits = sub { return $node->safe_psql('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $_[0]") eq 't' };

# Reading: many times over, so that it is met within the call
check_interrupt('replay', q{SELECT count(*) FROM generate_series(1, 1000) i, LATERAL events.replay_stream('long:1', 1, 1000000 + i)}, $shortly);
check_interrupt('replay in the target list', q{SELECT count(*) FROM (SELECT events.replay_stream('long:1', i % 2) FROM generate_series(1, 1000) i) r}, $shortly);
check_interrupt('replay backward', q{SELECT count(*) FROM generate_series(1, 1000) i, LATERAL events.replay_stream_backward('long:1', 300000 + i)}, $shortly);
check_interrupt('state', q{SELECT count(events.get_stream_state('long:1', 300000 + i)) FROM generate_series(1, 1000) i}, $shortly);
check_interrupt('last event of a type', q{SELECT count(*) FROM generate_series(1, 1000) i, LATERAL events.last_event('long:1', 'none_' || i)}, $shortly);
check_interrupt('events by time', q{SELECT count(*) FROM generate_series(1, 1000) i, LATERAL events.events_by_time('-infinity', 'infinity', NULL, 1000000 + i)}, $shortly);
check_interrupt('find events', q{SELECT count(*) FROM generate_series(1, 1000) i, LATERAL events.find_events('{}', NULL, NULL, NULL, 1000000 + i)}, $shortly);

# Within one call: the statement's own time limit ends it in its course
for my $call ('count(*) FROM events.replay_stream(\'long:1\')', 'events.get_stream_state(\'long:1\')')
{
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSET statement_timeout = '20ms';\nSELECT $call");
	like($err, qr/57014/, "$call: ended within the call");
}

# A batch: as it starts, and while it writes
my $batch = 'SELECT count(*) FROM batch, LATERAL events.append_events(streams, types, data)';
my $with_ids = 'SELECT count(*) FROM batch, LATERAL events.append_events(streams, types, data, p_event_ids => ids)';
my $written;
my $writes = sub { return $node->safe_psql('postgres', $pages) > $written + 1_000_000 };
$written = $node->safe_psql('postgres', $pages);
check_interrupt('batch at its start', $batch, $at_once);
check_interrupt('batch', $batch, $shortly);
for my $how ('cancel', 'terminate')
{
	$written = $node->safe_psql('postgres', $pages);
	my ($seconds, $err) = interrupt($how, $batch, $writes);
	like($err, $expected{$how}, "batch that writes: $how ends it");
	cmp_ok($seconds, '<', 3, sprintf('batch that writes: %s was answered in %.3f s', $how, $seconds));
}
check_interrupt('batch with ids', $with_ids, sub { usleep(1_000_000); return 1 });
is($node->safe_psql('postgres', q{SELECT count(*) FROM events.streams WHERE category = 'batch'}), 0, 'of the batches nothing is stored');

# Waiting for another's transaction: for a stream, for one that it has begun, for an id, for a closed stream's row
my $holder = $node->background_psql('postgres');
my $id = '00000000-0000-4000-8000-000000000001';
$holder->query_safe('BEGIN');
$holder->query_safe("SELECT events.append_event('held:1', 'e', '{}'), events.append_event('begun:1', 'e', '{}', p_event_id => '$id')");
check_interrupt('waiting for a stream', q{SELECT events.append_event('held:1', 'e', '{}')}, $waits);
check_interrupt('waiting for a stream that is begun', q{SELECT events.append_event('begun:1', 'e', '{}')}, $waits);
check_interrupt('waiting for an id', qq{SELECT events.append_event('free:1', 'e', '{}', p_event_id => '$id')}, $waits);
check_interrupt('a batch waiting for a stream', q{SELECT count(*) FROM events.append_events(ARRAY['free:1', 'held:1'], ARRAY['e', 'e'], ARRAY['{}', '{}']::jsonb[])}, $waits);
check_interrupt('closing a stream that is held', q{SELECT events.close_stream('held:1', 'no')}, $waits);
# a time limit for locks is heeded as well
my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSET lock_timeout = '50ms';\nSELECT events.append_event('held:1', 'e', '{}')");
like($err, qr/55P03/, 'lock_timeout ends the wait');
$holder->query_safe('COMMIT');
# waiting for the month that another makes
$node->safe_psql('postgres', 'CREATE DATABASE empty');
create_store($node, 'empty');
$holder->query_safe("\\connect empty\nBEGIN");
$holder->query_safe("SELECT events.append_event('s:1', 'e', '{}')");
check_interrupt('waiting for a month', q{SELECT events.append_event('s:2', 'e', '{}')}, $waits, 'empty');
$holder->query_safe('ROLLBACK');
$holder->quit;

is($node->safe_psql('postgres', q{SELECT stream_id, version FROM events.streams WHERE category IN ('held', 'begun', 'free') ORDER BY 1}),
	"begun:1|1\nheld:1|2", 'of those that waited nothing is stored');
is($node->safe_psql('postgres', q{SELECT events.append_event('held:1', 'e', '{}') IS NOT NULL}), 't', 'appends go on');
check_store($node, 'after interrupts');

done_testing();

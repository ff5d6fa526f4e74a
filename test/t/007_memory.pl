# A stream of a million events is replayed and folded, and a batch of a hundred thousand is appended, in memory that
# does not grow with them.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_store('memory', conf => q{
	work_mem = 4MB
	shared_buffers = 16MB
	max_parallel_workers_per_gather = 0
});
my $events = 1_000_000;
fill($node, 'long:1', $events, types => 20, pad => 10, batch => 100_000);
$node->safe_psql('postgres', q{
	CREATE TABLE batch AS
		SELECT array_agg('batch:' || i % 1000 ORDER BY i) AS streams, array_agg('e' || i % 10 ORDER BY i) AS types,
		       array_agg(jsonb_build_object('i', i, 'pad', repeat('x', 200)) ORDER BY i) AS data,
		       array_agg(md5(i::text)::uuid ORDER BY i) AS ids
		FROM generate_series(1, 100000) i;
});

# Runs a statement in a session of its own that has done the same in small before; returns its result, and by how much
# the memory of the backend's own grew at most, in MB.
sub growth
{
	my ($small, $sql) = @_;
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe($small);
	my ($before) = backend_memory($pid);
	my $most = $before;
	$session->query_until(qr/started/, "\\echo started\n$sql;\n\\echo ended\n");
	my $printed = '';
	wait_until('the statement ends', sub {
		for (1 .. 20)
		{
			my ($now) = backend_memory($pid);
			$most = $now if $now > $most;
			usleep(5_000);
		}
		$session->{run}->pump_nb;
		return $session->{stdout} =~ /ended/;
	});
	my ($result) = $session->{stdout} =~ /^(.*)\n/;
	my ($own, $peak) = backend_memory($pid);
	$session->{stdout} = '';
	$session->quit;
	return ($result, $most - $before, $peak);
}

sub check_growth
{
	my ($title, $limit, $small, $sql, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($result, $growth, $peak) = growth($small, $sql);
	is($result, $expected, "$title: the result is right");
	cmp_ok($growth, '<', $limit, sprintf('%s: the backend grew by %.1f MB at most (peak %.0f MB with what it shares)', $title, $growth, $peak));
	return;
}

my $sum = $events * ($events + 1) / 2;
my $warm = "count(*) FROM events.replay_stream('long:1', 1, 1000)";
check_growth('replay', 100, "SELECT $warm",
	"SELECT count(*) || ' ' || sum((event_data->>'n')::bigint) FROM events.replay_stream('long:1')", "$events $sum");
check_growth('replay in the target list', 100, "SELECT $warm",
	"SELECT count(*) FROM (SELECT events.replay_stream('long:1')) r", $events);
check_growth('replay through a cursor', 100, "SELECT $warm",
	"BEGIN; DECLARE c CURSOR FOR SELECT stream_version FROM events.replay_stream('long:1'); MOVE $events IN c; FETCH c; COMMIT; SELECT 'done'",
	'done');
check_growth('replay backward', 100, "SELECT $warm",
	"SELECT count(*) FROM events.replay_stream_backward('long:1')", $events);
check_growth('replay of the end', 20, "SELECT $warm",
	"SELECT count(*) FROM events.replay_stream('long:1', $events - 10)", 11);
check_growth('state', 100, "SELECT $warm",
	"SELECT count(*) FROM jsonb_object_keys(events.get_stream_state('long:1'))", 20);
check_growth('state at a version', 100, "SELECT $warm",
	"SELECT events.get_stream_state('long:1', $events - 1)->'type_19'->>'n'", $events - 1);
check_growth('last event of a type that there is none of', 100, "SELECT $warm",
	"SELECT count(*) FROM events.last_event('long:1', 'none')", 0);
check_growth('version', 20, "SELECT $warm", "SELECT events.stream_version('long:1')", $events);
check_growth('events by time', 100, "SELECT $warm",
	"SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', NULL, 2000000)", $events);
check_growth('find events', 100, "SELECT $warm",
	"SELECT count(*) FROM events.find_events('{}', NULL, NULL, NULL, 2000000)", $events);
check_growth('many single appends in one statement', 100, "SELECT events.append_event('small:1', 'e', '{}') IS NOT NULL",
	q{SELECT count(events.append_event('single:' || i % 10, 'e', '{"i": 1}')) FROM generate_series(1, 100000) i}, 100000);

# The arrays themselves take about 30 MB.
check_growth('batch of 100,000', 250, "SELECT events.append_event('small:1', 'e', '{}') IS NOT NULL",
	'SELECT count(*) FROM batch, LATERAL events.append_events(streams, types, data)', 100000);
check_growth('batch of 100,000 with ids', 250, "SELECT events.append_event('small:1', 'e', '{}') IS NOT NULL",
	'SELECT count(*) FROM batch, LATERAL events.append_events(streams, types, data, p_event_ids => ids)', 100000);
check_growth('the same batch with ids again', 250, "SELECT events.append_event('small:1', 'e', '{}') IS NOT NULL",
	'SELECT count(*) FROM batch, LATERAL events.append_events(streams, types, data, p_event_ids => ids)', 100000);
is($node->safe_psql('postgres', q{SELECT count(*), sum(version) FROM events.streams WHERE category = 'batch'}), '1000|200000', 'the batches are stored');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (
		SELECT event_data->>'i' AS i, stream_version, row_number() OVER (PARTITION BY stream_id ORDER BY (event_data->>'i')::int) AS place
		FROM events.event_store WHERE stream_id LIKE 'batch:%' AND stream_version <= 100) e WHERE place <> stream_version}),
	0, 'in the order given');

# A result as large as its stream goes to disk when it is kept; no more than that is left behind
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_ls_tmpdir()"), 0, 'no temporary file stays');
check_store($node, 'after a million events');

done_testing();

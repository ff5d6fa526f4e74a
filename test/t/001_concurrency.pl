# Versions under concurrency: dense, one winner, no failure without an expected version; months made once; many streams
# in one transaction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_store('concurrency', conf => "max_connections = 60\nmax_prepared_transactions = 5\n");

# Appends without an expected version, on 1 and on 3 streams, with savepoints and transactions rolled back.

foreach my $streams (1, 3)
{
	my $database = "any_$streams";
	create_store($node, $database);
	local $ENV{PGDATABASE} = $database;
	my $transactions = 100;
	my $clients = 12;
	$node->pgbench(
		"--no-vacuum -c $clients -j 2 -t $transactions -M prepared --max-tries=1",
		0,
		[ qr{actually processed: @{[ $clients * $transactions ]}/@{[ $clients * $transactions ]}}, qr{failed transactions: 0 } ],
		[qr{^$}],
		"12 clients on $streams stream(s): no append fails",
		{
			"001_any_$streams" => qq{
\\set stream random(1, $streams)
BEGIN;
SELECT events.append_event('hot:' || :stream, 'kept', '{"n": 1}');
SAVEPOINT a;
SELECT events.append_event('hot:' || :stream, 'undone', '{"n": 2}');
ROLLBACK TO SAVEPOINT a;
SELECT events.append_event('hot:' || :stream, 'kept', '{"n": 3}');
SAVEPOINT b;
SELECT events.append_event('hot:' || :stream, 'kept', '{"n": 4}', p_event_id := gen_random_uuid());
RELEASE SAVEPOINT b;
COMMIT;
BEGIN;
SELECT events.append_event('hot:' || :stream, 'undone', '{"n": 5}');
ROLLBACK;
BEGIN;
SAVEPOINT c;
SELECT events.append_event('rare:' || :stream, 'undone', '{"n": 6}');
ROLLBACK TO SAVEPOINT c;
SELECT events.append_event('hot:' || :stream, 'kept', '{"n": 7}');
COMMIT;
}
		});
	is($node->safe_psql($database, 'SELECT event_type, count(*) FROM events.event_store GROUP BY 1'),
		'kept|' . 4 * $clients * $transactions, "$streams stream(s): what was committed is there, and nothing else");
	is($node->safe_psql($database, q{SELECT count(DISTINCT stream_id) FROM events.event_store}), $streams, "$streams stream(s)");
	is($node->safe_psql($database, 'SELECT count(*) FROM auren.supplied_ids'), $clients * $transactions,
		"$streams stream(s): ids supplied");
	store_is_sound($node, $database, "$streams stream(s)");
}

# Batches over the same streams in any order do not deadlock among themselves.

create_store($node, 'batches');
{
	local $ENV{PGDATABASE} = 'batches';
	$node->pgbench(
		'--no-vacuum -c 12 -j 2 -t 50 -M prepared --max-tries=1',
		0,
		[ qr{actually processed: 600/600}, qr{failed transactions: 0 } ],
		[qr{^$}],
		'12 clients with batches over 6 streams in any order: none fails',
		{
			'001_batches' => q{
\set seed random(1, 1000000)
SELECT count(*) FROM (SELECT array_agg('batch:' || n ORDER BY md5((n * 7919 + :seed)::text)) AS ids FROM generate_series(1, 6) n) s,
	events.append_events(s.ids || s.ids, array_fill('tick'::text, ARRAY[12]), array_fill('{"n": 1}'::jsonb, ARRAY[12]));
}
		});
}
is($node->safe_psql('batches', 'SELECT count(*), count(DISTINCT stream_id) FROM events.event_store'), '7200|6', 'batches: all there');
store_is_sound($node, 'batches', 'batches');

# One expected version, sixteen racers.

sub race
{
	my ($stream, $expected, $actual, $name, %params) = @_;
	my $holder = $node->background_psql('postgres', on_error_stop => 1);
	$holder->query_safe('BEGIN');
	$holder->query_safe("SELECT events.append_event('$stream', 'held', '{}')");
	my @racers = map {
		start_psql($node, 'postgres',
			"SET application_name = 'racer'",
			"SELECT events.append_event('$stream', 'raced', '{\"racer\": $_}', p_expected_version := $expected)")
	} 1 .. 16;
	wait_until($node, 'postgres',
		q{SELECT count(*) = 16 FROM pg_stat_activity WHERE application_name = 'racer' AND wait_event_type = 'Lock'},
		'16 racers at the lock');
	$holder->query_safe($params{commit} ? 'COMMIT' : 'ROLLBACK');
	$holder->quit;
	my (@winners, @losers, @others);
	foreach my $racer (map { finish_psql($_) } @racers)
	{
		if ($racer->{rc} == 0) { push @winners, $racer; }
		elsif ($racer->{stderr} =~ /ERROR:  ZE001: version conflict in stream "$stream"\nDETAIL:  Expected version \Q$expected\E\b.*, actual version $actual\./)
		{
			push @losers, $racer;
		}
		else { push @others, $racer; }
	}
	is(@winners . ' ' . @losers, $params{commit} ? '0 16' : '1 15', "$name: winners and losers");
	is(join("\n", map { $_->{stderr} } @others), '', "$name: nothing else happens");
	return;
}

race('race:1', 0, 1, '16 racers for a new stream');
is($node->safe_psql('postgres', q{SELECT events.stream_version('race:1')}), 1, 'the winner made version 1');
race('race:1', 1, 2, '16 racers for version 2');
race('race:1', 2, 3, '16 racers who all come late', commit => 1);
is($node->safe_psql('postgres', q{SELECT string_agg(event_type, ' ' ORDER BY stream_version) FROM events.event_store}),
	'raced raced held', 'what the racers left');

# A prepared transaction holds its stream and no other; what it decides is taken up.

foreach my $outcome ('COMMIT', 'ROLLBACK')
{
	my $stream = lc "prepared:$outcome";
	my $before = $outcome eq 'COMMIT' ? 2 : 0;
	$node->safe_psql('postgres',
		"BEGIN; SELECT events.append_event('$stream', 'a', '{}'); SELECT events.append_event('$stream', 'b', '{}'); PREPARE TRANSACTION 'p'");
	my $waiter = start_psql($node, 'postgres', q{SET application_name = 'waiter'}, "SELECT events.append_event('$stream', 'c', '{}')");
	wait_until($node, 'postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'waiter' AND wait_event_type = 'Lock'},
		'the append at the lock of a prepared transaction');
	$node->safe_psql('postgres', q{SELECT events.append_event('prepared:other', 'a', '{}')});
	$node->safe_psql('postgres', "$outcome PREPARED 'p'");
	is(finish_psql($waiter)->{rc}, 0, "append after $outcome PREPARED");
	is($node->safe_psql('postgres', "SELECT events.stream_version('$stream')"), $before + 1, "version after $outcome PREPARED");
}
store_is_sound($node, 'postgres', 'races');

# Eight sessions start at once in an empty month.

sub start_together
{
	my ($database, $name, @streams) = @_;
	my $gate = $node->background_psql($database, on_error_stop => 1);
	$gate->query_safe('SELECT pg_advisory_lock(1)');
	my @starters = map {
		start_psql($node, $database,
			q{SET application_name = 'starter'},
			q{SELECT pg_advisory_lock_shared(1)},
			"SELECT events.append_event('$_', 'started', '{}')")
	} @streams;
	wait_until($node, $database,
		q{SELECT count(*) = 8 FROM pg_stat_activity WHERE application_name = 'starter' AND wait_event_type = 'Lock'},
		'8 starters at the gate');
	$gate->query_safe('SELECT pg_advisory_unlock(1)');
	$gate->quit;
	is(finish_all(@starters), '', "$name: nobody fails");
	is($node->safe_psql($database, 'SELECT count(*) FROM events.event_store'), 8, "$name: 8 events");
	my $months = month_count($node, $database);
	cmp_ok($months, '>=', 3, "$name: this month and at least two ahead");
	is( $node->safe_psql($database,
			q{SELECT count(*) FROM pg_class WHERE relnamespace = 'events'::regnamespace AND relname ~ '^event_store_\d{4}_\d{2}$'}),
		$months, "$name: each month once, and attached");
	store_is_sound($node, $database, $name);
	return;
}

create_store($node, 'empty_one');
start_together('empty_one', '8 starters on one stream', ('start:1') x 8);
create_store($node, 'empty_eight');
start_together('empty_eight', '8 starters on eight streams', map { "start:$_" } 1 .. 8);

# The maker of the months takes them back; one of those who waited makes them.

create_store($node, 'undone_month');
my $maker = $node->background_psql('undone_month', on_error_stop => 1);
$maker->query_safe('BEGIN');
$maker->query_safe(q{SELECT events.append_event('start:0', 'undone', '{}')});
my @waiters = map {
	start_psql($node, 'undone_month', q{SET application_name = 'waiter'}, "SELECT events.append_event('start:$_', 'started', '{}')")
} 1 .. 8;
wait_until($node, 'undone_month',
	q{SELECT count(*) = 8 FROM pg_stat_activity WHERE application_name = 'waiter' AND wait_event_type = 'Lock'},
	'8 appends behind the maker of the months');
$maker->query_safe('ROLLBACK');
$maker->quit;
is(finish_all(@waiters), '', 'a maker of months rolls back: those who waited succeed');
is($node->safe_psql('undone_month', 'SELECT count(*) FROM events.event_store'), 8, 'a maker of months rolls back: 8 events');
store_is_sound($node, 'undone_month', 'a maker of months rolls back');

# Ten thousand streams in one transaction, with the lock table as it comes.

is($node->safe_psql('postgres', 'SHOW max_locks_per_transaction'), 64, 'the lock table is as it comes');
create_store($node, 'many');
is( $node->safe_psql(
		'many', q{
		BEGIN;
		DO $$ BEGIN FOR i IN 1 .. 10000 LOOP PERFORM events.append_event('single:' || i, 'touched', '{"by": "single"}'); END LOOP; END $$;
		SELECT count(*) < 200 FROM pg_locks WHERE pid = pg_backend_pid();
		COMMIT;}),
	't', '10,000 streams in one transaction, one by one: few locks');
is( $node->safe_psql(
		'many', q{
		BEGIN;
		SELECT count(*), count(DISTINCT stream_id), min(stream_version), max(stream_version) FROM events.append_events(
			ARRAY(SELECT 'batch:' || n FROM generate_series(1, 10000) n), array_fill('touched'::text, ARRAY[10000]),
			array_fill('{"by": "batch"}'::jsonb, ARRAY[10000]));
		SELECT count(*) < 200 FROM pg_locks WHERE pid = pg_backend_pid();
		COMMIT;}),
	"10000|10000|1|1\nt", '10,000 streams in one batch: few locks');
is($node->safe_psql('many', 'SELECT count(*) FROM events.streams WHERE version = 1'), 20000, '20,000 streams at version 1');
store_is_sound($node, 'many', '10,000 streams');

$node->stop;
done_testing();

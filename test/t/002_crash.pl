# kill -9 of the whole server under load, synchronous_commit on: what was acknowledged is there, what is there is dense,
# ids sent again find what was kept.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_store('crash', conf => q{
fsync = on
synchronous_commit = on
full_page_writes = on
max_prepared_transactions = 10
max_wal_size = 64MB
autovacuum_naptime = 1s
});

# an append that makes a month is waited for by all others: here the first one is prepared and stays so
$node->safe_psql('postgres', 'SELECT events.create_monthly_partitions()');

# What each client sends. psql prints a result when the server has confirmed the command, so behind the commit.

sub single
{
	my ($round, $client, $stream) = @_;
	return sub {
		my ($n) = @_;
		return "SELECT 'ack ' || events.append_event('$stream', 'single', '{\"key\": \"$round.$client.$n\"}') || ' $round.$client.$n';\n";
	};
}

sub supplied_id
{
	my ($round, $client, $n) = @_;
	return sprintf('%08x-0000-4000-8000-%04x%08x', $round, $client, $n);
}

sub supplied
{
	my ($round, $client, $stream) = @_;
	return sub {
		my ($n) = @_;
		my $id = supplied_id($round, $client, $n);
		return "SELECT 'ack ' || events.append_event('$stream', 'supplied', '{\"key\": \"$round.$client.$n\"}', p_event_id := '$id') || ' $round.$client.$n';\n";
	};
}

sub batch
{
	my ($round, $client) = @_;
	return sub {
		my ($n) = @_;
		return qq{SELECT 'ack ' || event_id || ' $round.$client.$n.' || ordinality FROM events.append_events(
			ARRAY(SELECT 'crash:' || i % 5 FROM generate_series(1, 50) i), array_fill('batch'::text, ARRAY[50]),
			ARRAY(SELECT jsonb_build_object('key', '$round.$client.$n.' || i, 'filler', repeat('x', i * 20)) FROM generate_series(1, 50) i)) WITH ORDINALITY;\n};
	};
}

# savepoints and rollbacks; acknowledged by the line behind COMMIT
sub transaction
{
	my ($round, $client, $stream) = @_;
	return sub {
		my ($n) = @_;
		my $append = "SELECT events.append_event('$stream', 'kept', '{\"key\": \"$round.$client.$n\"}') AS id \\gset\n";
		my $undone = "SELECT events.append_event('$stream', 'undone', '{}') AS none \\gset\n";
		return "BEGIN;\nSAVEPOINT a;\n${undone}ROLLBACK TO a;\n${append}COMMIT;\n\\echo ack :id $round.$client.$n\nBEGIN;\n${undone}ROLLBACK;\n";
	};
}

sub start_client
{
	my ($make, $file) = @_;
	append_to_file($file, join('', map { $make->($_) } 1 .. 20000));
	my %client = (stderr => '', out => "$file.out"); # a file: a pipe that nobody empties would stop the client
	$client{handle} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', \undef, '>', $client{out}, '2>', \$client{stderr});
	return \%client;
}

# The server and all its processes, at once.
sub kill_server
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @children = split ' ', slurp_file("/proc/$postmaster/task/$postmaster/children");
	$node->kill9;
	kill 'KILL', @children;
	foreach my $attempt (1 .. 1000)
	{
		last if !grep { kill 0, $_ } @children;
		usleep(10_000);
	}
	return;
}

my @acknowledged;
foreach my $round (1 .. 3)
{
	$node->safe_psql('postgres',
		"BEGIN; SELECT events.append_event('prepared:$round', 'prepared', '{}'); PREPARE TRANSACTION 'p$round'");
	my $directory = $node->basedir . "/clients_$round";
	mkdir $directory;
	my @clients = (
		start_client(single($round, 1, 'crash:1'), "$directory/1"),
		start_client(single($round, 2, 'crash:1'), "$directory/2"),
		start_client(supplied($round, 3, 'crash:2'), "$directory/3"),
		start_client(batch($round, 4), "$directory/4"),
		start_client(transaction($round, 5, 'crash:3'), "$directory/5"));
	my $before = $round == 1 ? 0 : $node->safe_psql('postgres', 'SELECT count(*) FROM events.event_store');
	wait_until($node, 'postgres', "SELECT count(*) > $before + 2000 FROM events.event_store", 'load');
	usleep(200_000 * $round);
	kill_server();
	my @acks;
	foreach my $client (@clients)
	{
		$client->{handle}->finish;
		is($client->{handle}->result(0) == 0 ? 'came to its end' : 'was cut off', 'was cut off', "round $round: a client");
		unlike($client->{stderr}, qr/ERROR/, "round $round: a client saw no other error");
		push @acks, slurp_file($client->{out}) =~ /^ack (\S+) (\S+)$/mg;
	}
	cmp_ok(scalar @acks, '>', 2 * 500, "round $round: " . @acks / 2 . ' events acknowledged');
	push @acknowledged, @acks;

	$node->start;

	# acknowledged is stored, with what it said
	my $file = $node->basedir . "/acks_$round";
	my @pairs = @acknowledged;
	my $lines = '';
	while (my ($id, $key) = splice @pairs, 0, 2) { $lines .= "$id\t$key\n"; }
	append_to_file($file, $lines);
	is( $node->safe_psql(
			'postgres', qq{
			CREATE TEMP TABLE acks (event_id uuid, key text);
			COPY acks FROM '$file';
			SELECT a.* FROM acks a LEFT JOIN events.event_store e USING (event_id) WHERE e.event_data ->> 'key' IS DISTINCT FROM a.key}),
		'', "round $round: what was acknowledged is stored");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM events.event_store WHERE event_type = 'undone'}), 0,
		"round $round: what was rolled back is not");
	is( $node->safe_psql(
			'postgres', q{
			SELECT split_part(event_data ->> 'key', '.', 1), split_part(event_data ->> 'key', '.', 2), split_part(event_data ->> 'key', '.', 3), count(*)
			FROM events.event_store WHERE event_type = 'batch' GROUP BY 1, 2, 3 HAVING count(*) <> 50}),
		'', "round $round: batches are whole");
	is($node->safe_psql('postgres', q{SELECT event_data ->> 'key' FROM events.event_store WHERE event_data ? 'key' GROUP BY 1 HAVING count(*) > 1}),
		'', "round $round: nothing is there twice");

	# the client that supplies ids sends its last ones again, and those that it does not know of
	my $known = $node->safe_psql('postgres', "SELECT count(*) FROM events.event_store WHERE event_type = 'supplied' AND event_data ->> 'key' LIKE '$round.%'");
	my $again = '';
	foreach my $n ($known - 5 .. $known + 5)
	{
		$again .= supplied($round, 3, 'crash:2')->($n) if $n > 0;
	}
	$node->safe_psql('postgres', $again);
	is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT event_data ->> 'key') FROM events.event_store WHERE event_type = 'supplied' AND event_data ->> 'key' LIKE '$round.%'"),
		($known + 5) . '|' . ($known + 5), "round $round: ids sent again write what is missing and nothing else");

	# a prepared transaction is still undecided
	is($node->safe_psql('postgres', "SELECT events.stream_exists('prepared:$round')"), 'f', "round $round: prepared, not committed");
	$node->safe_psql('postgres', ($round == 2 ? 'ROLLBACK' : 'COMMIT') . " PREPARED 'p$round'");
	$node->safe_psql('postgres', "SELECT events.append_event('prepared:$round', 'after', '{}')");
	is($node->safe_psql('postgres', "SELECT events.stream_version('prepared:$round')"), $round == 2 ? 1 : 2, "round $round: decided");
	store_is_sound($node, 'postgres', "round $round");
}

# One backend killed while it appends: the server starts again by itself, and keeps the same promises.
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
my $victim = start_client(batch(9, 1), $node->basedir . '/victim');
wait_until($node, 'postgres', q{SELECT count(*) > 500 FROM events.event_store WHERE event_data ->> 'key' LIKE '9.%'}, 'the victim');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%append_events%' AND pid <> pg_backend_pid()});
kill 'KILL', $pid;
$victim->{handle}->finish;
wait_until_up($node);
my @last = slurp_file($victim->{out}) =~ /^ack (\S+) \S+$/mg;
cmp_ok(scalar @last, '>=', 500, 'the killed backend had acknowledged events');
my $stored = $node->safe_psql('postgres', q{SELECT count(*) FROM events.event_store WHERE event_data ->> 'key' LIKE '9.%'});
is($stored % 50, 0, 'a killed backend leaves whole batches');
cmp_ok($stored, '>=', scalar @last, 'a killed backend leaves what it acknowledged');
store_is_sound($node, 'postgres', 'a killed backend');

$node->stop;
done_testing();

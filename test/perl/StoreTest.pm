# What the TAP tests share: a server with a store in it, and the checks that every test that writes ends with.

package StoreTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  new_store start_store restart_after_kill create_store fill
  bench race_function
  check_store check_indexes store_digest
  wait_until sessions_waiting backend_memory
);

# A running server with the extension in database postgres. Options: streaming ('1' or 'logical'), conf.
sub new_store
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(
		allows_streaming => $options{streaming} // 0,
		extra => [ '--encoding=UTF8', '--locale=C' ]);
	start_store($node, $options{conf});
	create_store($node);
	return $node;
}

# Settings that bound what a test takes of the machine; fsync stays off as the test cluster has it: a killed process
# loses nothing that it gave to the kernel.
sub start_store
{
	my ($node, $conf) = @_;
	$node->append_conf('postgresql.conf', q{
		shared_buffers = 64MB
		max_connections = 60
		max_wal_size = 1GB
		log_statement = none
		autovacuum = off
		timezone = 'UTC'
	});
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	return;
}

sub create_store
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', 'CREATE EXTENSION auren_events');
	return;
}

# The server was killed with SIGKILL. Its children notice and go; until they have gone it does not start.
sub restart_after_kill
{
	my ($node) = @_;
	for (1 .. 300)
	{
		return if $node->start(fail_ok => 1);
		usleep(100_000);
		# what is left of the attempt
		$node->stop('fast', fail_ok => 1);
	}
	BAIL_OUT('the server does not start after it was killed');
	return;
}

# Appends events numbered 1 to $count to a stream, in batches.
sub fill
{
	my ($node, $stream, $count, %options) = @_;
	my $batch = $options{batch} // 50_000;
	my $types = $options{types} // 10;
	my $pad = $options{pad} // 100;
	for (my $from = 1; $from <= $count; $from += $batch)
	{
		my $to = $from + $batch - 1;
		$to = $count if $to > $count;
		$node->safe_psql($options{database} // 'postgres', qq{
			SELECT count(*) FROM events.append_events(
				(SELECT array_agg('$stream'::text) FROM generate_series($from, $to)),
				(SELECT array_agg('type_' || i % $types ORDER BY i) FROM generate_series($from, $to) i),
				(SELECT array_agg(jsonb_build_object('n', i, 'pad', repeat('x', $pad)) ORDER BY i)
				   FROM generate_series($from, $to) i))});
	}
	return;
}

# Runs pgbench with the scripts given (text each) and asserts that no client failed. Options: clients, count (per
# client), args. Returns pgbench's output.
sub bench
{
	my ($node, $title, $scripts, %options) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my @command = (
		$node->installed_command('pgbench'), '-n', '-M', $options{mode} // 'prepared',
		'-c', $options{clients} // 8, '-j', 2, '-t', $options{count} // 100, '-h', $node->host, '-p', $node->port);
	my $number = 0;
	for my $script (@$scripts)
	{
		my $file = "$directory/" . ++$number . '.sql';
		append_to_file($file, $script);
		push @command, '-f', $file;
	}
	push @command, @{ $options{args} // [] }, $options{database} // 'postgres';
	my ($out, $err) = ('', '');
	my $done = IPC::Run::run(\@command, '>', \$out, '2>', \$err, IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
	ok($done, "$title: every client ends well") or diag($out, $err);
	like($out, qr/number of failed transactions: 0 /, "$title: no transaction failed") or diag($err);
	return $out;
}

# race(stream, expected, who): what an append that races was told, as SQLSTATE and DETAIL ('00000' when it won).
sub race_function
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', q{
		CREATE TABLE outcome (round text, state text, detail text);
		CREATE FUNCTION race(stream text, expected bigint, race_round text) RETURNS void LANGUAGE plpgsql AS $$
		DECLARE
			detail text;
		BEGIN
			PERFORM events.append_event(stream, 'raced', '{}', p_expected_version => expected);
			INSERT INTO outcome VALUES (race_round, '00000', '');
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			INSERT INTO outcome VALUES (race_round, SQLSTATE, detail);
		END $$});
	return;
}

# What must hold of every store at every time; each query gives the rows that contradict.
my @contradictions = (
	[ 'versions of each stream are 1..n', q{
		SELECT tenant_id, stream_id, min(stream_version), max(stream_version), count(*) FROM events.event_store
		GROUP BY 1, 2 HAVING min(stream_version) <> 1 OR max(stream_version) <> count(*)
		                  OR count(DISTINCT stream_version) <> count(*)} ],
	[ 'event ids are unique within a tenant', q{
		SELECT tenant_id, event_id, count(*) FROM events.event_store GROUP BY 1, 2 HAVING count(*) > 1} ],
	[ 'positions are unique and behind the sequence', q{
		SELECT global_position, count(*) FROM events.event_store GROUP BY 1
		HAVING count(*) > 1 OR global_position > (SELECT last_value FROM events.global_position_seq)} ],
	[ 'positions and times ascend with the versions of a stream', q{
		SELECT * FROM (
			SELECT tenant_id, stream_id, stream_version, global_position, created_at,
			       lag(global_position) OVER w AS position_before, lag(created_at) OVER w AS time_before
			FROM events.event_store WINDOW w AS (PARTITION BY tenant_id, stream_id ORDER BY stream_version)) e
		WHERE global_position <= position_before OR created_at < time_before} ],
	[ 'a stream has a row exactly when it has an event, with its months', q{
		SELECT * FROM (
			SELECT tenant_id, stream_id, date_trunc('month', min(created_at) AT TIME ZONE 'UTC')::date AS first,
			       date_trunc('month', max(created_at) AT TIME ZONE 'UTC')::date AS last
			FROM events.event_store GROUP BY 1, 2) e
		FULL JOIN events.stream_rows s USING (tenant_id, stream_id)
		WHERE e.first IS NULL OR s.first_month IS NULL OR s.first_month > e.first OR s.last_month <> e.last} ],
	[ 'ids that were supplied say where their events are', q{
		SELECT * FROM events.supplied_ids i
		LEFT JOIN events.event_store e ON e.tenant_id = i.tenant_id AND e.event_id = i.event_id
		WHERE e.event_id IS NULL OR e.global_position <> i.global_position
		   OR i.month <> date_trunc('month', e.created_at AT TIME ZONE 'UTC')::date} ],
	[ 'every month has all its indexes, valid, and its TRUNCATE trigger', q{
		SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = 'events.event_store'::regclass
		  AND ((SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid AND x.indisready) < 7
		       OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_truncate'
		                      AND t.tgenabled = 'A')
		       OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_change'
		                      AND t.tgenabled = 'A'))} ]);

sub check_store
{
	my ($node, $title, $database) = @_;
	$database //= 'postgres';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $contradiction (@contradictions)
	{
		my ($what, $query) = @$contradiction;
		is($node->safe_psql($database, "$query LIMIT 5"), '', "$title: $what");
	}
	check_indexes($node, $title, $database);
	return;
}

# Heap and indexes agree, in both directions. (A standby is read as it is: it takes no lock for --parent-check.)
sub check_indexes
{
	my ($node, $title, $database, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @command = ($node->installed_command('pg_amcheck'), '--heapallindexed', '--exclude-schema=pg_toast');
	push @command, '--parent-check' unless $options{standby};
	$node->safe_psql($database // 'postgres', 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS amcheck')
	  unless $options{standby};
	my ($out, $err) = ('', '');
	my $clean = IPC::Run::run([ @command, '-h', $node->host, '-p', $node->port, $database // 'postgres' ],
		'>', \$out, '2>', \$err);
	ok($clean && $out eq '' && $err eq '', "$title: pg_amcheck finds nothing") or diag($out, $err);
	return;
}

# All that a store holds, as one value.
sub store_digest
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres', q{
		SELECT 'events ' || count(*) || ' ' || coalesce(md5(string_agg(md5(e::text), '' ORDER BY global_position)), '')
		FROM events.event_store e
		UNION ALL SELECT 'streams ' || count(*) || ' ' || coalesce(md5(string_agg(s::text, ',' ORDER BY tenant_id, stream_id)), '')
		FROM events.stream_rows s
		UNION ALL SELECT 'ids ' || count(*) || ' ' || coalesce(md5(string_agg(i::text, ',' ORDER BY event_id, tenant_id)), '')
		FROM events.supplied_ids i
		UNION ALL SELECT 'bindings ' || coalesce(string_agg(b::text, ',' ORDER BY b::text), '') FROM events.tenant_bindings b});
}

# Waits until the code gives a true value, at most for the time that tests are given.
sub wait_until
{
	my ($what, $code) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $code->();
		usleep(100_000);
	}
	BAIL_OUT("waited in vain: $what");
	return 0;
}

# How many client sessions wait for a lock.
sub sessions_waiting
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Lock'");
}

# Memory of its own that a backend holds now, and the most that it has held with what it shares, in MB.
sub backend_memory
{
	my ($pid) = @_;
	my $status = slurp_file("/proc/$pid/status");
	my ($own) = $status =~ /^RssAnon:\s+(\d+) kB/m;
	my ($peak) = $status =~ /^VmHWM:\s+(\d+) kB/m;
	return ($own / 1024, $peak / 1024);
}

1;

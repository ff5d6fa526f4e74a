# What the TAP tests share: a server with the store in it, statements with their SQLSTATE, sessions that run side by
# side, load, and the checks that every store must pass after it was written to.

package EventStore;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  new_store new_bounded_store start_bounded restart_after_kill create_store
  fails_with start_psql finish_psql finish_all wait_until wait_until_up wait_for bench
  store_is_sound indexes_are_sound
  month_count sessions_waiting rss_anon
);

# A started server with the extension in database postgres. What the caller adds to postgresql.conf stands in `conf`.
sub new_store
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%{ $params{init} // {} });
	$node->append_conf('postgresql.conf', $params{conf}) if defined $params{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');
	return $node;
}

# The same, but with settings that bound what a test takes of the machine, and with the locale C.
sub new_bounded_store
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ], %{ $params{init} // {} });
	start_bounded($node, $params{conf});
	$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');
	return $node;
}

# Starts a server that has been initialized. fsync stays off as the test cluster has it: a killed process loses nothing that
# it gave to the kernel.
sub start_bounded
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

# One more database with an empty store.
sub create_store
{
	my ($node, $database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION auren_events');
	return;
}

# Runs a statement that must fail with this SQLSTATE; what psql said is returned for further tests. Parameter `like`
# must match it.
sub fails_with
{
	my ($node, $database, $sql, $sqlstate, $name, %params) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($database, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ],
		on_error_stop => 1, ($params{psql} ? %{ $params{psql} } : ()));
	isnt($rc, 0, "$name: fails");
	like($stderr, qr/ERROR:  $sqlstate: /, "$name: $sqlstate");
	like($stderr, $params{like}, "$name: text") if defined $params{like};
	return $stderr;
}

# Starts psql with statements and goes on. finish_psql gives what came of it.
sub start_psql
{
	my ($node, $database, @statements) = @_;
	my %session = (stdout => '', stderr => '');
	my @command = (
		'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database),
		map { ('-c', $_) } @statements);
	$session{handle} = IPC::Run::start(\@command, '<', \undef, '>', \$session{stdout}, '2>', \$session{stderr},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

sub finish_psql
{
	my ($session) = @_;
	$session->{handle}->finish;
	$session->{rc} = $session->{handle}->result(0);
	chomp @{$session}{qw(stdout stderr)};
	return $session;
}

# What went wrong in any of several sessions; empty when nothing did.
sub finish_all
{
	return join("\n", map { $_->{stderr} } grep { $_->{rc} != 0 } map { finish_psql($_) } @_);
}

# Waits for a query to give 't'; a test that never sees it stops there.
sub wait_until
{
	my ($node, $database, $query, $what) = @_;
	$node->poll_query_until($database, $query) or die "timed out waiting: $what";
	return;
}

# Waits until the code gives a true value, at most for the time that tests are given.
sub wait_for
{
	my ($what, $code) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $code->();
		usleep(100_000);
	}
	BAIL_OUT("timed out waiting: $what");
	return;
}

# Runs pgbench with the scripts given (text each) and asserts that no client failed. Parameters: clients, count (per
# client).
sub bench
{
	my ($node, $title, $scripts, %params) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my @command = (
		$node->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', $params{clients} // 8, '-j', 2,
		'-t', $params{count} // 100, '-h', $node->host, '-p', $node->port);
	my $number = 0;
	for my $script (@$scripts)
	{
		my $file = "$directory/" . ++$number . '.sql';
		append_to_file($file, $script);
		push @command, '-f', $file;
	}
	my ($out, $err) = ('', '');
	my $done = IPC::Run::run([ @command, 'postgres' ], '>', \$out, '2>', \$err,
		IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
	ok($done, "$title: every client ends well") or diag($out, $err);
	like($out, qr/number of failed transactions: 0 /, "$title: no transaction failed") or diag($err);
	return;
}

# What holds in every store, whatever happened to it. Each query lists what breaks a promise. {carried}: a stream that has lost events to a dropped
# month; {gone}: an id of one that did.
my @SOUND = (
	'versions are 1..n without a hole' => q{
		SELECT tenant_id, stream_id, count(*), min(stream_version), max(stream_version)
		FROM events.event_store WHERE NOT {carried} GROUP BY 1, 2
		HAVING min(stream_version) <> 1 OR max(stream_version) <> count(*)
		    OR count(DISTINCT stream_version) <> count(*)},
	'event ids are unique within a tenant' => q{
		SELECT tenant_id, event_id FROM events.event_store GROUP BY 1, 2 HAVING count(*) > 1},
	'positions are unique' => q{
		SELECT global_position FROM events.event_store GROUP BY 1 HAVING count(*) > 1},
	'positions and times follow the versions' => q{
		SELECT * FROM (
			SELECT tenant_id, stream_id, stream_version,
			       global_position <= lag(global_position) OVER w AS position_back,
			       created_at < lag(created_at) OVER w AS time_back
			FROM events.event_store WINDOW w AS (PARTITION BY tenant_id, stream_id ORDER BY stream_version)) s
		WHERE position_back OR time_back},
	'the sequence is not behind the events' => q{
		SELECT 1 FROM events.event_store
		HAVING max(global_position) > (SELECT last_value FROM auren.global_position_seq)},
	'stream rows agree with the events' => q{
		SELECT * FROM (
			SELECT tenant_id, stream_id, date_trunc('month', min(created_at) AT TIME ZONE 'UTC')::date AS first_month,
			       date_trunc('month', max(created_at) AT TIME ZONE 'UTC')::date AS last_month
			FROM events.event_store GROUP BY 1, 2) e
		FULL JOIN auren.stream_rows r USING (tenant_id, stream_id)
		WHERE (e.first_month IS DISTINCT FROM r.first_month OR e.last_month IS DISTINCT FROM r.last_month) AND NOT {carried}},
	'supplied ids lead to their events' => q{
		SELECT i.* FROM auren.supplied_ids i LEFT JOIN events.event_store e USING (tenant_id, event_id)
		WHERE (e.event_id IS NULL OR e.global_position <> i.global_position
		   OR date_trunc('month', e.created_at AT TIME ZONE 'UTC')::date <> i.month) AND NOT {gone}},
	'every month has its indexes, valid, and its triggers' => q{
		SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = 'events.event_store'::regclass
		  AND ((SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid AND x.indisready) < 7 - {spared}
		       OR 2 <> (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
		                AND t.tgname IN ('refuse_change', 'refuse_truncate')))});

sub store_is_sound
{
	my ($node, $database, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @promises = @SOUND;
	# A dropped month leaves the state of each of its streams, from which their versions go on. That came with 0.2.0.
	my %left = (carried => 'false', gone => 'false', spared => '0');
	if ($node->safe_psql($database, q{SELECT to_regclass('auren.opening_states') IS NOT NULL}) eq 't')
	{
		%left = (
			carried => '(tenant_id, stream_id) IN (SELECT tenant_id, stream_id FROM auren.opening_states)',
			gone => '(tenant_id, event_id) IN (SELECT tenant_id, event_id FROM auren.dropped_ids)');
		push @promises, 'versions go on after an opening balance' => q{
			SELECT tenant_id, stream_id, o.stream_version, count(*), min(e.stream_version), max(e.stream_version)
			FROM auren.opening_states o JOIN events.event_store e USING (tenant_id, stream_id) WHERE e.stream_version > o.stream_version GROUP BY 1, 2, 3
			HAVING min(e.stream_version) <> o.stream_version + 1 OR max(e.stream_version) <> o.stream_version + count(*)},
			'a dropped month is there only as an archive' => q{
			SELECT month FROM auren.month_records WHERE dropped_at IS NOT NULL AND (attached_at IS NOT NULL) <> (to_regclass('events.event_store_' || to_char(month, 'YYYY_MM')) IS NOT NULL)},
			'an attached archive has no version after the opening balance' => q{
			SELECT e.global_position FROM auren.month_records r JOIN events.event_store e ON e.created_at >= r.month::timestamp AT TIME ZONE 'UTC'
				AND e.created_at < (r.month + interval '1 month') AT TIME ZONE 'UTC' LEFT JOIN auren.opening_states o USING (tenant_id, stream_id)
			WHERE r.attached_at IS NOT NULL AND e.stream_version > coalesce(o.stream_version, 0)},
			'an id of a dropped month was supplied' => q{
			SELECT tenant_id, event_id FROM auren.dropped_ids d WHERE NOT EXISTS (SELECT FROM auren.supplied_ids s WHERE (s.event_id, s.tenant_id) = (d.event_id, d.tenant_id))},
			'imported versions were given' => q{
			SELECT tenant_id, stream_id, imported_version FROM auren.stream_rows r LEFT JOIN auren.opening_states o USING (tenant_id, stream_id) WHERE imported_version > greatest(o.stream_version,
				(SELECT max(e.stream_version) FROM events.event_store e WHERE (e.tenant_id, e.stream_id) = (r.tenant_id, r.stream_id)), 0)},
			'seals follow each other' => q{
			SELECT seal FROM (SELECT seal, row_number() OVER w AS place, previous, lag(chain, 1, decode(repeat('00', 32), 'hex')) OVER w AS before FROM auren.seals WINDOW w AS (ORDER BY seal)) s
			WHERE seal <> place OR previous <> before},
			'events are as they were sealed' => q{BEGIN; SELECT * FROM events.verify(); ROLLBACK};
		$left{spared} = q{(SELECT count(*) FROM auren.settled_indexes WHERE kind = 'none')};
	}
	while (my ($promise, $query) = splice @promises, 0, 2)
	{
		$query =~ s/\{(carried|gone|spared)\}/$left{$1}/g;
		is($node->safe_psql($database, $query), '', "$name: $promise");
	}
	# events have tags since 0.2.0
	if ($node->safe_psql($database, q{SELECT to_regclass('auren.event_tags') IS NOT NULL}) eq 't')
	{
		is( $node->safe_psql(
				$database, q{
				SELECT e.tenant_id, e.global_position, e.tag FROM (SELECT tenant_id, global_position, unnest(tags) AS tag FROM events.event_store) e
				WHERE NOT EXISTS (SELECT FROM auren.event_tags t WHERE (t.tag_hash, t.global_position) = (auren.tag_hash(e.tenant_id, e.tag), e.global_position))}),
			'', "$name: the index of tags has every tag of an event");
	}
	indexes_are_sound($node, $database, $name);
	return;
}

# Every row of the database is in every index: amcheck for the B-trees. It does not read GIN, so there the count of events by
# index is compared with the count by table.
sub indexes_are_sound
{
	my ($node, $database, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stdout, $stderr) = ('', '');
	$node->safe_psql($database, 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS amcheck');
	my $ok = IPC::Run::run(
		[ $node->installed_command('pg_amcheck'), '-h', $node->host, '-p', $node->port, '--heapallindexed', '--parent-check', $database ],
		'>', \$stdout, '2>', \$stderr);
	ok($ok && $stdout eq '' && $stderr eq '', "$name: pg_amcheck finds nothing") or diag($stdout . $stderr);
	# a search for '{}' reads a GIN index from end to end
	foreach my $column (qw(event_data metadata))
	{
		my $count = "SELECT count(*) FROM events.event_store WHERE $column @> '{}'";
		my $by_table = $node->safe_psql($database, "SET enable_bitmapscan = off; $count");
		my $by_index = $node->safe_psql($database,
			"SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; $count");
		is($by_index, $by_table, "$name: the GIN index on $column holds what the table holds");
	}
	return;
}

sub month_count
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass});
}

# Waits until a server that restarts by itself answers. psql gets the query as an argument: one that cannot connect is gone before it reads its
# input, and whoever writes to it then fails.
sub wait_until_up
{
	my ($node) = @_;
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($stdout, $stderr) = ('', '');
		IPC::Run::run([ $node->installed_command('psql'), '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres'), '-c', 'SELECT NOT pg_is_in_recovery()' ],
			'<', '/dev/null', '>', \$stdout, '2>', \$stderr);
		return if $stdout eq "t\n";
		usleep(100_000);
	}
	die 'the server did not come back';
}

# How many client sessions wait for a lock.
sub sessions_waiting
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Lock'");
}

# Private memory of a backend in kB.
sub rss_anon
{
	my ($pid) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m
	  or die "no RssAnon for $pid";
	return $kilobytes;
}

1;

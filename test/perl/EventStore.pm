# What the TAP tests share: a server with the store in it, statements with their SQLSTATE, sessions that run side by
# side, and the checks that every store must pass after it was written to.

package EventStore;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_store create_store
  fails_with start_psql finish_psql finish_all wait_until
  store_is_sound indexes_are_sound
  month_count rss_anon
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

# What holds in every store, whatever happened to it. Each query lists what breaks a promise.
my @SOUND = (
	'versions are 1..n without a hole' => q{
		SELECT tenant_id, stream_id, count(*), min(stream_version), max(stream_version)
		FROM events.event_store GROUP BY 1, 2
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
		HAVING max(global_position) > (SELECT last_value FROM events.global_position_seq)},
	'stream rows agree with the events' => q{
		SELECT * FROM (
			SELECT tenant_id, stream_id, date_trunc('month', min(created_at) AT TIME ZONE 'UTC')::date AS first_month,
			       date_trunc('month', max(created_at) AT TIME ZONE 'UTC')::date AS last_month
			FROM events.event_store GROUP BY 1, 2) e
		FULL JOIN events.stream_rows r USING (tenant_id, stream_id)
		WHERE e.first_month IS DISTINCT FROM r.first_month OR e.last_month IS DISTINCT FROM r.last_month},
	'supplied ids lead to their events' => q{
		SELECT i.* FROM events.supplied_ids i LEFT JOIN events.event_store e USING (tenant_id, event_id)
		WHERE e.event_id IS NULL OR e.global_position <> i.global_position
		   OR date_trunc('month', e.created_at AT TIME ZONE 'UTC')::date <> i.month});

sub store_is_sound
{
	my ($node, $database, $name) = @_;
	my @promises = @SOUND;
	while (my ($promise, $query) = splice @promises, 0, 2)
	{
		is($node->safe_psql($database, $query), '', "$name: $promise");
	}
	indexes_are_sound($node, $database, $name);
	return;
}

# Every event is in every index: amcheck for the B-trees. It does not read GIN, so there the count by index is compared
# with the count by table.
sub indexes_are_sound
{
	my ($node, $database, $name) = @_;
	my ($stdout, $stderr);
	my $ok = IPC::Run::run(
		[ 'pg_amcheck', '-h', $node->host, '-p', $node->port, '--heapallindexed', '--parent-check', '--install-missing',
			'--schema=events', '--schema=encrypted', $database ],
		'>', \$stdout, '2>', \$stderr);
	ok($ok, "$name: pg_amcheck finds nothing") or diag($stdout . $stderr);
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

# Private memory of a backend in kB.
sub rss_anon
{
	my ($pid) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m
	  or die "no RssAnon for $pid";
	return $kilobytes;
}

1;

# Months are settled beside readers and appends, which pass at every statement of the plan; a settled month in a dump.
# What doc/operations.md tells a DBA to do with months is run by test/tutorial/run.py.

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

my $folder = PostgreSQL::Test::Utils::tempdir();
my $keys = "$folder/seal_keys";
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys;
my $node = new_store('settle', conf => "auren_events.seal_key_file = '$keys'\nsession_preload_libraries = 'auren_events'\nautovacuum = off\ntimezone = 'UTC'\n");

sub sql { return $node->safe_psql('postgres', shift) }

sub old_store
{
	my ($database) = @_;
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
	$node->safe_psql($database, q{
		SELECT events.create_monthly_partitions(0), t.old_month('2024-01-01'), t.old_month('2024-02-01');
		SELECT count(t.old_event('user:' || n % 7, 'type' || n % 3, jsonb_build_object('n', n), '2024-01-05'::timestamptz + n * interval '1 hour')) FROM generate_series(1, 500) n;
		SELECT count(t.old_event('user:' || n % 7, 'type' || n % 3, jsonb_build_object('n', n), '2024-02-05'::timestamptz + n * interval '1 hour')) FROM generate_series(1, 500) n;
		SELECT events.append_event('user:' || n, 'noted', '{}') FROM generate_series(0, 6) n;
		ALTER TABLE events.event_store_2024_01 ENABLE ALWAYS TRIGGER refuse_truncate, ENABLE ALWAYS TRIGGER refuse_row_change;
		ALTER TABLE events.event_store_2024_02 ENABLE ALWAYS TRIGGER refuse_truncate, ENABLE ALWAYS TRIGGER refuse_row_change});
	return;
}
my $plan = 'SELECT statement FROM events.maintenance_plan() ORDER BY step';

# A transaction that has read the months stays open. Some statements of the plan wait for it; nobody waits for them.
old_store('postgres');
sql(qq{SELECT events.set_settle_policy(name, kind) FROM (VALUES ('created_at', 'brin'), ('event_id', 'brin'), ('type_time', 'short'), ('metadata_gin', 'none'), ('event_data_gin', 'none')) p (name, kind)});
my $states = q{SELECT string_agg(events.get_stream_state('user:' || n) ->> 'type0', ' ' ORDER BY n) FROM generate_series(0, 6) n};
my $before = sql($states);
my $waited = 0;
foreach my $statement (split /\n/, sql($plan))
{
	my $reader = $node->background_psql('postgres');
	$reader->query_safe('BEGIN; SELECT count(*) FROM events.event_store');
	local $ENV{PGAPPNAME} = 'settler';
	my $settler = start_psql($node, 'postgres', $statement);
	delete $ENV{PGAPPNAME};
	my $waiting = 0;
	while ($settler->{handle}->pumpable && !$waiting)
	{
		$settler->{handle}->pump_nb;
		$waiting = sql(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'settler' AND wait_event_type = 'Lock'});
		usleep(20_000);
	}
	$waited += $waiting;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', q{SET lock_timeout = '30s'; SELECT events.append_event('user:1', 'noted', '{}') IS NOT NULL;
		SELECT count(*) FROM events.event_store WHERE created_at < '2024-03-01'; SELECT count(*) > 0 FROM events.replay_stream('user:1')});
	is("$rc $stdout", "0 t\n1000\nt", "an append and reads pass: $statement") or diag($stderr);
	$reader->query_safe('COMMIT');
	$reader->quit;
	is(finish_psql($settler)->{rc}, 0, 'and it was done') or diag($settler->{stderr});
}
cmp_ok($waited, '>', 5, 'statements waited for the reader meanwhile');
is(sql($plan), '', 'the plan is empty');
is(sql(q{SELECT string_agg(state, ' ' ORDER BY month) FROM events.months WHERE month < '2025-01-01'}), 'settled settled', 'the months are settled');
is(sql($states), $before, 'the states are what they were');
is(sql(q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}), '0', 'no index is left that is not valid');
is(sql(q{SELECT "check", message FROM events.verify_installation() WHERE NOT ok AND message ~ 'index'}), '', 'events.verify_installation takes the smaller indexes for what they are');
store_is_sound($node, 'postgres', 'settled');

# A dump holds the indexes as they are; a restored month is settled again, by the pipe that the reference shows, twice.
my $indexes = q{SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text LIKE 'events.event_store_2024%' ORDER BY 1};
my $dump = "$folder/dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', $indexes), sql($indexes), 'a restored month has the indexes of the settled one');
my $piped = q{SELECT statement || ';' FROM events.maintenance_plan() ORDER BY step};
foreach my $time (1, 2)
{
	my ($out, $err) = ('', '');
	ok( IPC::Run::run([ 'psql', '-XAt', '-c', $piped, '-d', $node->connstr('restored') ], '|', [ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored') ], '>', \$out, '2>', \$err),
		"the plan by a pipe, $time") or diag($err);
	is($node->safe_psql('restored', q{SELECT string_agg(state, ' ' ORDER BY month) FROM events.months WHERE month < '2025-01-01'}), 'settled settled', 'the months are settled');
}
is($node->safe_psql('restored', $states), $before, 'the states are what they were');
store_is_sound($node, 'restored', 'restored');

done_testing();

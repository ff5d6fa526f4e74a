# The counts of events.stats survive what a server goes through, lose nothing when sessions count at once, and never make a call fail or end a
# session, whatever becomes of the file in which they are.

use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
append_to_file($keys, 'one ' . '0123456789abcdef' x 4 . "\n");
chmod 0600, $keys;
my $node = new_bounded_store('stats', init => { allows_streaming => 1 },
	conf => "auren_events.master_key_file = '$keys'\nauren_events.notifier = off\nmax_prepared_transactions = 4\nrestart_after_crash = on\n");
my $pg_stat = $node->data_dir . '/pg_stat';

sub sql { return $node->safe_psql('postgres', join(";\n", @_)) }
# stats COLUMN...: what they show, on this server or that one
sub stats_of { my ($server, @columns) = @_; return $server->safe_psql('postgres', 'SELECT ' . join(', ', @columns) . ' FROM events.stats') }
sub stats { return stats_of($node, @_) }
sub file_of { my ($database, $kind) = @_; return "$pg_stat/auren_events_" . ($kind // 'counts') . '.1.' . $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$database'") }
sub append { return "SELECT count(events.append_event('user:' || g, 'noted', '{}')) FROM generate_series(1, $_[0]) g" }

my $file = file_of('postgres');
is((stat $file)[2] & 0777, 0600, 'the file is for the server alone');
is(stats('appends', 'replays'), '0|0', 'a new store has counted nothing');

# what a session counts before it is ended is there: a conflict, in a transaction that a terminate ends
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query('BEGIN');
	$session->query(q{DO $$ BEGIN PERFORM events.append_event('user:1', 'noted', '{}', p_expected_version := 7); EXCEPTION WHEN SQLSTATE 'ZE001' THEN NULL; END $$});
	$session->query(append(5));
	is(stats('version_conflicts', 'appends'), '0|0', 'a transaction is counted when it ends');
	my $pid = $session->query('SELECT pg_backend_pid()');
	sql("SELECT pg_terminate_backend($pid, 60000)");
	eval { $session->quit };
	is(stats('version_conflicts', 'appends'), '1|0', 'and where its session is ended, what was done');
}
sql('BEGIN', append(3), q{PREPARE TRANSACTION 'counted'});
is(stats('appends'), 3, 'what is prepared is counted');
sql(q{ROLLBACK PREPARED 'counted'});

# encrypted fields
sql('SELECT events.reset_stats()');
sql(q{CREATE TABLE values AS SELECT encrypted.encrypt_phi_field('v' || g, 'p' || g) AS value, 'p' || g AS person FROM generate_series(1, 7) g},
	q{SELECT count(encrypted.decrypt_phi_field(value, person)) FROM values},
	q{SELECT encrypted.forget_user('p1', 'asked')});
is(stats('values_encrypted', 'values_decrypted', 'persons_forgotten', 'decryptions_refused'), '7|7|1|0', 'values are counted');
fails_with($node, 'postgres', q{SELECT encrypted.decrypt_phi_field(value, person) FROM values WHERE person = 'p1'}, 'ZE006', 'a forgotten person');
fails_with($node, 'postgres', q{SELECT encrypted.decrypt_phi_field(value, 'p3') FROM values WHERE person = 'p2'}, '22000', 'the value of somebody else');
is(stats('values_encrypted', 'values_decrypted', 'decryptions_refused'), '7|7|2', 'and what could not be decrypted');
sql(q{SELECT encrypted.add_rule('personal', '{/name}', '/user')}, q{SELECT events.append_event('user:1', 'personal', '{"user": "p4", "name": "n"}')},
	q{SELECT count(*) FROM events.replay_stream_decrypted('user:1')});
is(stats('values_encrypted', 'values_decrypted', 'replays', 'events_replayed'), '8|8|1|1', 'those of events too');

# notifications that a queue with a sleeping listener does not take
{
	my $listener = $node->background_psql('postgres', on_error_stop => 1);
	$listener->query_safe('LISTEN told; BEGIN; SELECT 1');
	sql(q{SELECT events.add_notification_rule('told', 'told')}, q{SELECT pg_notify('told', repeat('x', 7000) || g) FROM generate_series(1, 20) g});
	sql(q{SELECT events.append_event('user:1', 'told', '{}')});
	is(stats('notifications_sent', 'notifications_dropped'), '1|0', 'a notification is counted');
	sql('SET auren_events.notify_below = 0', q{SELECT events.append_event('user:1', 'told', '{}')});
	is(stats('notifications_sent', 'notifications_dropped'), '1|1', 'and one that was not sent');
	sql(q{SELECT events.drop_notification_rule('told', 'told')});
	$listener->quit;
}

# Sessions that count at once, each for a tenant: the sum is exact.
sql('SELECT events.reset_stats()');
sql('ALTER DATABASE postgres SET auren_events.stats_by_tenant = on');
bench($node, 'sessions that count at once', [ q{
SELECT set_config('app.tenant_id', 'tenant ' || :client_id, false);
SELECT events.append_event('user:' || :client_id, 'noted', '{}');
BEGIN;
SELECT events.append_event('user:' || :client_id, 'noted', '{}');
SAVEPOINT s;
SELECT events.append_event('user:' || :client_id, 'undone', '{}');
ROLLBACK TO s;
SELECT count(*) FROM events.replay_stream('user:' || :client_id, 1, 2);
COMMIT;
} ], clients => 8, count => 150);
is(stats('appends', 'events_appended', 'replays'), '2400|2400|1200', 'N sessions times M appends is the sum');
is(sql(q{SELECT count(*), min(appends), max(appends), min(replays), max(replays), sum(events_replayed) = (SELECT events_replayed FROM events.stats) FROM events.stats_by_tenant}),
	'8|300|300|150|150|t', 'and of each tenant');
# a table of tenants that is full
sql(q{SELECT events.reset_stats()});
sql(q{DO $$ BEGIN FOR i IN 1 .. 1100 LOOP PERFORM set_config('app.tenant_id', 'many ' || i, true); PERFORM count(*) FROM events.replay_stream('user:1'); END LOOP; END $$});
is(sql(q{SELECT count(*), count(tenant_id), sum(replays), max(replays) FILTER (WHERE tenant_id IS NULL) FROM events.stats_by_tenant}), '1001|1000|1100|100',
	'the first thousand tenants have a row of their own, the others one');
# Rows that are given back go to other tenants, also while a session has counted for one of them, and a file that is made anew is another table. The
# session counts on for its own tenant only.
{
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	my $by_tenant = q{SELECT string_agg(tenant_id || ' ' || appends, ', ' ORDER BY tenant_id) FROM events.stats_by_tenant};
	$session->query_safe(q{SET app.tenant_id = 'first'; } . append(2));
	sql('SELECT events.reset_stats()', q{SET app.tenant_id = 'second'}, append(3));
	is(sql($by_tenant), 'second 3', 'after a reset a row is its new tenant\'s');
	$session->query_safe(append(4));
	is(sql($by_tenant), 'first 4, second 3', 'and the session gets one anew');
	$session->query_safe('BEGIN; ' . append(5));
	sql('SELECT events.reset_stats()', q{SET app.tenant_id = 'second'}, append(3));
	$session->query_safe('COMMIT');
	is(sql($by_tenant), 'second 3', 'what an open transaction has counted for a row that was given back is nobody\'s');
	is(stats('appends'), 8, 'but counted');
	truncate file_of('postgres', 'tenants'), 0 or die;
	$session->query_safe(append(6)) for 1 .. 2;
	sql(q{SET app.tenant_id = 'third'}, append(7));
	is(sql($by_tenant), 'third 7', 'a file that was cut short is made anew');
	wait_for('the session counts for its tenant again', sub { $session->query_safe(append(1)); return sql($by_tenant) =~ /^first \d, third 7$/ });
	# a file that somebody removed all the same
	unlink file_of('postgres', 'tenants') or die;
	$session->query_safe('SELECT events.reset_stats()');
	is($session->query_safe($by_tenant), '', 'a reset finds nothing where the file is gone');
	$session->query_safe(append(2));
	is(sql($by_tenant), 'first 2', 'and the session counts where others look');
	$session->quit;
}
sql('ALTER DATABASE postgres RESET auren_events.stats_by_tenant');

# restarts
sql('SELECT events.reset_stats()', append(11));
my $since = stats('stats_since');
$node->restart;
is(stats('appends', 'stats_since'), "11|$since", 'a restart keeps them');
sql(append(2));
$node->stop('immediate');
$node->start;
is(stats('appends'), 13, 'an immediate stop too');
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query(append(4));
	$session->query('BEGIN');
	$session->query(append(4));
	my $pid = $session->query('SELECT pg_backend_pid()');
	like($pid, qr/^\d+$/, 'a session') and kill 'KILL', $pid;
	# when it is reaped the server has begun to start anew
	wait_for('the session is gone', sub { !kill 0, $pid });
	wait_until_up($node);
	is(stats('appends'), 17, 'and a session that is killed, without what it had not committed');
	eval { $session->quit };
}

# a file that is damaged is made anew
sub damaged
{
	my ($title, $damage) = @_;
	$node->stop;
	$damage->();
	$node->start;
	is(sql(append(1)), 1, "$title: appends go on");
	is(stats('appends'), 1, "$title: it is made anew");
	return;
}
damaged('a file that is too short', sub { truncate $file, 100 or die });
damaged('an empty file', sub { truncate $file, 0 or die });
damaged('a file that is not ours', sub { unlink $file; append_to_file($file, 'nonsense' x 1000) });
damaged('a file that is gone', sub { unlink $file or die });
create_store($node, 'other');
$node->safe_psql('other', append(5));
my $others_file = file_of('other');
damaged('the file of another database', sub { copy($others_file, $file) or die });
is($node->safe_psql('other', 'SELECT appends FROM events.stats'), 5, 'which has its own');

# A file that is cut short, or that the disk has no room for, ends no session, and what is counted meanwhile is counted later.
{
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	is($session->query_safe(append(3)), 3, 'a session that has mapped the file');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	truncate $file, 0 or die;
	is($session->query_safe(append(5)), 5, 'appends when it was cut short');
	is($session->query_safe('SELECT pg_backend_pid()'), $pid, 'and is not ended');
	is(stats('appends'), 0, 'the file is made anew');
	wait_for('the session brings what it kept', sub { $session->query_safe('SELECT 1'); return stats('appends') == 5 });
	$session->quit;
}
SKIP:
{
	skip 'prlimit is not here', 5 if system('prlimit --version >/dev/null 2>&1') != 0;
	$node->stop;
	unlink $file or die;
	$node->start;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()');
	is(system("prlimit --pid $pid --fsize=100:unlimited"), 0, 'a session that cannot make a file of more than 100 bytes');
	is($session->query(q{SELECT count(*) FROM events.replay_stream('user:1', 1, 2)}), 2, 'reads');
	$session->query('SELECT replays FROM events.stats');
	like($session->{stderr}, qr/could not read the counts in "pg_stat.*File too large/, 'and is told why it sees no counts');
	is(system("prlimit --pid $pid --fsize=unlimited"), 0, 'when it can again');
	wait_for('it brings what it kept', sub { $session->query('SELECT 1'); return stats('replays') == 1 });
	$session->quit;
}

# A base backup takes the counts along; a standby counts what is read there, for itself.
sql('SELECT events.reset_stats()', append(6));
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(stats_of($standby, 'appends', 'replays'), '6|0', 'a standby begins with the counts of its backup');
$standby->safe_psql('postgres', q{SELECT count(*) FROM events.replay_stream('user:1')});
sql(append(1));
$node->wait_for_catchup($standby);
is(stats_of($standby, 'appends', 'replays'), '6|1', 'and counts what is done there');
is(stats('appends', 'replays'), '7|0', 'while the primary counts its own');
$standby->safe_psql('postgres', 'SELECT events.reset_stats()');
is(stats_of($standby, 'appends', 'replays'), '0|0', 'they can be set back there');
$standby->stop;

# a database that is dropped, and another one under its OID
my $oid = 987654;
for my $turn (1, 2)
{
	$node->safe_psql('postgres', "CREATE DATABASE again OID = $oid");
	$node->safe_psql('again', 'CREATE EXTENSION auren_events');
	is($node->safe_psql('again', 'SELECT appends FROM events.stats'), 0, "database $turn of an OID begins with nothing");
	$node->safe_psql('again', append(3));
	is($node->safe_psql('again', 'SELECT appends FROM events.stats'), 3, 'and counts');
	$node->safe_psql('postgres', 'DROP DATABASE again');
}
ok(-e "$pg_stat/auren_events_counts.1.$oid", 'what a dropped database leaves');
append_to_file("$pg_stat/auren_events_note", 'of somebody');
sql('SELECT events.reset_stats()');
ok(!-e "$pg_stat/auren_events_counts.1.$oid", 'is removed by the next reset');
ok(-e "$pg_stat/auren_events_note" && -e file_of('other'), 'and nothing else');

store_is_sound($node, 'postgres');
done_testing();

# Encrypted fields from outside: what stands on disk, in the WAL, in logs, dumps and a backend's memory; forgetting and old dumps; the
# audit against rollback, missing workers and standbys; the command for the master key; crash and promotion.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use File::Find ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $OLD = '0123456789abcdef' x 4;
my $NEW = 'fedcba9876543210' x 4;
my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
my $PLAIN = 'planted-heart-rate-4711';

sub write_keys
{
	my (@lines) = @_;
	open(my $file, '>', $keys) or die $!;
	print $file map { "$_\n" } @lines;
	close($file);
	chmod 0600, $keys;
	return;
}

write_keys("old $OLD");
my $node = PostgreSQL::Test::Cluster->new('phi');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<"END");
session_preload_libraries = 'auren_events'
auren_events.master_key_file = '$keys'
auren_events.master_key_command = ''
auren_events.master_key_timeout = '1min'
max_prepared_transactions = 5
max_worker_processes = 8
log_min_messages = debug1
log_error_verbosity = verbose
log_statement = all
wal_keep_size = '1GB'
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');

# The plain data key of a person, by the wrapped one and a master key: what must not stand anywhere.
sub data_key
{
	my ($user, $master_id, $master) = @_;
	my ($id, $wrapped) = split /\|/,
	  $node->safe_psql('postgres', "SELECT key_id, encode(wrapped_key, 'hex') FROM auren.data_keys WHERE user_id = '$user' ORDER BY key_version DESC LIMIT 1");
	my $script = q{
import ctypes, ctypes.util, struct, sys
user, master_id, master, key_id, wrapped = sys.argv[1:]
c = ctypes.CDLL(ctypes.util.find_library('crypto'))
for f in ('EVP_CIPHER_CTX_new', 'EVP_aes_256_gcm'):
    getattr(c, f).restype = ctypes.c_void_p
part = lambda s: struct.pack('>I', len(s)) + s.encode()
aad = b'phi1 data key' + struct.pack('>q', int(key_id)) + part(master_id) + part('default') + part(user)
w = bytes.fromhex(wrapped)
ctx = ctypes.c_void_p(c.EVP_CIPHER_CTX_new())
out = ctypes.create_string_buffer(64); n = ctypes.c_int()
assert c.EVP_DecryptInit_ex(ctx, ctypes.c_void_p(c.EVP_aes_256_gcm()), None, bytes.fromhex(master), w[:12]) == 1
assert c.EVP_DecryptUpdate(ctx, None, ctypes.byref(n), aad, len(aad)) == 1
assert c.EVP_DecryptUpdate(ctx, out, ctypes.byref(n), w[12:44], 32) == 1
assert c.EVP_CIPHER_CTX_ctrl(ctx, 0x11, 16, w[44:]) == 1
assert c.EVP_DecryptFinal_ex(ctx, ctypes.byref(out, 32), ctypes.byref(n)) == 1
print(out.raw[:32].hex())
};
	my ($stdout, $stderr) = run_command([ 'python3', '-c', $script, $user, $master_id, $master, $id, $wrapped ]);
	is($stderr, '', "the data key of $user is unwrapped outside the server");
	like($stdout, qr/^[0-9a-f]{64}$/, "the data key of $user has 32 bytes");
	return $stdout;
}

# Where any of some byte strings stands below a directory.
sub holders
{
	my ($directory, @needles) = @_;
	my $pattern = join '|', map { quotemeta } @needles;
	my @found;
	File::Find::find(
		{
			no_chdir => 1,
			wanted => sub {
				return unless -f $_;
				my $content = slurp_file($_);
				push @found, $_ if $content =~ /$pattern/;
			}
		},
		$directory);
	return @found;
}

# Values go in as parameters, as an application sends them: a literal would stand in the log of statements.
$node->safe_psql('postgres', q{SELECT encrypted.add_rule('vitals', '{/hr}', 'user:*'), encrypted.add_rule('vitals', '{/partner/hr}', '/partner/id')});
$node->safe_psql('postgres',
	q{PREPARE put (text, text, text) AS SELECT events.append_event($1, 'vitals', jsonb_build_object('hr', $2, 'partner', jsonb_build_object('id', 'q', 'hr', $3)));
	  EXECUTE put('user:p', reverse('1174-etar-traeh-detnalp'), 'partner-' || reverse('1174-etar-traeh-detnalp'));
	  SELECT events.take_snapshot('user:p');
	  SELECT encrypted.encrypt_phi_field(reverse('1174-etar-traeh-detnalp'), 'p') IS NOT NULL});
is($node->safe_psql('postgres', q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'the planted value is there');
my $key = data_key('p', 'old', $OLD);
my $partner_key = data_key('q', 'old', $OLD);
my @needles = ($PLAIN, map { ($_, pack('H*', $_)) } $key, $partner_key, $OLD);
my $before = PostgreSQL::Test::Utils::tempdir() . '/before.dump';
my $plain_dump = PostgreSQL::Test::Utils::tempdir() . '/before.sql';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $before, $node->connstr('postgres') ], 'a dump from before');
$node->command_ok([ 'pg_dump', '-f', $plain_dump, $node->connstr('postgres') ], 'and one as text');
$node->safe_psql('postgres', 'CHECKPOINT');
is_deeply([ holders($node->data_dir, @needles) ], [], 'neither value nor key stands in the data directory or the WAL');
is_deeply([ grep { index(slurp_file($_), $PLAIN) >= 0 || index(slurp_file($_), $OLD) >= 0 || index(slurp_file($_), $key) >= 0 } $node->logfile, $before, $plain_dump ],
	[], 'nor in the log or a dump');
cmp_ok(scalar(holders($node->data_dir, 'vitals')), '>', 0, 'what is not personal does stand there');

# A backend's memory: between transactions a key stands only in pages that no core dump holds.
SKIP:
{
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	is($session->query_safe(q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'a session has the keys');
	my $script = q{
import re, sys
pid, keys = sys.argv[1], [bytes.fromhex(k) for k in sys.argv[2:]]
dumped = kept = 0
area = None
for line in open('/proc/%s/smaps' % pid):
    m = re.match(r'([0-9a-f]+)-([0-9a-f]+) (r)', line)
    if m: area = (int(m[1], 16), int(m[2], 16), line)
    elif re.match(r'[0-9a-f]+-', line): area = None
    if line.startswith('VmFlags:') and area and '[v' not in area[2]:
        try:
            memory = open('/proc/%s/mem' % pid, 'rb'); memory.seek(area[0]); data = memory.read(area[1] - area[0])
        except (OSError, ValueError):
            continue
        n = sum(data.count(k) for k in keys)
        if ' dd' in line: kept += n
        else: dumped += n
print(dumped, kept)
};
	my ($stdout, $stderr) = run_command([ 'python3', '-c', $script, $pid, $key, $partner_key, $OLD ]);
	skip "the system lets nobody read a process's memory: $stderr", 1 if $stdout !~ /^\d+ \d+$/;
	my ($dumped, $kept) = split / /, $stdout;
	is($dumped, 0, 'no key stands where a core dump would hold it');
	cmp_ok($kept, '>=', 3, 'the keys stand in pages that none holds');
	$session->quit;
}

# The audit survives the rollback, and a statement that fails.
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET auren_events.audit_decrypt = on});
my $audited = q{SELECT string_agg(user_id || field || coalesce(reason, ''), ' ' ORDER BY at) FROM encrypted.audit WHERE action = 'decrypt'};
$node->safe_psql('postgres', q{SET auren_events.decrypt_reason = ' treatment'; BEGIN; SELECT * FROM events.replay_stream_decrypted('user:p'); ROLLBACK});
is($node->safe_psql('postgres', $audited), 'p/hr treatment q/partner/hr treatment', 'what a rolled-back transaction decrypted is in the audit');
my ($rc) = $node->psql('postgres', q{SELECT 1 / length(events.get_stream_state_decrypted('user:p')::text) - 1 / 0});
isnt($rc, 0, 'a statement that fails');
$node->psql('postgres', q{DO $$ BEGIN PERFORM events.get_stream_state_decrypted('user:p'); RAISE 'undone'; END $$});
is($node->safe_psql('postgres', $audited), 'p/hr treatment q/partner/hr treatment p/hr q/partner/hr', 'one that failed after it decrypted likewise');
is($node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 1000), events.replay_stream_decrypted('user:p')}), 1000, 'many values in a statement');
is($node->safe_psql('postgres', q{SELECT count(*) FROM encrypted.audit WHERE action = 'decrypt'}), 6, 'a row each for a statement, person and field');
is($node->safe_psql('postgres', q{SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(array_agg(n::text), 'p', 'many'), 'p', 'many') = array_agg(n::text) FROM generate_series(1, 1000) n}),
	't', 'many values in a call');
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE field = 'many') FROM encrypted.audit WHERE action = 'decrypt'}), '7|1', 'a row for them');
is($node->safe_psql('postgres', q{SELECT encrypted.decrypt_phi_field(encrypted.encrypt_phi_field('x', 'long', repeat('ü', 100000)), 'long', repeat('ü', 100000))}), 'x', 'a field with a very long name');
is($node->safe_psql('postgres', q{SELECT octet_length(field), right(field, 18) FROM encrypted.audit WHERE user_id = 'long'}), '1018|... (200000 bytes)', 'its beginning is in the audit');
# An append that is repeated compares: whether a guess is right is something that is learnt, by a writer too who may not decrypt.
$node->safe_psql('postgres', q{CREATE ROLE guesser; SELECT events.grant_access('guesser', 'writer')});
my $guess = sub { return qq{SET ROLE guesser; BEGIN; SELECT events.append_event('user:g', 'vitals', '{"hr": $_[0]}', p_event_id => '00000000-0000-0000-0000-00000000000a'); ROLLBACK} };
$node->safe_psql('postgres', q{SELECT events.append_event('user:g', 'vitals', '{"hr": 71}', p_event_id => '00000000-0000-0000-0000-00000000000a')});
fails_with($node, 'postgres', $guess->(70), 'ZE002', 'a wrong guess');
$node->safe_psql('postgres', $guess->(71));
is($node->safe_psql('postgres', q{SELECT string_agg(user_id || field || role, ' ') FROM encrypted.audit WHERE action = 'decrypt' AND user_id = 'g'}), 'g/hrguesser g/hrguesser', 'each is in the audit, rolled back or not');
# the worker goes, and comes again
my $session = $node->background_psql('postgres', on_error_stop => 1);
my $count = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'auren_events audit'};
$session->query_safe(q{SELECT * FROM events.replay_stream_decrypted('user:p')});
wait_until($node, 'postgres', "SELECT ($count) = 0", 'an idle worker to end');
is($session->query_safe(q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'after its worker ended a session gets another');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'auren_events audit'});
wait_until($node, 'postgres', "SELECT ($count) = 0", 'a terminated worker to end');
is($session->query_safe(q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'and after it was terminated');
$session->quit;
# all sessions share half of the worker processes: one that is idle, or between two rows, gives its worker to another
my @sharing = map { $node->background_psql('postgres', on_error_stop => 1) } 1 .. 7;
my @workers;
my @values = map {
	my $value = $sharing[$_ % @sharing]->query_safe(q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')});
	push @workers, $node->safe_psql('postgres', $count);
	$value
} 1 .. 14;
is_deeply(\@values, [ ($PLAIN) x 14 ], 'more sessions than workers decrypt');
is(scalar(grep { $_ > 4 } @workers), 0, "with no more than half of the worker processes (@workers)");
# what was written for a statement is kept until the next or the end of the transaction, and no longer
my $kept = q{SELECT count(*) > 0 FROM pg_backend_memory_contexts WHERE name = 'auren_events audited'};
$sharing[0]->query_safe(q{BEGIN; SELECT count(*) FROM generate_series(1, 100) n, events.replay_stream_decrypted('user:p')});
is($sharing[0]->query_safe($kept), 't', 'what was written for a statement has a memory context');
$sharing[0]->query_safe('COMMIT');
is($sharing[0]->query_safe($kept), 'f', 'which ends with the transaction');
$_->quit foreach @sharing;
# a statement of many rows lets others in
my $before_many = $node->safe_psql('postgres', q{SELECT count(*) FROM encrypted.audit_log});
my @many = map { start_psql($node, 'postgres', qq{SELECT count(encrypted.decrypt_phi_field(encrypted.encrypt_phi_field('x', 'p', f), 'p', f)) FROM (SELECT 'many-$_-' || n AS f FROM generate_series(1, 25) n) s}) } 1 .. 6;
is_deeply([ map { finish_psql($_)->{rc} } @many ], [ (0) x 6 ], 'more statements of many rows than workers at once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM encrypted.audit_log}) - $before_many, 150, 'each of their rows is in the audit once');
# where it cannot be written nothing is decrypted
my $lock = $node->background_psql('postgres', on_error_stop => 1);
$lock->query_safe('BEGIN; LOCK TABLE encrypted.audit_log');
fails_with($node, 'postgres', q{SET statement_timeout = '500ms'; SELECT event_data FROM events.replay_stream_decrypted('user:p')}, '57014', 'while nothing can be written');
fails_with($node, 'postgres', q{SET statement_timeout = '500ms'; SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields('{1}', 'p'), 'p')}, '57014', 'nor many');
$lock->query_safe('COMMIT');
$lock->quit;
is($node->safe_psql('postgres', q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'and when it can again');
# a deadlock of the session and its worker is found, straight or by way of another session
fails_with($node, 'postgres', q{BEGIN; CREATE INDEX ON encrypted.audit_log (at); SELECT event_data FROM events.replay_stream_decrypted('user:p')},
	'40P01', 'a lock of its own on the audit', like => qr/nothing is decrypted/);
my $crossed = $node->background_psql('postgres', on_error_stop => 0);
$crossed->query('CREATE TABLE crossed (); BEGIN; LOCK TABLE crossed');
my $crossing = start_psql($node, 'postgres', q{SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE encrypted.audit_log; LOCK TABLE crossed; COMMIT});
wait_until($node, 'postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'crossed'::regclass AND NOT granted}, 'the other session to wait');
$crossed->query(q{SELECT event_data FROM events.replay_stream_decrypted('user:p')});
like($crossed->{stderr}, qr/waits for a lock of this transaction/, 'a lock of another who waits for this one');
$crossed->query('ROLLBACK');
$crossed->quit;
is(finish_psql($crossing)->{rc}, 0, 'the other one goes on');
is($node->safe_psql('postgres', q{SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')}), $PLAIN, 'and so does the audit');

# A standby cannot write the audit; without one asked for it decrypts.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('phi_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
fails_with($standby, 'postgres', q{SELECT * FROM events.replay_stream_decrypted('user:p')}, '25006', 'a standby that is asked for the audit', like => qr/nothing is decrypted/);
my $open = q{SET auren_events.audit_decrypt = off; SELECT event_data->>'hr' FROM events.replay_stream_decrypted('user:p')};
is($standby->safe_psql('postgres', $open), $PLAIN, 'without it does');
my $standby_session = $standby->background_psql('postgres', on_error_stop => 1);
is($standby_session->query_safe($open), $PLAIN, 'and keeps the key');
fails_with($standby, 'postgres', q{SELECT encrypted.encrypt_phi_field('x', 'p')}, '25006', 'a standby encrypts nothing');

# A crash: what was encrypted opens, and nonces are new ones.
$node->safe_psql('postgres', q{CREATE TABLE nonces AS SELECT encrypted.encrypt_phi_field('x', 'p') AS e FROM generate_series(1, 5000)});
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{INSERT INTO nonces SELECT encrypted.encrypt_phi_field('x', 'p') FROM generate_series(1, 4000)});
$node->safe_psql('postgres', q{INSERT INTO nonces SELECT unnest(encrypted.encrypt_phi_fields(array_fill('x'::text, '{1000}'), 'p'))});
is($node->safe_psql('postgres', q{SET auren_events.audit_decrypt = off; SELECT count(DISTINCT substr(e, 18, 16)), count(DISTINCT substr(e, 6, 12)), bool_and(encrypted.decrypt_phi_field(e, 'p') = 'x') FROM nonces}),
	'10000|1|t', 'no nonce comes twice, before and after a crash');

# A key made by a prepared transaction: used by nobody until it is committed.
$node->safe_psql('postgres', q{BEGIN; CREATE TABLE prepared AS SELECT encrypted.encrypt_phi_field('x', 'r') AS e; PREPARE TRANSACTION 'made'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM auren.data_keys WHERE user_id = 'r'}), 0, 'the key of a prepared transaction is not there yet');
$node->safe_psql('postgres', q{COMMIT PREPARED 'made'});
is($node->safe_psql('postgres', q{SET auren_events.audit_decrypt = off; SELECT encrypted.decrypt_phi_field(e, 'r') FROM prepared}), 'x', 'committed, it opens');

# Forgetting: events, snapshots, the standby; the other person stays.
my $events = $node->safe_psql('postgres', q{SELECT sha256(convert_to(string_agg(e::text, ',' ORDER BY global_position), 'UTF8')) FROM events.event_store e});
is($node->safe_psql('postgres', q{SELECT encrypted.forget_user('p', 'asked')}), 1, 'a person is forgotten');
is($node->safe_psql('postgres', q{SELECT sha256(convert_to(string_agg(e::text, ',' ORDER BY global_position), 'UTF8')) FROM events.event_store e}), $events, 'no event changed');
fails_with($node, 'postgres', q{SELECT encrypted.decrypt_phi_field(e, 'p') FROM nonces LIMIT 1}, 'ZE006', 'a value of the person');
is($node->safe_psql('postgres', q{SELECT event_data->>'hr' LIKE 'phi1:%', event_data->'partner'->>'hr' FROM events.replay_stream_decrypted('user:p')}), "t|partner-$PLAIN",
	'of two people in an event the other one is read');
$node->wait_for_catchup($standby);
is($standby_session->query_safe(q{SELECT event_data->>'hr' LIKE 'phi1:%' FROM events.replay_stream_decrypted('user:p')}), 't', 'a session of the standby that had the key opens nothing either');
$standby_session->quit;
fails_with($standby, 'postgres', q{SET auren_events.audit_decrypt = off; SELECT encrypted.decrypt_phi_field(e, 'p') FROM nonces LIMIT 1}, 'ZE006', 'nor a new one');

# What an old dump still holds: with the old master key the person is there again; with that destroyed nobody is.
sub restored
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->command_ok([ 'pg_restore', '-d', $node->connstr($name), $before ], "$name: the old dump is restored");
	return;
}
my $read = q{SET auren_events.audit_decrypt = off; SELECT count(*) FILTER (WHERE event_data->>'hr' NOT LIKE 'phi1:%') FROM events.replay_stream_decrypted('user:p')};
restored('still');
is($node->safe_psql('still', $read), 1, 'an old dump opens while the master key of its time is there');
write_keys("old $OLD", "new $NEW");
is($node->safe_psql('postgres', q{SELECT bool_or(rotation_pending) FROM encrypted.status}), 't', 'a new master key: rotation is pending');
cmp_ok($node->safe_psql('postgres', q{SELECT encrypted.rotate_master_key()}), '>', 0, 'keys are wrapped anew');
is($node->safe_psql('postgres', q{SELECT bool_or(rotation_pending) FROM encrypted.status}), 'f', 'none is pending');
write_keys("new $NEW");
is($node->safe_psql('postgres', q{SELECT event_data->'partner'->>'hr' FROM events.replay_stream_decrypted('user:p')}), "partner-$PLAIN", 'the old one destroyed: the other person is read');
restored('closed');
fails_with($node, 'closed', $read, 'F0000', 'the old dump opens nothing any more', like => qr/master key "old" is not there/);
# a dump of now: tombstone, receipt and audit are in it
my $after = PostgreSQL::Test::Utils::tempdir() . '/after.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $after, $node->connstr('postgres') ], 'a dump of now');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('again'), $after ], 'is restored');
is($node->safe_psql('again', q{SET auren_events.audit_decrypt = off; SELECT event_data->'partner'->>'hr' FROM events.replay_stream_decrypted('user:p')}), "partner-$PLAIN", 'restored: the others are read');
fails_with($node, 'again', q{SELECT encrypted.encrypt_phi_field('x', 'p')}, 'ZE006', 'restored: the forgotten stay forgotten');
is($node->safe_psql('again', q{SELECT string_agg(action || keys, ' ') FROM encrypted.audit WHERE action = 'forget'}), 'forget1', 'restored: the receipt');
fails_with($node, 'again', q{DELETE FROM encrypted.audit_log}, 'ZE003', 'restored: the audit is immutable');
$node->safe_psql('postgres', 'CHECKPOINT');
is_deeply([ holders($node->data_dir, $PLAIN, map { ($_, pack('H*', $_)) } $key, $partner_key, $OLD, $NEW) ], [], 'after all that neither value nor key stands in the data directory');

# Promoted, the standby goes on with keys and nonces of its own.
$standby->stop;
$standby->start;
$standby->promote;
$standby->safe_psql('postgres', q{CREATE TABLE more AS SELECT encrypted.encrypt_phi_field('x', 'fresh') AS e FROM generate_series(1, 10)});
is($standby->safe_psql('postgres', q{SET auren_events.audit_decrypt = off; SELECT count(DISTINCT e), bool_and(encrypted.decrypt_phi_field(e, 'fresh') = 'x') FROM more}), '10|t', 'promoted, it encrypts');
$standby->stop;

# Many people in one statement: more than a session keeps keys of.
create_store($node, 'many');
is($node->safe_psql('many', q{SELECT count(*) FROM (SELECT encrypted.encrypt_phi_field('x', n::text) AS e, n FROM generate_series(1, 12000) n) s WHERE encrypted.decrypt_phi_field(e, n::text) = 'x'}),
	12000, 'twelve thousand people');
is($node->safe_psql('many', q{SELECT count(*), count(DISTINCT user_id) FROM auren.data_keys}), '12000|12000', 'with a key each');
fails_with($node, 'many', 'DROP EXTENSION auren_events', '55006', 'keys are not dropped by the way', like => qr/holds data keys/);

# The command: its output is the file; it fails, is too slow, is cancelled, and nothing of it goes on.
sub with_command
{
	my ($command, $timeout) = @_;
	$node->adjust_conf('postgresql.conf', 'auren_events.master_key_file', "''");
	$node->adjust_conf('postgresql.conf', 'auren_events.master_key_command', "'$command'");
	$node->adjust_conf('postgresql.conf', 'auren_events.master_key_timeout', "'$timeout'");
	$node->reload;
	return;
}
my $id = 'SELECT encrypted.master_key_id()';
with_command("cat $keys", '1min');
is($node->safe_psql('postgres', $id), 'new', 'keys from a command');
with_command("cat $keys; exit 3", '1min');
fails_with($node, 'postgres', $id, 'F0000', 'a command that fails', like => qr/ended with status 3/);
with_command("cat $keys >&2; exit 1", '1min');
fails_with($node, 'postgres', $id, 'F0000', 'one that fails with words');
with_command('head -c 400000 /dev/zero', '1min');
fails_with($node, 'postgres', $id, 'F0000', 'one that writes too much', like => qr/is too long/);
my $pid_file = PostgreSQL::Test::Utils::tempdir() . '/pid';
with_command("echo \$\$ > $pid_file; sleep 1000; true", '100ms');
fails_with($node, 'postgres', $id, 'F0000', 'one that takes too long', like => qr/took too long/);
my $command_pid = slurp_file($pid_file);
chomp $command_pid;
is(kill(0, $command_pid), 0, 'it is ended');
unlink $pid_file;
with_command("echo \$\$ > $pid_file; sleep 1000; true", '1h');
my $waiting = start_psql($node, 'postgres', $id);
wait_until($node, 'postgres', "SELECT length(pg_read_file('$pid_file')) > 1", 'the command to start') if wait_for_file($pid_file);
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%master_key_id%' AND pid <> pg_backend_pid()});
finish_psql($waiting);
like($waiting->{stderr}, qr/57014/, 'one that waits is cancelled');
$command_pid = slurp_file($pid_file);
chomp $command_pid;
is(kill(0, $command_pid), 0, 'and ended');
unlink $pid_file;
$waiting = start_psql($node, 'postgres', $id);
wait_for_file($pid_file);
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%master_key_id%' AND pid <> pg_backend_pid()});
finish_psql($waiting);
like($waiting->{stderr}, qr/57P01/, 'one whose session is terminated is ended too');
$command_pid = slurp_file($pid_file);
chomp $command_pid;
# nobody waits for it any more: it may be there for a moment, until the system's first process has taken note
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if !is_alive($command_pid);
	select undef, undef, undef, 0.1;
}
ok(!is_alive($command_pid), 'with its session');
is(index(slurp_file($node->logfile), $NEW), -1, 'what it said of errors is not in the log');

store_is_sound($node, 'postgres', 'the store with encrypted fields');

# No worker at all.
$node->adjust_conf('postgresql.conf', 'auren_events.master_key_command', "'cat $keys'");
$node->adjust_conf('postgresql.conf', 'max_worker_processes', 0);
$node->restart;
fails_with($node, 'postgres', q{SELECT event_data FROM events.replay_stream_decrypted('user:p')}, '53400', 'no worker can be had', like => qr/nothing is decrypted/);
$node->stop;

# Whether a process runs; one that has ended and that nobody has waited for does not.
sub is_alive
{
	my ($pid) = @_;
	return 0 if !kill(0, $pid);
	my $state = eval { slurp_file("/proc/$pid/stat") } // return 0;
	return $state !~ /\) [ZX] /;
}

sub wait_for_file
{
	my ($file) = @_;
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if -s $file;
		select undef, undef, undef, 0.1;
	}
	die "timed out waiting for $file";
}

done_testing();

# What a session brings with it cannot weaken the settings of encrypted fields, and shows nothing of where the keys are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
open(my $file, '>', $keys) or die $!;
print $file 'one ' . '0123456789abcdef' x 4 . "\n";
close($file);
chmod 0600, $keys;
my $seal_keys = PostgreSQL::Test::Utils::tempdir() . '/seal_keys';
append_to_file($seal_keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $seal_keys;
my $node = new_store('phi_sessions', conf => qq{
auren_events.master_key_file = '$keys'
auren_events.seal_key_file = '$seal_keys'
auren_events.audit_decrypt = on
auren_events.naming = error
});
$node->safe_psql('postgres', q{CREATE ROLE reader LOGIN; CREATE ROLE trusted LOGIN; GRANT SET ON PARAMETER auren_events.audit_decrypt TO trusted;
	SELECT events.grant_access(r, 'decrypt') FROM unnest('{reader,trusted}'::text[]) r;
	CREATE TABLE envelopes AS SELECT encrypted.encrypt_phi_field('72', 'u') AS e; GRANT SELECT ON envelopes TO reader, trusted});
my $open = q{SELECT encrypted.decrypt_phi_field(e, 'u') FROM envelopes};
my $audited = q{SELECT count(*) FROM encrypted.audit_log WHERE action = 'decrypt'};

sub session
{
	my ($role, $options, $sql) = @_;
	local $ENV{PGOPTIONS} = $options;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	return ($rc, $stdout, $stderr);
}

# A client's startup options: none of them weakens what the configuration says, whatever it sets and to what.
foreach my $option ('auren_events.audit_decrypt=off', 'auren_events.audit_decrypt=on', 'AUREN_EVENTS.Audit_Decrypt=off', 'auren_events.audit_decrypt=perhaps',
	'auren_events.max_key_uses=2147483647', 'auren_events.naming=off', 'auren_events.snapshot_after=0', 'auren_events.notifier=off', 'auren_events.notify_below=0',
	'auren_events.master_key_file=/dev/null', 'auren_events.master_key_command=true', 'auren_events.master_key_timeout=1', 'auren_events.seal_key_file=/dev/null')
{
	my ($rc, $stdout, $stderr) = session('reader', "-c $option", $open);
	isnt($rc, 0, "a client that sets $option decrypts nothing");
	is($stdout, '', "$option: nothing is given");
	like($stderr, qr/ERROR:  42501: the client may not set "?auren_events\.\w+"? when it connects/i, "$option: a clear error");
	my ($again) = session('reader', "-c $option", "$open;\n$open;");
	isnt($again, 0, "$option: nor at the second attempt");
}
is($node->safe_psql('postgres', $audited), 0, 'nothing was decrypted');
# The same word by word, as psql's SET does it before the module is there.
my ($rc, $stdout, $stderr) = session('reader', '', "SET auren_events.audit_decrypt = off; SET auren_events.naming = off; $open; SHOW auren_events.audit_decrypt; SHOW auren_events.naming");
is($stdout, "72\non\nerror", 'SET before the module is there changes nothing');
is($node->safe_psql('postgres', $audited), 1, 'and it is audited');
# What a client may set it may set so too; a superuser and a role with the right may set the others.
($rc, $stdout, $stderr) = session('reader', '-c auren_events.decrypt_reason=asked -c auren_events.read_flushed=off', "$open; SHOW auren_events.read_flushed");
is($stdout, "72\noff", 'settings of every role');
is($node->safe_psql('postgres', q{SELECT reason FROM encrypted.audit_log WHERE action = 'decrypt' ORDER BY at DESC LIMIT 1}), 'asked', 'the reason is kept');
($rc, $stdout, $stderr) = session('trusted', '-c auren_events.audit_decrypt=off', $open);
is($stdout, '72', 'a role that may set the audit');
is($node->safe_psql('postgres', $audited), 2, 'has set it');
{
	local $ENV{PGOPTIONS} = '-c auren_events.audit_decrypt=off -c auren_events.naming=warn';
	is($node->safe_psql('postgres', "$open; SHOW auren_events.naming"), "72\nwarn", 'and a superuser');
}
# What the database and the role say stays.
$node->safe_psql('postgres', q{ALTER ROLE reader SET auren_events.audit_decrypt = off});
($rc, $stdout, $stderr) = session('reader', '', $open);
is($stdout, '72', "a role's setting that a superuser made");
is($node->safe_psql('postgres', $audited), 2, 'counts');
$node->safe_psql('postgres', q{ALTER ROLE reader RESET auren_events.audit_decrypt});
# Nobody stores a weaker setting for sessions to come before the module is there.
foreach my $sql ('ALTER ROLE reader SET auren_events.audit_decrypt = off', 'CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET auren_events.audit_decrypt = off AS $$ SELECT $$')
{
	($rc, $stdout, $stderr) = session('reader', '', $sql);
	like($stderr, qr/ERROR:  42501: /, $sql);
}

# Where the keys are. Not preloaded, the server shows it to everybody, and superusers are told.
like(($node->psql('postgres', $open))[2], qr/every role can see where the store's secret keys are/, 'not preloaded: a superuser is told');
unlike((session('reader', '', $open))[2], qr/every role/, 'others are not');
my @reads = ('SHOW auren_events.master_key_file', q{SELECT current_setting('auren_events.master_key_file')}, 'SHOW auren_events.master_key_command',
	'SHOW auren_events.seal_key_file', q{SELECT current_setting('auren_events.seal_key_file')});
like(($node->psql('postgres', 'SELECT events.register_seal_key()'))[2], qr/every role can see where the store's secret keys are/, 'nor are the keys of seals hidden, and a superuser is told');
$node->safe_psql('postgres', 'CREATE DATABASE without');
foreach my $preload ('session_preload_libraries', 'shared_preload_libraries')
{
	$node->append_conf('postgresql.conf', "$preload = 'auren_events'");
	$node->restart;
	foreach my $database ('postgres', 'without')
	{
		foreach my $sql (@reads)
		{
			my ($rc, $stdout, $stderr) = $node->psql($database, $sql, extra_params => [ '-U', 'reader', '-v', 'VERBOSITY=verbose' ]);
			like($stderr, qr/ERROR:  42501: /, "$preload, database $database: $sql is refused as the first statement");
			is($stdout, '', 'and shows nothing');
		}
	}
	($rc, $stdout, $stderr) = session('reader', '', $open);
	is($stdout, '72', "$preload: what was encrypted opens");
	($rc, $stdout, $stderr) = $node->psql('postgres', "SHOW auren_events.master_key_file; $open");
	is("$stdout $stderr", "$keys\n72 ", "$preload: a superuser sees it, and is told nothing");
	($rc, $stdout, $stderr) = session('reader', '-c auren_events.audit_decrypt=off', 'SELECT 1');
	is($stdout, '', "$preload: a client's options do not even connect");
	($rc, $stdout, $stderr) = $node->psql('postgres', 'SHOW auren_events.seal_key_file; SELECT events.register_seal_key()');
	is("$stdout $stderr", "$seal_keys\n21fe31dfa154a261 ", "$preload: a superuser sees where the seal keys are, and is told nothing");
	$node->adjust_conf('postgresql.conf', $preload, "''");
}
$node->stop;

done_testing();

# Tenants behind a pooler in transaction mode: a setting of the session reaches whoever gets the server's connection next, one of the transaction does
# not, and a role that is bound or has its tenant as its default is safe either way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pooler) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' if !defined $pooler;

my $node = new_store('pooler');
$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN; CREATE ROLE acme LOGIN; CREATE ROLE globex LOGIN;
	SELECT events.grant_access(r, a) FROM unnest('{app,acme,globex}'::text[]) r, unnest('{reader,writer}'::text[]) a;
	SELECT events.bind_tenant('acme', 'acme'), events.bind_tenant('globex', 'globex');
	ALTER ROLE globex SET app.tenant_id = 'globex'});

my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$directory/users", qq{"app" ""\n"acme" ""\n"globex" ""\n});
append_to_file("$directory/pgbouncer.ini", join("\n", '[databases]', 'postgres = host=' . $node->host . ' port=' . $node->port . ' dbname=postgres',
		'[pgbouncer]', 'listen_addr =', "listen_port = $port", "unix_socket_dir = $directory", 'auth_type = trust', "auth_file = $directory/users",
		'pool_mode = transaction', 'default_pool_size = 1', "logfile = $directory/log", "pidfile = $directory/pid", ''));
my $process = IPC::Run::start([ $pooler, '-q', "$directory/pgbouncer.ini" ], '<', \undef, '>', \my $out, '2>', \my $err);

# Runs statements through the pooler as a client of its own; gives what came back, or the SQLSTATE.
sub through
{
	my ($role, @statements) = @_;
	my ($stdout, $stderr) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate', '-d', "host=$directory port=$port dbname=postgres user=$role", map { ('-c', $_) } @statements ],
		'<', \undef, '>', \$stdout, '2>', \$stderr);
	chomp($stdout, $stderr);
	return $stderr =~ /ERROR:  (\w{5})/ ? $1 : $stderr ne '' ? $stderr : $stdout;
}

# until it listens
my $ready = '';
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$ready = through('app', 'SELECT 1');
	last if $ready eq '1';
	select(undef, undef, undef, 0.1);
}
is($ready, '1', 'the pooler serves');

my $WHO = 'SELECT events.current_tenant()';
is(through('app', $WHO), 'default', 'a client without a tenant');
is(through('app', "BEGIN; SET LOCAL app.tenant_id = 'acme'; $WHO; COMMIT"), 'acme', 'SET LOCAL names the tenant of its transaction');
is(through('app', $WHO), 'default', 'which the next client does not get');
is(through('app', "SELECT set_config('app.tenant_id', 'acme', true), events.current_tenant()"), 'acme|acme', 'set_config for the transaction likewise');
is(through('app', $WHO), 'default', 'which the next client does not get either');
is(through('app', "SET app.tenant_id = 'acme'"), '', 'SET is of the server\'s session');
is(through('app', $WHO), 'acme', 'and the next client has it: why the reference says SET LOCAL');
is(through('app', "BEGIN; SET LOCAL app.tenant_id = ''; $WHO; COMMIT"), 'default', 'a client that names its tenant is safe from it');

# A role of its own for each tenant has a pool of its own, and its binding.
is(through('globex', $WHO), 'globex', 'a role with its tenant as default needs no SET');
is(through('globex', "SET app.tenant_id = 'acme'"), '', 'one that names another');
is(through('globex', $WHO), '42501', 'is refused, and so is the next client: it does not get the other tenant');
is(through('globex', 'RESET app.tenant_id', $WHO), 'globex', 'until it is reset');
is(through('acme', "SET app.tenant_id = 'acme'", $WHO), 'acme', 'a bound role may name its tenant for the session');
is(through('acme', $WHO), 'acme', 'whose pool is of that role alone');

# LISTEN is of the server's session too: nobody is told, without an error. Why doc/drivers.md says that a listener needs a pool in session mode.
is(through('app', 'LISTEN mode_switch'), '', 'LISTEN is taken');
is(through('app', 'SELECT pg_listening_channels()'), 'mode_switch', 'and another client has it: it stays with the server\'s session');
$node->safe_psql('postgres', 'NOTIFY mode_switch');
my $dropped = 0;
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if $dropped = slurp_file("$directory/log") =~ /got packet 'A' from server when not linked/;
	select(undef, undef, undef, 0.1);
}
ok($dropped, 'what is told comes to the pooler when no client has the session, and it drops it');

$process->signal('TERM');
$process->finish;
done_testing();

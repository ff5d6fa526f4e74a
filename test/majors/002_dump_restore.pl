# A dump of a store on one server is restored on another, of a later major or with a later version of the extension: the same store, and it goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use WholeStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $new = whole_server('new');
$new->start;
make_roles($new);
my $newest = $new->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'auren_events'});

# Restores into a fresh database and opens the store. Months of an older version lack columns: the extension of that version is made before, and updated after.
sub restored
{
	my ($database, $version, $name, $command) = @_;
	$new->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$new->safe_psql($database, "CREATE EXTENSION auren_events VERSION '$version'") if $version ne $newest;
	$new->command_ok($command, "$name: restored");
	$new->safe_psql($database, 'ALTER EXTENSION auren_events UPDATE') if $version ne $newest;
	fails_with($new, $database, q{SELECT count(*) FROM events.replay_stream('user:1')}, '55000', "$name: closed until its objects are made");
	is($new->safe_psql($database, 'SET client_min_messages = error; SELECT * FROM events.restore_objects()'), '', "$name: all objects are made");
	is($new->safe_psql($database, 'SELECT objects_version, update_due FROM events.version()'), "$newest|f", "$name: the objects are of the newest version");
	return;
}

my %servers = (newest => $ENV{AUREN_OLD}, released => $ENV{AUREN_RELEASED});
foreach my $module (sort keys %servers)
{
	my $old = whole_server($module, install_path => $servers{$module});
	$old->start;
	make_roles($old);
	$old->safe_psql('postgres', 'CREATE EXTENSION auren_events');
	fill_store($old, 'postgres', $ENV{AUREN_MANY_EVENTS});
	my $version = $old->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'});
	my $before = answers_of($old, 'postgres');
	my $last = $old->safe_psql('postgres', 'SELECT last_value FROM auren.global_position_seq');
	my $dumps = $old->basedir;
	my $from = $old->connstr('postgres');

	# by the programs of the new server, and by those of the old one
	my $began = time;
	$new->command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/custom", '-d', $from ], "$module: pg_dump -Fc");
	my $dumped = time - $began;
	$new->command_ok([ 'pg_dump', '-Fp', '-f', "$dumps/plain", '-d', $from ], "$module: pg_dump -Fp");
	$old->command_ok([ 'pg_dump', '-Fd', '-j', 2, '-f', "$dumps/directory", '-d', $from ], "$module: pg_dump -Fd of the old server");
	$old->stop;

	my %restores = (
		custom => [ 'pg_restore', '--exit-on-error', '-d', $new->connstr("custom_$module"), "$dumps/custom" ],
		parallel => [ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $new->connstr("parallel_$module"), "$dumps/custom" ],
		plain => [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr("plain_$module"), '-f', "$dumps/plain" ],
		directory => [ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $new->connstr("directory_$module"), "$dumps/directory" ]);
	foreach my $kind (sort keys %restores)
	{
		my $database = "${kind}_$module";
		$began = time;
		restored($database, $version, "$module: $kind", $restores{$kind});
		note(sprintf('%s: %s: closed for %.0f s', $module, $kind, $dumped + time - $began));
		same_answers($new, $database, $before, "$module: $kind", 'settled months', $version ne $newest ? ('rights', 'what hangs on the tables') : ());
		store_goes_on($new, $database, $last, "$module: $kind") if $kind eq 'parallel' || $kind eq 'plain';
	}
}

$new->stop;
done_testing();

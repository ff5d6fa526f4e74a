# pg_upgrade takes a store to a later major, by copies of the files and by links, of this version and of the last released one: the same store, and it
# goes on. Between servers of one major it shows the same for a later version of the extension.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Catalog;
use EventStore;
use WholeStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my %servers = (newest => $ENV{AUREN_OLD}, released => $ENV{AUREN_RELEASED});
foreach my $module (sort keys %servers)
{
	foreach my $mode ('--copy', '--link')
	{
		(my $name = "${module}_$mode") =~ s/-//g;
		my $old = whole_server("old_$name", install_path => $servers{$module});
		$old->start;
		make_roles($old);
		$old->safe_psql('postgres', 'CREATE EXTENSION auren_events');
		fill_store($old, 'postgres', $ENV{AUREN_MANY_EVENTS});
		my $version = $old->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'});
		my $before = answers_of($old, 'postgres');
		my $tables = tables_of($old, 'postgres');
		my $contents = contents_of($old, 'postgres', $tables);
		my $last = $old->safe_psql('postgres', 'SELECT last_value FROM auren.global_position_seq');
		my $epoch = $old->safe_psql('postgres', 'SELECT events.store_epoch()');

		# since 18 a cluster has checksums unless it is made without, and both must have them or not
		my $has_checksums = $old->safe_psql('postgres', 'SHOW data_checksums') eq 'on';
		my $new = whole_server("new_$name", init => sub { return { extra => $_[0]->pg_version >= 18 && !$has_checksums ? ['--no-data-checksums'] : [] } });

		my $began = time;
		$old->stop;
		my ($old_bin, $new_bin) = ($old->config_data('--bindir'), $new->config_data('--bindir'));
		chdir $new->basedir or die $!;
		command_ok(
			[
				'pg_upgrade', '--no-sync', ($mode eq '--link' ? '--link' : ()), '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bin, '-B', $new_bin,
				'-s', $new->host, '-p', $old->port, '-P', $new->port ],
			"$name: pg_upgrade");
		$new->start;
		note(sprintf('%s: closed for %.1f s', $name, time - $began));

		is(contents_of($new, 'postgres', $tables), $contents, "$name: each table holds the same");
		same_answers($new, 'postgres', $before, $name);
		isnt($new->safe_psql('postgres', 'SELECT events.store_epoch()'), $epoch, "$name: the epoch is another one");

		if ($module eq 'released')
		{
			is($new->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'}), $version, "$name: the objects are those of before");
			is($new->safe_psql('postgres', q{SELECT stream_version FROM events.append_events('{moved:1}', '{seen}', ARRAY['{}']::jsonb[])}), 1, "$name: and take events");
			$last++;
			my $update_began = time;
			$new->safe_psql('postgres', 'ALTER EXTENSION auren_events UPDATE');
			note(sprintf('%s: the update took %.0f ms', $name, 1000 * (time - $update_began)));
			same_answers($new, 'postgres', $before, "$name, updated", 'subscriptions', 'rights', 'what hangs on the tables');
		}
		store_goes_on($new, 'postgres', $last, $name);
		$new->stop;
	}
}
done_testing();

# A physical standby runs another version of the module than its primary: it follows, and answers what the SQL objects of the primary know. So a cluster
# is updated server by server. Both servers are of one major.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use WholeStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $released = $ENV{AUREN_RELEASED};
{
	my @majors = map { my ($major) = qx{$_/bin/pg_config --version} =~ /(\d+)/; $major } ($released, qx{pg_config --bindir} =~ m{^(.*)/bin$});
	plan skip_all => 'a standby is of the major of its primary' if $majors[0] != $majors[1];
}
my $paged = "wal_consistency_checking = 'all'\nwal_keep_size = 2GB\n";

# A primary with a store of the released version, and a standby; each with its module.
sub pair
{
	my ($name, $primary_path, $standby_path, $version) = @_;
	my $primary = whole_server("primary_$name", install_path => $primary_path, init => { allows_streaming => 1 }, conf => $paged);
	$primary->start;
	make_roles($primary);
	$primary->safe_psql('postgres', "CREATE EXTENSION auren_events VERSION '$version'");
	$primary->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new("standby_$name", (defined $standby_path ? (install_path => $standby_path) : ()));
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");
	$standby->start;
	# everything that it has is written while the standby follows
	fill_store($primary, 'postgres');
	$primary->safe_psql('postgres', q{SELECT events.write_feed_horizon()});
	$primary->wait_for_catchup($standby);
	return ($primary, $standby);
}

sub follows
{
	my ($primary, $standby, $name) = @_;
	same_answers($standby, 'postgres', answers_of($primary, 'postgres'), "$name: the standby", 'subscriptions', 'what was added');
	fails_with($standby, 'postgres', q{SELECT events.append_event('user:1', 'seen', '{}')}, '25006', "$name: the standby takes no event");
	unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC:/, "$name: each page is that of the primary");
	return;
}

sub takes_over
{
	my ($primary, $standby, $name, $update) = @_;
	$primary->wait_for_catchup($standby);
	$primary->stop;
	$standby->promote;
	$standby->safe_psql('postgres', 'ALTER EXTENSION auren_events UPDATE') if $update;
	is($standby->safe_psql('postgres', q{SELECT stream_version, global_position > 0 FROM events.append_events('{promoted:1}', '{seen}', ARRAY['{}']::jsonb[])}), '1|t', "$name: promoted, it takes events");
	store_goes_on($standby, 'postgres', $standby->safe_psql('postgres', 'SELECT last_value FROM auren.global_position_seq'), "$name, promoted", makes_months => $update);
	$standby->stop;
	return;
}

my $node = PostgreSQL::Test::Cluster->new('asked', install_path => $released);
$node->init;
$node->start;
my $version = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'auren_events'});
$node->stop;

# The standby has the new module first.
{
	my ($primary, $standby) = pair('old', $released, undef, $version);
	follows($primary, $standby, 'new standby of an old primary');
	takes_over($primary, $standby, 'new standby of an old primary', 1);
}

# The primary has the new module first. Until its objects are updated the old module reads them; after, it says what it lacks.
{
	my $name = 'old standby of a new primary';
	my ($primary, $standby) = pair('new', undef, $released, $version);
	follows($primary, $standby, $name);
	takes_over($primary, $standby, $name, 0);
}
{
	my $name = 'old standby of an updated primary';
	my ($primary, $standby) = pair('updated', undef, $released, $version);
	$primary->safe_psql('postgres', q{ALTER EXTENSION auren_events UPDATE; SELECT events.append_event('user:1', 'seen', '{}', p_tags := '{a}'); SELECT events.write_feed_horizon()});
	$primary->wait_for_catchup($standby);
	fails_with($standby, 'postgres', q{SELECT count(*) FROM events.replay_stream('user:1')}, '42883', "$name: what came with the update is missing", like => qr/could not find function "auren_\w+"/);
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), $primary->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), "$name: it follows all the same");
	# a copy of it that has the new module answers
	$standby->backup('its_files');
	my $mended = PostgreSQL::Test::Cluster->new('standby_mended');
	$mended->init_from_backup($standby, 'its_files', has_streaming => 1);
	$mended->start;
	$primary->wait_for_catchup($standby);
	$standby->wait_for_catchup($mended, 'replay', $standby->lsn('replay'));
	follows($primary, $mended, "$name, with the new module");
	$_->stop foreach $mended, $standby, $primary;
}
done_testing();

# events.stats and events.stats_by_tenant against a model: what random transactions of several sessions count, with savepoints, failures and prepared
# transactions, comes to the sums that the model has, of the store and of each tenant.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_bounded_store('stats_model', conf => "max_prepared_transactions = 10\nauren_events.notifier = off\nauren_events.stats_by_tenant = on\n");
my $folder = PostgreSQL::Test::Utils::tempdir();
my @columns = qw(appends events_appended repeats version_conflicts id_conflicts appends_refused replays events_replayed);
my @tenants = map { "tenant $_" } 0 .. 4;
my $seed = $ENV{AUREN_SEED} // int(rand(1_000_000));
srand($seed);
note("seed $seed: AUREN_SEED sets it");

sub one_of { return $_[ int(rand(@_)) ] }
sub add { my ($to, $from) = @_; $to->{$_} += $from->{$_} for keys %$from; return }

# Random transactions of one session, and what they count. What is committed is in @levels, one for each savepoint, until its end is known.
package Workload;

sub new
{
	my ($class, $client) = @_;
	return bless { client => $client, sql => ['\set ON_ERROR_STOP 0'], counted => {}, ids => 0, prepared => 0, versions => {} }, $class;
}

sub say { my ($self, @statements) = @_; push @{ $self->{sql} }, map { "$_;" } @statements; return }
sub done { my ($self, $what, $times) = @_; $self->{counted}{ $self->{tenant} . "|$what" } += $times // 1; return }
sub appended
{
	my ($self, $events) = @_;
	$self->{levels}[-1]{ $self->{tenant} . '|appends' }++;
	$self->{levels}[-1]{ $self->{tenant} . '|events_appended' } += $events;
	return;
}
sub failed { my ($self, $what) = @_; $self->done($what); $self->{failed} = 1; return }

sub back_to
{
	my ($self, $savepoint) = @_;
	$self->say("ROLLBACK TO s$savepoint");
	$#{ $self->{levels} } = $savepoint;
	push @{ $self->{levels} }, {};
	$self->{failed} = 0;
	return 0;
}

sub release
{
	my ($self, $savepoint) = @_;
	$self->say("RELEASE s$savepoint");
	my %sum;
	main::add(\%sum, $_) for splice @{ $self->{levels} }, $savepoint;
	push @{ $self->{levels} }, \%sum;
	return;
}

# A step within a transaction. Savepoint n was set when there were n + 1 levels, so that level n is what had been done before it.
sub step
{
	my ($self) = @_;
	my $savepoints = $#{ $self->{levels} };
	return $savepoints > 0 ? $self->back_to(int(rand($savepoints))) : 1 if $self->{failed};
	$self->{tenant} = main::one_of(@tenants);
	my $stream = "s:$self->{client}";
	$self->say("SET app.tenant_id = '$self->{tenant}'");
	my $kind = int(rand(9));
	if ($kind <= 1)
	{
		my $events = 1 + int(rand(3));
		$self->say("SELECT count(*) FROM events.append_events(array_fill('$stream'::text, '{$events}'), array_fill('e'::text, '{$events}'), array_fill('1'::jsonb, '{$events}'))");
		$self->appended($events);
	}
	elsif ($kind == 2)
	{
		my $id = sprintf '00000000-0000-4000-8%03x-%012x', $self->{client}, $self->{ids}++;
		my $append = "SELECT events.append_event('$stream', 'e', '%s', p_event_id => '$id')";
		$self->say(sprintf($append, 1), sprintf($append, 1));
		$self->appended(1);
		$self->done('repeats');
		if (rand() < 0.3) { $self->say(sprintf($append, 2)); $self->failed('id_conflicts') }
	}
	elsif ($kind == 3) { $self->say("SELECT events.append_event('$stream', 'e', '1', p_expected_version => 1000000)"); $self->failed('version_conflicts') }
	elsif ($kind == 4) { $self->say("SELECT events.append_event('', 'e', '1')"); $self->failed('appends_refused') }
	elsif ($kind == 5) { $self->say("SELECT count(*) FROM events.replay_stream('of nobody')"); $self->done('replays') }
	elsif ($kind == 6) { $self->say("SAVEPOINT s$savepoints"); push @{ $self->{levels} }, {} }
	elsif ($savepoints > 0) { my $to = int(rand($savepoints)); $kind == 7 ? $self->release($to) : $self->back_to($to) }
	return 0;
}

sub transaction
{
	my ($self) = @_;
	$self->{levels} = [ {} ];
	$self->{failed} = 0;
	$self->say('BEGIN');
	for (1 .. 1 + int(rand(9))) { last if $self->step() == 1 }
	my $end = main::one_of(qw(COMMIT COMMIT ROLLBACK PREPARE));
	if ($self->{failed} || $end eq 'ROLLBACK') { $self->say('ROLLBACK'); return }
	if ($end eq 'PREPARE')
	{
		my $name = "'of $self->{client}: " . $self->{prepared}++ . "'";
		$self->say("PREPARE TRANSACTION $name", main::one_of('COMMIT', 'ROLLBACK') . " PREPARED $name");
	}
	else { $self->say('COMMIT') }
	main::add($self->{counted}, $_) for @{ $self->{levels} };
	return;
}

package main;

my @workloads = map { Workload->new($_) } 0 .. 3;
for my $workload (@workloads)
{
	$workload->transaction() for 1 .. 80;
	append_to_file("$folder/$workload->{client}.sql", join("\n", @{ $workload->{sql} }, ''));
}
$node->safe_psql('postgres', 'SELECT events.create_monthly_partitions(); SELECT events.reset_stats()');
my @sessions = map { finish_psql($_) } map { start_psql($node, 'postgres', "\\i $folder/$_->{client}.sql") } @workloads;
is(join('', map { $_->{stderr} =~ /ERROR:  (?!ZE00[12]|22023)(.*)/g } @sessions), '', 'nothing fails but what has to');

my %want;
add(\%want, $_->{counted}) for @workloads;
my $sum = sub { my ($what) = @_; my $all = 0; $all += $want{"$_|$what"} // 0 for @tenants; return $all };
cmp_ok($sum->($_), '>', 0, "$_ happened") for grep { $_ ne 'events_replayed' } @columns;
is($node->safe_psql('postgres', 'SELECT ' . join(', ', @columns) . ' FROM events.stats'), join('|', map { $sum->($_) } @columns), 'the store has counted what was done');
is($node->safe_psql('postgres', 'SELECT tenant_id, ' . join(', ', @columns) . ' FROM events.stats_by_tenant ORDER BY tenant_id COLLATE "C"'),
	join("\n", map { my $tenant = $_; join('|', $tenant, map { $want{"$tenant|$_"} // 0 } @columns) } @tenants), 'and for each tenant');
store_is_sound($node, 'postgres', 'after it');
done_testing();

# An error whose report cannot be kept, since there is no memory for a copy of it: the statement ends with "out of memory", and the session
# works on. The report is of a DBA's trigger, and as long as the trigger wants.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($limiter) = grep { -x } map { "$_/prlimit" } split(/:/, $ENV{PATH});
plan skip_all => 'prlimit is not installed' if !defined $limiter;
plan skip_all => 'the sanitizers end a process that gets no memory' if ($ENV{LD_PRELOAD} // '') =~ /asan/;

# What a backend may take beyond what it has, in megabytes.
my $ROOM = 48;

# The reports are long, and of no use in the log.
my $node = new_bounded_store('no_memory', conf => "log_min_messages = fatal\n");
$node->safe_psql('postgres', q{
	CREATE FUNCTION complains() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		v_long text;
	BEGIN
		IF NEW.event_data ? 'size' THEN
			v_long := repeat('x', (NEW.event_data ->> 'size')::integer);
			-- to make them takes less memory at a time than to copy all of them, and none is shown
			RAISE 'refused' USING COLUMN = v_long, CONSTRAINT = v_long, DATATYPE = v_long, TABLE = v_long, SCHEMA = v_long;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER complains BEFORE INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION complains();
	SELECT events.append_event('kept', 'e', '{}')});

my $session = $node->background_psql('postgres', on_error_stop => 0);
my $backend = $session->query('SELECT pg_backend_pid()');
my ($pages) = slurp_file("/proc/$backend/statm") =~ /^(\d+)/;
my $limit = $pages * 4096 + $ROOM * 1024 * 1024;
is(system($limiter, '--pid', $backend, "--as=$limit"), 0, 'the backend has so much memory and no more');

# What is left when the report is to be copied depends on the server: sizes that grow by a twentieth come past it.
my %outcomes;
my $appended = 1;
for (my $size = 500_000; $size < $ROOM * 1024 * 1024 / 6; $size = int($size * 1.05))
{
	$session->{stderr} = '';
	$session->query(qq{SELECT events.append_event('refused', 'e', '{"size": $size}')});
	my $outcome =
		$session->{stderr} =~ /The report of another error could not be kept/ ? 'not kept'
	  : $session->{stderr} =~ /out of memory/                                 ? 'no memory'
	  : $session->{stderr} =~ /ERROR:  refused/                               ? 'told'
	  :                                                                         'other';
	$outcomes{$outcome}++;
	$session->{stderr} = '';
	$session->query_safe(q{SELECT events.append_event('kept', 'e', '{}')});
	$appended++;
}
is($outcomes{other} // 0, 0, 'each append fails');
cmp_ok($outcomes{told} // 0, '>', 0, 'with its report where there is memory');
cmp_ok($outcomes{'not kept'} // 0, '>', 0, 'and says where the report could not be kept');
is($session->query(q{SELECT events.stream_version('kept'), events.stream_exists('refused')}), "$appended|f", 'the session works on after each');
is($session->query('SELECT pg_backend_pid()'), $backend, 'it is the same session');
note(join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes);
$session->quit;
store_is_sound($node, 'postgres', 'after errors without memory');
$node->stop;

done_testing();

# A server whose clock is ours: over a month's border, back over it, and on to months that nobody has made. created_at
# never goes backwards within a stream, an event goes to the month of its own time, ids are known a month later, and no
# append fails for the border.
#
# The times lie in the past: within the server's signal handler libfaketime shows the machine's clock, and a time limit
# of the server that lies behind that clock would never end.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use Test::More;

my ($library) = grep { -e $_ } glob('/usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1 /usr/lib64/faketime/libfaketime.so.1');
plan skip_all => 'libfaketime is not installed' if !defined $library;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $clock = "$directory/clock";

sub set_clock
{
	my ($time) = @_;
	# replaced at once: a server that reads it meanwhile sees the old or the new
	append_to_file("$clock.new", "\@$time\n");
	rename "$clock.new", $clock or die $!;
	return;
}

my $timed = PostgreSQL::Test::Cluster->new('timed');
$timed->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
set_clock('2021-01-31 23:59:50');
{
	local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => $clock, FAKETIME_NO_CACHE => 1, TZ => 'UTC', FAKETIME_DONT_FAKE_MONOTONIC => 1);
	start_bounded($timed, "autovacuum = off\nmax_prepared_transactions = 20");
}
$timed->safe_psql('postgres', 'CREATE EXTENSION auren_events');
my $ask = sub { return $timed->safe_psql('postgres', $_[0]) };
like($ask->('SELECT now()'), qr/^2021-01-31 23:59:/, 'the server runs on our clock');
my $months = q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relispartition AND relnamespace = 'events'::regnamespace AND relkind = 'r'};
my $where = q{SELECT stream_version, e.tableoid::regclass FROM events.event_store e WHERE stream_id = '%s' ORDER BY 1};
sub where_is { my ($stream) = @_; return $ask->($where =~ s/%s/$stream/r) }

# sessions that are there over the border, one of them with an open transaction
my $session = $timed->background_psql('postgres');
my $late = $timed->background_psql('postgres');
$session->query_safe("SELECT events.append_event('s:1', 'e', '{}')");
is($ask->($months), 'event_store_2021_01 event_store_2021_02 event_store_2021_03', 'the month and two ahead are made');
$late->query_safe('BEGIN');
$late->query_safe("SELECT events.append_event('late:1', 'e', '{}')");
my $repeatable = $timed->background_psql('postgres');
$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$repeatable->query_safe("SELECT events.stream_version('s:1')");

# an append with tags that waits over the border, to a month that was made before events had tags
$ask->('DROP TABLE auren.event_tags_2021_02');
my $holder = $timed->background_psql('postgres');
$holder->query_safe("BEGIN; SELECT events.append_event('over:1', 'e', '{}')");
my $tagger = start_psql($timed, 'postgres', "SELECT events.append_event('over:1', 'e', '{}', p_tags := '{over,border}')");
wait_until($timed, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%over,border%' AND pid <> pg_backend_pid()}, 'the append waits');

# and one in a transaction that holds a stream for which the maker of that month waits
my $keeper = $timed->background_psql('postgres');
$keeper->query_safe("BEGIN; SELECT events.append_event('kept:1', 'e', '{}', p_tags := '{kept}')");

set_clock('2021-02-01 00:00:01');
my $maker = start_psql($timed, 'postgres', "BEGIN; SELECT events.create_monthly_partitions(0); SELECT events.append_event('kept:1', 'e', '{}'); ROLLBACK");
wait_until($timed, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%kept:1%' AND pid <> pg_backend_pid()}, 'the maker of the month waits');
$keeper->query_safe("SELECT events.append_event('kept:2', 'e', '{}', p_tags := '{kept}'); COMMIT");
$keeper->quit;
is(finish_all($maker), '', 'an append with tags does not wait for a maker that waits for its stream');
is(where_is('kept:2'), '1|events.event_store_2021_01', 'it keeps the month of its transaction');
$holder->query_safe('COMMIT');
$holder->quit;
is(finish_all($tagger), '', 'an append with tags that waited over the border');
is(where_is('over:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_01", 'it keeps its month, where the next one has none for tags');
is($ask->("SELECT count(*) FROM auren.event_tags WHERE month = '2021-01-01' AND tag_hash IN (auren.tag_hash('default', 'over'), auren.tag_hash('default', 'border'))"), 2, 'so do its tags in their index');
$session->query_safe("SELECT events.append_event('s:1', 'e', '{}')");
$session->query_safe("SELECT events.append_event('border:1', 'e', '{}')");
is(where_is('s:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_02", 'a stream goes on in the next month');
# the transaction that began in January takes the time when it has the stream, not its own
$late->query_safe("SELECT events.append_event('late:1', 'e', '{}'), events.append_event('s:1', 'e', '{}', p_expected_version => 2)");
$late->query_safe('COMMIT');
is(where_is('late:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_02", 'a late transaction does not append to an older month');
is(where_is('s:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_02\n3|events.event_store_2021_02", 'nor to a stream that went on meanwhile');
is($repeatable->query_safe("SELECT count(*), max(stream_version), events.stream_version('s:1') FROM events.replay_stream('s:1')"), '1|1|1', 'an old snapshot reads the old month alone');
$repeatable->query_safe('ROLLBACK');

# backwards over the border
set_clock('2021-01-31 23:59:30');
$session->query_safe("SELECT events.append_event('s:1', 'e', '{}', p_expected_version => 3)");
$session->query_safe("SELECT events.append_event('back:1', 'e', '{}')");
is(where_is('s:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_02\n3|events.event_store_2021_02\n4|events.event_store_2021_02",
	'the clock went back: the stream stays in its month');
is($ask->(q{SELECT created_at = (SELECT created_at FROM events.replay_stream('s:1', 3, 3)) FROM events.replay_stream('s:1', 4, 4)}), 't', 'with the time of its last event');
is(where_is('back:1'), '1|events.event_store_2021_01', 'a new stream has the time of the clock');
is($ask->(q{SELECT count(*) FROM events.append_events(ARRAY['s:1', 'back:1', 'new:1', 's:1'], ARRAY['e', 'e', 'e', 'e'], ARRAY['{}', '{}', '{}', '{}']::jsonb[])}), 4,
	'a batch whose streams are in two months');
is(where_is('back:1'), "1|events.event_store_2021_01\n2|events.event_store_2021_01", 'each stream of it in its own month');
is($ask->(q{SELECT events.stream_version('s:1'), count(*), string_agg(stream_version::text, ' ') FROM events.replay_stream('s:1')}), '6|6|1 2 3 4 5 6', 'a replay goes over the border');
is($ask->(q{SELECT string_agg(stream_version::text, ' ') FROM events.replay_stream_backward('s:1')}), '6 5 4 3 2 1', 'backward too');
is($ask->(q{SELECT string_agg(stream_version::text, ' ') FROM events.replay_stream('s:1', 2, 3)}), '2 3', 'and in part');
store_is_sound($timed, 'postgres', 'the clock went back');

# ids over a border: one that was supplied in January, and one that the store made
set_clock('2021-01-31 23:59:59');
my $id = '00000000-0000-4000-8000-000000000001';
$ask->(qq{SELECT events.append_event('id:1', 'e', '{}', p_event_id => '$id')});
my $made = $ask->(q{SELECT events.append_event('id:1', 'e', '{"made": 1}')});
set_clock('2021-03-01 00:00:00');
is($ask->(qq{SELECT events.append_event('id:1', 'e', '{}', p_event_id => '$id')}), $id, 'a supplied id is known a month later');
is($ask->(qq{SELECT events.append_event('id:1', 'e', '{"made": 1}', p_event_id => '$made')}), $made, 'an id that the store made as well');
my ($code, $out, $err) = $timed->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT events.append_event('id:1', 'e', '{\"other\": 1}', p_event_id => '$id')");
like($err, qr/ZE002/, 'with other content it is refused a month later');
is($ask->(q{SELECT events.stream_version('id:1')}), 2, 'nothing was appended');

# a stream that rests for months, and a month that is not there
set_clock('2021-07-15 12:00:00');
is($ask->(q{SELECT events.append_event('s:1', 'e', '{}', p_expected_version => 6) IS NOT NULL}), 't', 'a stream that rested for months goes on');
is($ask->($months), join(' ', map { "event_store_2021_$_" } qw(01 02 03 07 08 09)), 'the append made its month and two ahead');
is($ask->(q{SELECT string_agg(stream_version::text, ' ') FROM events.replay_stream('s:1')}), '1 2 3 4 5 6 7', 'its replay goes over the months that are not there');
is($ask->(q{SELECT string_agg(stream_version::text, ' ') FROM events.replay_stream_backward('s:1')}), '7 6 5 4 3 2 1', 'backward too');
# a missing month between: the clock goes back to it
set_clock('2021-05-15 12:00:00');
is($ask->(q{SELECT events.append_event('may:1', 'e', '{}') IS NOT NULL}), 't', 'a month between is made');
is($ask->($months), join(' ', map { "event_store_2021_$_" } qw(01 02 03 05 06 07 08 09)), 'with the one that was missing ahead');

# a month that cannot be made now: the session's own query holds the table open
set_clock('2022-01-15 12:00:00');
($code, $out, $err) = $timed->psql('postgres', "\\set VERBOSITY verbose\nSELECT events.append_event('held:1', 'e', '{}') FROM events.event_store WHERE created_at < now() LIMIT 1");
like($err, qr/55006: .*month 2022_01.*cannot be made now.*HINT:  Call events\.create_monthly_partitions/s, 'a month that cannot be made is a clear error');
is($ask->(q{SELECT events.stream_exists('held:1')}), 'f', 'and nothing is appended');
is($ask->('SELECT events.create_monthly_partitions(0)'), 1, 'create_monthly_partitions makes it, with 0 it alone');
is($ask->(q{SELECT count(*) FROM (SELECT events.append_event('held:1', 'e', '{}') FROM events.event_store WHERE created_at < now() LIMIT 2) a}), 2, 'and the same statement appends');

# Over the border to a month that nobody has made: one waits for a stream since before it, two come behind it. None
# fails, whoever makes the month.
my @waiting;
sub append_behind
{
	my ($who, @streams) = @_;
	my $told = { out => '', err => '' };
	my $array = join ', ', map { "'$_'" } @streams;
	$told->{run} = IPC::Run::start(
		[ $timed->installed_command('psql'), '-XAtq', '-d', $timed->connstr('postgres'), '-c',
			"SELECT string_agg(stream_id || ' ' || stream_version, ' ') FROM events.append_events(ARRAY[$array], array_fill('e'::text, ARRAY[" . @streams . "]), array_fill('{}'::jsonb, ARRAY[" . @streams . "]), '$who')" ],
		'>', \$told->{out}, '2>', \$told->{err});
	push @waiting, $told;
	wait_for("$who waits", sub { sessions_waiting($timed) == @waiting });
	return;
}
sub what_they_got
{
	$_->{run}->finish for @waiting;
	my $got = join '', map { $_->{out} . $_->{err} } @waiting;
	@waiting = ();
	return $got;
}
set_clock('2022-01-31 23:59:55');
$ask->(q{SELECT events.append_event('hot:1', 'e', '{}')});
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('hot:1', 'e', '{}')});
append_behind('before', 'hot:1');
set_clock('2022-02-01 00:00:05');
append_behind('behind', 'hot:1');
append_behind('last', 'hot:1');
$late->query_safe('COMMIT');
is(what_they_got(), "hot:1 3\nhot:1 4\nhot:1 5\n", 'one who waits since before the border and those behind it all append');

# One who waits since before the border comes to a stream that has gone on to the new month meanwhile.
set_clock('2022-04-30 23:59:55');
$ask->(q{SELECT events.append_event('hot:2', 'e', '{}'), events.append_event('hot:3', 'e', '{}')});
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('hot:2', 'e', '{}')});
append_behind('before', 'hot:2', 'hot:3');
set_clock('2022-05-01 00:00:05');
$ask->(q{SELECT events.append_event('hot:3', 'e', '{}')});
$late->query_safe('COMMIT');
is(what_they_got(), "hot:2 3 hot:3 3\n", 'one who waits since before the border appends to a stream that went on behind it');
store_is_sound($timed, 'postgres', 'the border below waiting appends');

# A transaction that holds a stream since before the border appends again, while who makes the new month waits for it.
set_clock('2023-01-31 23:59:55');
$ask->('SELECT events.create_monthly_partitions(0)');
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('hot:4', 'e', '{}')});
set_clock('2023-02-01 00:00:05');
append_behind('maker', 'hot:4');
$late->query_safe(q{SELECT events.append_event('hot:4', 'e', '{}')});
$late->query_safe(q{SELECT count(*) FROM events.append_events('{hot:4,hot:5}', '{e,e}', ARRAY['{}', '{}']::jsonb[])});
$late->query_safe('COMMIT');
is(what_they_got(), "hot:4 4\n", 'neither waits for the other for ever');
is(where_is('hot:4'), "1|events.event_store_2023_01\n2|events.event_store_2023_01\n3|events.event_store_2023_01\n4|events.event_store_2023_02",
	'the transaction stays in the month in which it holds the stream');
store_is_sound($timed, 'postgres', 'a stream held over the border');

# The same, after an append of the transaction made the month and went with its savepoint, and the month with it.
set_clock('2023-04-30 23:59:55');
$ask->('SELECT events.create_monthly_partitions(0)');
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('hot:6', 'e', '{}')});
$late->query_safe('SAVEPOINT made_month');
set_clock('2023-05-01 00:00:05');
$late->query_safe(q{SELECT events.append_event('hot:7', 'e', '{}')});
$late->query_safe('ROLLBACK TO SAVEPOINT made_month');
append_behind('maker', 'hot:6');
$late->query_safe(q{SELECT events.append_event('hot:6', 'e', '{}')});
$late->query_safe('COMMIT');
is(what_they_got(), "hot:6 3\n", 'neither waits for the other after a savepoint took the month');
is(where_is('hot:6'), "1|events.event_store_2023_04\n2|events.event_store_2023_04\n3|events.event_store_2023_05", 'the transaction goes on in the month of its first append');
store_is_sound($timed, 'postgres', 'a month that went with a savepoint');

# Many sessions on a few streams while the clock goes over borders, on to a month that is not there, and back
set_clock('2022-06-30 23:59:58');
$ask->('SELECT events.create_monthly_partitions(1)');
my $file = "$directory/border.sql";
append_to_file($file, "\\set s random(1, 10)\nSELECT events.append_event('load:' || :s, 'e', '{}');\n");
my @load = ($timed->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', 8, '-j', 2, '-t', 100, '-h', $timed->host, '-p', $timed->port, '-f', $file, 'postgres');
for my $time ('2022-07-01 00:00:00', '2022-06-30 23:59:00', '2022-07-31 23:59:59', '2022-08-01 00:00:00', '2022-07-01 00:00:00', '2022-08-31 23:59:59', '2022-09-01 00:00:00', undef)
{
	# so many appends at each time, however long they take, and the clock is set among them
	my ($bench_out, $bench_err) = ('', '');
	my $enough = $ask->('SELECT last_value + 100 FROM auren.global_position_seq');
	my $load = IPC::Run::start(\@load, '>', \$bench_out, '2>', \$bench_err, IPC::Run::timeout(1200));
	wait_for('appends', sub { $ask->('SELECT last_value FROM auren.global_position_seq') >= $enough });
	set_clock($time) if defined $time;
	my $next = $time // 'the last time';
	ok($load->finish, "the load before $next ends well") or diag($bench_out, $bench_err);
	like($bench_out, qr{transactions actually processed: 800/800\n.*failed transactions: 0 }s, 'and no append failed');
}
cmp_ok($ask->(q{SELECT count(DISTINCT tableoid) FROM events.event_store WHERE stream_id LIKE 'load:%'}), '>=', 4, 'it was over several months');
$session->quit;
$late->quit;
$repeatable->quit;
store_is_sound($timed, 'postgres', 'the clock went over borders and back');

done_testing();

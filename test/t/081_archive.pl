# Archives from outside: a crash in the middle of writing one, sealed months and files that were changed, another store, a dump with an attached month,
# a client's way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $keys = "$folder/seal_keys";
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys;
my $node = new_store('archive', conf => "auren_events.seal_key_file = '$keys'\nautovacuum = off\ntimezone = 'UTC'\n");

sub sql { return $node->safe_psql('postgres', shift) }

$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
sql(q{SELECT events.create_monthly_partitions(0), t.old_month('2024-01-01'), t.old_month('2024-02-01'), t.old_month('2024-03-01')});
sql(q{SELECT count(t.old_event('user:' || n % 7, 'noted', jsonb_build_object('n', n, 'note', repeat(md5(n::text), 10)), '2024-01-05'::timestamptz + n * interval '1 second'))
	FROM generate_series(1, 2000) n});
sql(q{SELECT count(t.old_event('user:' || n % 7, 'noted', jsonb_build_object('n', n), '2024-02-05'::timestamptz + n * interval '1 second'))
	FROM generate_series(1, 600) n});
sql('SELECT events.register_seal_key()');
# January has two seals, the first one of several packs of digests
is(sql('SELECT count(*), sum(events) FROM events.seal(1300)'), '1|1300', 'a first seal of January');
is(sql('SELECT count(*), sum(events) FROM events.seal()'), '2|1300', 'another one, and one of February');

# A pipe takes the place of the file that is being written: the server stands in the middle of it when it crashes.
my $january = "$folder/january.gz";
POSIX::mkfifo("$january.part", 0666) or die $!;
my $writer = start_psql($node, 'postgres', "SELECT events.archive_month('2024-01-01', '$january', 'none')");
# the server opens it too, or has failed
alarm($PostgreSQL::Test::Utils::timeout_default);
open(my $pipe, '<', "$january.part") or die $!;
read($pipe, my $begun, 10) == 10 or die 'nothing was written';
alarm(0);
is(sql(q{SELECT what, phase, total FROM events.progress}), 'archive|writing|2000', 'the view of progress shows it');
$node->stop('immediate');
close($pipe);
isnt(finish_psql($writer)->{rc}, 0, 'the server crashed');
$node->start;
ok(!-e $january, 'there is no archive');
unlink "$january.part";
is(sql(q{SELECT count(*) FROM events.months WHERE archive IS NOT NULL}), '0', 'and none is noted');
append_to_file("$january.part", 'what a run left that was interrupted');
is(sql("SELECT events, written FROM events.archive_month('2024-01-01', '$january')"), '2000|t', 'the next call writes it whole');
ok(!-e "$january.part", 'and leaves nothing beside it');
is(sql("SELECT events, written FROM events.archive_month('2024-01-01', '$january')"), '2000|f', 'a third one leaves it');
my $february = "$folder/february.gz";
sql("SELECT events.archive_month('2024-02-01', '$february')");

# Anybody's tools read it.
my ($text) = run_command([ 'gzip', '-cd', $january ]);
my @lines = split /\n/, $text;
is(scalar @lines, 2002, 'gzip reads it: a manifest, the events, a trailer');
my $given = sql(q{SELECT string_agg(line, E'\n' ORDER BY n) FROM events.archive_lines('2024-01-01') WITH ORDINALITY l (line, n)});
is($given =~ s/"made_at":"[^"]*"//r, $text =~ s/"made_at":"[^"]*"//r, 'a client is given the same lines');
like($lines[0], qr/"seals":\[\{"seal":1,.*\{"seal":2,/, 'its manifest has the seals of the month');

# A sealed month: the seals vouch, and name what was changed.
my $before = sql(q{SELECT md5(string_agg(e::text, ',' ORDER BY global_position)) FROM events.event_store e WHERE created_at < '2024-02-01'});
sql(q{CALL events.drop_months_before('2024-03-01')});
sub write_lines
{
	my ($name, @written) = @_;
	unlink "$folder/$name";
	append_to_file("$folder/$name", join('', map { "$_\n" } @written));
	return "SELECT events.attach_archive('$folder/$name')";
}
sub fitting
{
	my ($manifest, @events) = @_;
	pop @events;
	my $count = @events;
	require Digest::SHA;
	my $digest = Digest::SHA::sha256_hex(join('', map { "$_\n" } @events));
	$manifest =~ s/"format":"auren_events archive 1"(.*?)"events":\d+/"format":"auren_events archive 1"$1"events":$count/;
	return ($manifest, @events, qq({"end":"auren_events archive 1","events":$count,"sha256":"$digest"}));
}
my @changed = @lines;
$changed[1290] =~ s/"n": 1290/"n": 1291/ or die;
fails_with($node, 'postgres', write_lines('changed', fitting(@changed)), 'XX001', 'a changed event', like => qr/event at position 1290 was changed/);
my @taken = @lines;
splice @taken, 700, 1;
fails_with($node, 'postgres', write_lines('taken', fitting(@taken)), '55000', 'fewer events than were dropped', like => qr/number of events is 1999/);
my @moved = @lines;
$moved[50] =~ s/"global_position":50,/"global_position":51,/ or die;
splice @moved, 51, 1;
push @moved, $moved[-1];
$moved[-2] = $lines[2000] =~ s/"global_position":2000/"global_position":2001/r;
fails_with($node, 'postgres', write_lines('moved', fitting(@moved)), 'XX001', 'an event that is missing', like => qr/event at position 50, .*is missing/);
fails_with($node, 'postgres', write_lines('cut', @lines[ 0 .. 1500 ]), '22P04', 'a file that was cut', like => qr/after 1500 of 2000 events/);
my @seals = @lines;
$seals[0] =~ s/\{"seal":2,.*\}\]/]/ or die;
$seals[0] =~ s/,\]/]/;
fails_with($node, 'postgres', write_lines('seals', @seals), '55000', 'an archive of before a seal', like => qr/lacks seal 2/);
# without the kept digests the roots tell
sql('CREATE TABLE kept_leaves AS SELECT * FROM auren.seal_leaves; DELETE FROM auren.seal_leaves');
fails_with($node, 'postgres', "SELECT events.attach_archive('$folder/changed')", 'XX001', 'a changed event, by the root', like => qr/have the root/);
sql('INSERT INTO auren.seal_leaves SELECT * FROM kept_leaves; DROP TABLE kept_leaves');
is(sql(q{SELECT count(*) FROM events.event_store}), '0', 'nothing of them came in');

is(sql("SELECT events.attach_archive('$january')"), '2000', 'the archive itself is attached');
is(sql(q{SELECT md5(string_agg(e::text, ',' ORDER BY global_position)) FROM events.event_store e WHERE created_at < '2024-02-01'}), $before, 'with the same rows');
is(sql(q{SELECT count(*) FROM events.verify() WHERE global_position <= 2000 AND problem <> ''}), '0', 'which are as they were sealed');

is( sql(q{
		BEGIN; ALTER TABLE events.event_store_2024_01 DISABLE TRIGGER ALL; UPDATE events.event_store_2024_01 SET event_data = '{}' WHERE global_position = 1200;
		DELETE FROM events.event_store_2024_01 WHERE global_position = 1400; SELECT problem, global_position FROM events.verify(); ROLLBACK}),
	"changed|1200\nremoved|1400", 'what is changed afterwards is found');

# Whoever reads the month keeps it there.
my $reader = $node->background_psql('postgres');
$reader->query_safe(q{BEGIN; SELECT count(*) FROM events.replay_stream('user:1')});
fails_with($node, 'postgres', q{SET lock_timeout = '2s'; SELECT events.detach_archive('2024-01-01')}, '55P03', 'a month that is read', like => qr/In the way: process/);
$reader->query_safe('COMMIT');
$reader->quit;

# A dump holds what is attached, and a restored store has another epoch: its seals say whose the archive is.
my $dump = "$folder/dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', q{SELECT month, state FROM events.months WHERE month < '2025-01-01' ORDER BY 1}),
	"2024-01-01|archived, attached\n2024-02-01|dropped\n2024-03-01|closed", 'a restored store has it attached')
  or diag(sql(q{SELECT month, state FROM events.months ORDER BY 1}));
fails_with($node, 'restored', q{INSERT INTO events.event_store SELECT gen_random_uuid(), stream_id, 9999, event_type, event_data, metadata, created_at, created_by, tenant_id, 9999, tags FROM events.event_store LIMIT 1},
	'55000', 'and nobody writes to it');
$node->safe_psql('restored', q{SELECT events.detach_archive('2024-01-01')});
is($node->safe_psql('restored', "SELECT events.attach_archive('$february')"), '600', 'and attaches another archive');

# Another store takes neither.
create_store($node, 'other');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('other'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
$node->safe_psql('other', q{SELECT events.create_monthly_partitions(0), t.old_month('2024-01-01')});
$node->safe_psql('other', q{SELECT t.old_event('user:1', 'noted', '{}', '2024-01-05')});
$node->safe_psql('other', q{CALL events.drop_months_before('2024-02-01', '{unsealed:*}')});
fails_with($node, 'other', "SELECT events.attach_archive('$january')", '55000', 'another store', like => qr/It has seal 1, which the store does not have/);

# A client's way: the script writes the same lines, again it leaves the file, and what it wrote is attached from a copy.
my $script = "$FindBin::RealBin/../../scripts/archive_month";
my $client = "$folder/client.gz";
$node->command_ok([ $script, '2024-01', $client, '-d', $node->connstr('postgres') ], 'scripts/archive_month');
my ($same) = run_command([ 'gzip', '-cd', $client ]);
is($same =~ s/\A[^\n]*\n//r, $text =~ s/\A[^\n]*\n//r, 'writes the lines of the server');
is(sql(q{SELECT archive FROM events.months WHERE month = '2024-01-01'}), $client, 'and notes where they are');
$node->command_like([ $script, '2024-01', $client, '-d', $node->connstr('postgres') ], qr/is left as it is/, 'a whole file is left');
append_to_file("$folder/none.gz", 'no archive');
$node->command_fails([ $script, '2024-01', "$folder/none.gz", '-d', $node->connstr('postgres') ], 'another file is not written over');
$node->command_fails([ $script, '2019-01', "$folder/missing.gz", '-d', $node->connstr('postgres') ], 'a month that is not there has none');
ok(!-e "$folder/missing.gz" && !-e "$folder/missing.gz.part", 'and leaves no file');
sql(q{SELECT events.detach_archive('2024-01-01')});
is( sql(qq{CREATE TEMP TABLE lines (line_number bigserial, line text);
	COPY lines (line) FROM PROGRAM 'gzip -cd $client' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02');
	SELECT events.attach_archive_lines('lines')}), '2000', 'what it wrote is attached');
is(sql(q{SELECT md5(string_agg(e::text, ',' ORDER BY global_position)) FROM events.event_store e WHERE created_at < '2024-02-01'}), $before, 'with the same rows');

# A file that does not fit any more is not noted: an event came after it, or a seal.
my $march = "$folder/march.gz";
my @again = ($script, '2024-03', $march, '-d', $node->connstr('postgres'));
$node->command_ok(\@again, 'a month without events is written');
sql(q{SELECT t.old_event('user:9', 'noted', '{}', '2024-03-05')});
$node->command_fails(\@again, 'a file is left that has other events');
unlink $march;
$node->command_like(\@again, qr/is written/, 'another one is written');
sql('SELECT count(*) FROM events.seal()');
$node->command_like(\@again, qr/is written/, 'it is written anew when the month is sealed');
$node->command_like(\@again, qr/is left as it is/, 'and stays then');
sql(q{CALL events.drop_months_before('2024-04-01')});
is(sql("SELECT events.attach_archive('$march')"), '1', 'so that it comes back after the month was dropped');

$node->stop;
done_testing();

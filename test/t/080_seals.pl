# Seals from outside: a page that was edited on disk, a crash in the middle of a seal, a dump and its restore, a standby, sealing beside writers, and
# what is kept elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/seal_keys';
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys;
my $node = new_store('seals', init => { allows_streaming => 1, no_data_checksums => 1 }, conf => "auren_events.seal_key_file = '$keys'\nsession_preload_libraries = 'auren_events'\nautovacuum = off\n");

sub sql { return $node->safe_psql('postgres', shift) }
my $findings = q{SELECT problem, global_position, stream_id FROM events.verify()};
my $seal = q{SELECT seal, events FROM events.seal()};

is(sql('SELECT events.register_seal_key()'), '21fe31dfa154a261', 'the key is registered');
sql(q{SELECT count(*) FROM (SELECT events.append_event('user:' || n % 7, 'noted', jsonb_build_object('note', 'note number ' || n))
	FROM generate_series(1, 1000) n) a});
is(sql($seal), '1|1000', 'events are sealed');
is(sql($findings), '', 'they are as they were sealed');
is( sql(qq{BEGIN; INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position)
	VALUES (gen_random_uuid(), 'user:1', 900, 'noted', '{}', now(), 0), (gen_random_uuid(), 'user:1', 901, 'noted', '{}', now(), -7); $findings; ROLLBACK}),
	"inserted|-7|user:1\ninserted|0|user:1", 'events at positions that nobody draws are found');

# A standby has what the primary has, and verifies and proves without writing anything.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('seals_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $findings), '', 'a standby verifies');
is( $standby->safe_psql('postgres', q{SELECT bool_and(valid), count(*) FROM events.event_store e, events.verify_proof(events.event_line(e.event_id), events.prove(e.event_id))}),
	't|1000', 'and proves');
fails_with($standby, 'postgres', 'SELECT events.seal()', '25006', 'and seals nothing');

cmp_ok(sql('SELECT max(octet_length(events.prove(event_id)::text)) FROM events.event_store'), '<', 1200, 'a proof under a tree of 1,000 events has some hundred bytes');

# A dump and its restore: the seals hold for the events of the restored store, and go on.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', $findings), '', 'a restored store is as it was sealed');
is($node->safe_psql('restored', q{SELECT events.append_event('user:1', 'noted', '{}') IS NOT NULL}), 't', 'a restored store goes on');
is($node->safe_psql('restored', $seal), '2|1', 'and so do its seals');
is($node->safe_psql('restored', $findings), '', 'and hold');

# A crash before the seal is committed leaves nothing of it.
sql(q{SELECT events.append_event('user:1', 'noted', '{"note": "before the crash"}')});
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
is($session->query_safe($seal), '2|1', 'a seal in a transaction that is open');
$node->stop('immediate');
eval { $session->quit };
$node->start;
is(sql('SELECT count(*), max(seal) FROM events.seals'), '1|1', 'a crash takes back the seal that was not committed');
is(sql('SELECT max(seal) FROM auren.seal_leaves'), '1', 'and its digests');
like(sql("LISTEN seal; $seal"), qr/^2\|1\nAsynchronous notification "seal" with payload "\{.*"seal".*:.*2,.*\}"/, 'the next one has its number, and whoever listens is told');
is(sql($findings), '', 'and all is as it was sealed');

# Sealing beside writers, in small steps: each event is sealed once, in order.
my $sealer = start_psql($node, 'postgres', map { 'SELECT count(*) FROM events.seal(200)' } 1 .. 60);
$node->pgbench(
	'--no-vacuum -c 4 -j 2 -t 100 --max-tries=1 postgres', 0, [qr{actually processed: 400/400}], [qr{^$}], 'appends beside the sealer',
	{ '080_append' => q{
\set stream random(1, 20)
BEGIN;
SELECT events.append_event('user:' || :stream, 'noted', '{"beside": "the sealer"}');
SELECT events.append_event('user:' || :stream, 'noted', '{}');
COMMIT;
} });
finish_psql($sealer);
sql('SELECT count(*) FROM events.seal()');
is(sql($findings), '', 'what was sealed beside writers is as it was sealed');
is(sql('SELECT sum(events) FROM events.seals'), sql('SELECT count(*) FROM events.event_store'), 'each event once');
is(sql('SELECT sum(events) FROM auren.seal_leaves'), sql('SELECT count(*) FROM events.event_store'), 'with its digest');

# A byte of an event is changed in the table's file.
sql('CHECKPOINT');
my $file = $node->data_dir . '/' . sql(q{SELECT pg_relation_filepath(tableoid) FROM events.event_store LIMIT 1});
my $position = sql(q{SELECT global_position FROM events.event_store WHERE event_data ->> 'note' = 'note number 345'});
$node->stop;
{
	open(my $heap, '+<:raw', $file) or die "$file: $!";
	local $/;
	my $bytes = <$heap>;
	my $at = index($bytes, 'note number 345');
	cmp_ok($at, '>', 0, 'the text is in the file');
	seek($heap, $at, 0);
	print $heap 'note number 346';
	close($heap);
}
$node->start;
is(sql(q{SELECT count(*) FROM events.event_store WHERE event_data ->> 'note' = 'note number 346'}), '2', 'the server reads what was planted');
is(sql($findings), "changed|$position|user:" . 345 % 7, 'and events.verify names the event');
is(sql(q{SELECT findings FROM events.verifications ORDER BY verified_at DESC LIMIT 1}), '1', 'which is written down');

# What was kept elsewhere tells that the last seals were removed with all their traces.
my $kept = sql('SELECT seal, chain FROM events.published_roots ORDER BY seal DESC LIMIT 1');
sql(q{DELETE FROM auren.seals WHERE seal > 2; DELETE FROM auren.seal_leaves WHERE seal > 2; DELETE FROM auren.verifications});
is(sql(q{SELECT count(*) FROM events.verify() WHERE problem <> 'changed'}), '0', 'seals that went with all their traces are not missed');
isnt(sql('SELECT seal, chain FROM events.published_roots ORDER BY seal DESC LIMIT 1'), $kept, 'but by whoever kept the newest chain');

# What the server cannot read: a value that was moved out, a page, an index. Each is named, and the other events are compared.
sub write_over
{
	my ($relation, $block, $bytes) = @_;
	my $path = $node->data_dir . '/' . $node->safe_psql('damaged', "SELECT pg_relation_filepath('$relation')");
	$node->stop;
	open(my $opened, '+<:raw', $path) or die "$path: $!";
	seek($opened, $block * 8192, 0);
	print $opened $bytes;
	close($opened);
	$node->start;
	return;
}
sub damaged { return $node->safe_psql('damaged', shift) }
sql('CREATE DATABASE damaged');
damaged(q{CREATE EXTENSION auren_events; SELECT events.register_seal_key();
	SELECT count(*) FROM (SELECT events.append_event('user:' || n % 7, 'noted', jsonb_build_object('note', repeat('note ' || n, 20))) FROM generate_series(1, 500) n) a;
	SELECT events.append_event('user:long', 'noted', jsonb_build_object('note', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n)));
	SELECT count(*) FROM events.seal()});
my $long = damaged(q{SELECT global_position FROM events.event_store WHERE stream_id = 'user:long'});
my $month = damaged(q{SELECT DISTINCT tableoid::regclass FROM events.event_store});
my $toast = damaged("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '$month'::regclass");
my $first_of = q{SELECT global_position FROM events.event_store WHERE ctid >= '(2,0)' AND ctid < '(3,0)' ORDER BY 1};
my $of_page = damaged($first_of);
damaged('CHECKPOINT');
my $named = q{SELECT problem, global_position, stream_id FROM events.verify() ORDER BY 2, 1};

write_over($toast, 0, "\0" x 8192);
is(damaged($named), "damaged|$long|user:long", 'a value that is gone');
like(damaged('SELECT detail FROM events.verify()'), qr/^(missing|unexpected) chunk number \d+ .*for toast value/, 'with what the server says of it');
is(damaged('SELECT events, findings FROM events.verifications ORDER BY verified_at DESC LIMIT 1'), '500|1', 'all others were compared');

write_over($month, 2, "\1" x 100);
my @lost = split /\n/, $of_page;
is(damaged($named), join("\n", (map { "damaged|$_|" } @lost), "damaged|$long|user:long", 'damaged||'), 'the events of a page that cannot be read');
like(damaged('SELECT detail FROM events.verify() WHERE global_position IS NULL'), qr/^invalid page in block 2 of relation/, 'and the page');
is(damaged('SELECT events FROM events.verifications ORDER BY verified_at DESC LIMIT 1'), 500 - @lost, 'all others were compared');

write_over(damaged("SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '$month'::regclass AND indkey::text = '10'"), 1, "\1" x 100);
like(damaged('SELECT detail FROM events.verify() WHERE global_position IS NULL ORDER BY 1'), qr/^Its index of positions cannot be read: invalid page in block 1 of relation.*\ninvalid page in block 2/,
	'an index that cannot be read');
is(damaged('SELECT count(*) FROM events.verify() WHERE global_position IS NOT NULL'), @lost + 1, 'and nothing else is said of the events');
is($node->safe_psql('damaged', 'BEGIN; SAVEPOINT a; SELECT count(*) > 2 FROM events.verify(); ROLLBACK TO a; SELECT 1; COMMIT'), "t\n1", 'in a transaction too, which goes on');

done_testing();

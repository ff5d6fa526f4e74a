# Stores that move in by events.import_store: what doc/moving-in.md says, as it is written there; random tables with what races leave, against a model;
# interrupted, beside writers, with rules, after somebody tampered, dumped; and how much memory it takes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use List::Util qw(max);
use Test::More;

# without those that only the test of the pages sees
my @blocks = slurp_file("$FindBin::RealBin/../../doc/moving-in.md") =~ s/^<!--.*?-->//msgr =~ /^```sql\n(.*?)^```/msg;
is(scalar @blocks, 7, 'the page has its blocks');
my ($make_room, $rehearse, $mended, $no_jsonb, $import, $import_at_last, $another) = @blocks;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
append_to_file($keys, 'one ' . '0123456789abcdef' x 4 . "\n");
chmod 0600, $keys;
my $node = new_bounded_store('moving_in', conf => "auren_events.master_key_file = '$keys'\nmax_prepared_transactions = 5\n");

# The hand-written table of most of these databases
my $table = q{CREATE TABLE events_old.event_store (event_id uuid, stream_id varchar(255), stream_version integer, event_type varchar(100), event_data jsonb,
	metadata jsonb, created_at timestamptz, created_by varchar(255), tenant_id varchar(255));};

sub new_database
{
	my ($database, $sql) = @_;
	create_store($node, $database);
	$node->safe_psql($database, 'CREATE SCHEMA events_old;' . $table . ($sql // ''));
	return;
}

# How many events the source has, and how many of the store came from it; the import says itself whether they are the same.
sub moved_in
{
	my ($database, $name) = @_;
	my ($code, $out, $err) = $node->psql($database, 'CALL events.import_store($$events_old.event_store$$)');
	is($code, 0, "$name: it ends well") or diag $err;
	is($node->safe_psql($database, q{SELECT count(*) FROM events.event_store WHERE created_by LIKE 'old%'}),
		$node->safe_psql($database, 'SELECT count(*) FROM events_old.event_store'), "$name: each row is there once");
	is($node->safe_psql($database, 'SELECT count(*) FROM events.rehearse_import($$events_old.event_store$$)'), 0, "$name: nothing is left to change");
	return;
}

# The page
$node->safe_psql('postgres', 'CREATE DATABASE page');
$node->safe_psql('page', 'CREATE SCHEMA events_old;' . $table . q{
	ALTER SCHEMA events_old RENAME TO events;
	INSERT INTO events.event_store SELECT gen_random_uuid(), 'many:' || n % 7, n / 7 + n % 3, 'counted', jsonb_build_object('n', n), '{}', '2022-01-01 00:00+00'::timestamptz + n * interval '1 hour', 'old', 'default'
	FROM generate_series(0, 2999) n;
	INSERT INTO events.event_store VALUES (gen_random_uuid(), ' blank ', 1, 'counted', '{}', '{}', '2020-01-01', 'old', 'default');
});
$node->safe_psql('page', $make_room);
like($node->safe_psql('page', $rehearse), qr/blank.*Make a view.*many:0.*renumbered/s, 'page: the rehearsal says what would be');
fails_with($node, 'page', $import, '22023', 'page: nothing is imported while one is refused', like => qr/Nothing was imported/);
is($node->safe_psql('page', 'SELECT count(*) FROM events.event_store'), 0, 'page: indeed');
$node->safe_psql('page', $mended);
$node->safe_psql('page', $import =~ s/events_old.event_store/events_old.mended/r);
like($node->safe_psql('page', $import_at_last =~ s/events_old.event_store/events_old.mended/r), qr/many:0.*renumbered/, 'page: the report');
is($node->safe_psql('page', 'SELECT events, imported, finished_at IS NOT NULL FROM events.imports ORDER BY run'), "3001|3001|t\n3001|0|t", 'page: the calls');
$node->safe_psql('page', q{CREATE SCHEMA old; CREATE TABLE old.journal AS SELECT n AS journal_id, n % 3 AS order_id, 'booked' AS kind, row(n, 'x') AS payload, '2021-01-01'::timestamptz + n * interval '1 day' AS happened_at, 'ada' AS booked_by FROM generate_series(1, 20) n;}
	=~ s/row\(n, 'x'\)/json_build_object('n', n)/r);
$node->safe_psql('page', $another);
is($node->safe_psql('page', "SELECT version FROM events.streams WHERE stream_id LIKE 'order:%' ORDER BY stream_id"), "6\n7\n7", 'page: another store');
store_is_sound($node, 'page', 'page');

# JSON that jsonb does not take
new_database('no_jsonb', q{
	ALTER TABLE events_old.event_store ALTER event_data TYPE json, ALTER metadata TYPE text;
	INSERT INTO events_old.event_store (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at)
	SELECT ('1e000000-0000-4000-8000-00000000000' || n)::uuid, 's:' || n, 1, 'noted', data::json, metadata, '2021-01-01'
	FROM (VALUES (1, '{"n": 1}', '{}'), (2, '"a\\u0000b"', NULL), (3, NULL, '[broken'), (4, 'null', 'null'), (5, NULL, NULL)) v (n, data, metadata);
});
for my $call ($rehearse, $import)
{
	my ($code, $out, $err) = $node->psql('no_jsonb', $call);
	like($err, qr/ERROR: .*HINT: +A value of the table cannot become that of an event. doc.moving-in.md/s, 'a value that jsonb does not take: the hint says where to find how to find it');
}
is($node->safe_psql('no_jsonb', $no_jsonb), qq{1e000000-0000-4000-8000-000000000002|"a\\u0000b"\n1e000000-0000-4000-8000-000000000003|}, 'and the page finds it');
is($node->safe_psql('no_jsonb', 'SELECT count(*) FROM events.event_store'), 0, 'nothing is imported');
$node->safe_psql('no_jsonb', q{CREATE VIEW events_old.mended AS SELECT * FROM events_old.event_store WHERE events_old.is_jsonb(event_data::text) AND events_old.is_jsonb(metadata)});
like($node->safe_psql('no_jsonb', $import =~ s/events_old.event_store/events_old.mended/r) . $node->safe_psql('no_jsonb', 'SELECT count(*) FROM events.event_store'), qr/3$/, 'a view leaves it out');

# Random tables: few ids, versions, times and tenants, so that all of it happens, against what is said to become of them.
new_database('random', q{
	CREATE FUNCTION flaws(p_rows integer) RETURNS void LANGUAGE sql AS $$
		INSERT INTO events_old.event_store
		SELECT CASE WHEN random() < 0.05 THEN NULL ELSE ('1e000000-0000-4000-8000-' || lpad((random() * p_rows * 2)::integer::text, 12, '0'))::uuid END,
		       's:' || (random() * 20)::integer, CASE WHEN random() < 0.05 THEN NULL ELSE (random() * 30)::integer END, 'type_' || (random() * 3)::integer,
		       CASE WHEN random() < 0.05 THEN NULL ELSE to_jsonb(random()) END, NULL, '2020-01-01'::timestamptz + (random() * 400)::integer * interval '1 day' + random() * interval '1 second' * (random() * 2)::integer,
		       'old:' || n, CASE WHEN random() < 0.9 THEN 'one' WHEN random() < 0.5 THEN 'two' END
		FROM generate_series(1, p_rows) n $$;
	-- created_by names the row
	CREATE VIEW model AS
		SELECT created_by, tenant, stream_id, event_type, coalesce(event_data, '{}') AS event_data, event_id, event_id IS NOT NULL AND row_number() OVER (PARTITION BY tenant, event_id ORDER BY stream_version, created_at) = 1 AS keeps_id,
		       row_number() OVER stream AS version, max(created_at) OVER (stream ROWS UNBOUNDED PRECEDING) AS created_at, stream_version, created_at AS old_time
		FROM (SELECT *, coalesce(tenant_id, 'default') AS tenant FROM events_old.event_store) e
		WINDOW stream AS (PARTITION BY tenant, stream_id ORDER BY stream_version, created_at, event_id);
});
for my $seed (1 .. 8)
{
	$node->safe_psql('random', "DROP TABLE IF EXISTS before_it; TRUNCATE events_old.event_store; SELECT setseed(0.$seed); SELECT flaws(600); UPDATE events_old.event_store SET stream_id = 's$seed' || stream_id, event_id = (left(event_id::text, 7) || $seed || substr(event_id::text, 9))::uuid");
	my $planned = $node->safe_psql('random', q{SELECT tenant_id, stream_id, old_version, old_id, stream_version, event_id, created_at, reason FROM events.rehearse_import('events_old.event_store') ORDER BY 1, 2, 5});
	$node->safe_psql('random', "CALL events.import_store('events_old.event_store', p_batch => 37)");
	is($node->safe_psql('random', q{SELECT tenant_id, stream_id, old_version, old_id, stream_version, event_id, created_at, reason FROM events.import_report WHERE run = (SELECT max(run) FROM events.imports) ORDER BY 1, 2, 5}),
		$planned, "random $seed: what was rehearsed is what was done");
	is($node->safe_psql('random', q{
		SELECT count(*) FILTER (WHERE e.event_id IS NULL), count(*) FILTER (WHERE (e.tenant_id, e.stream_id, e.stream_version, e.event_type, e.event_data, e.created_at) IS DISTINCT FROM (m.tenant, m.stream_id, m.version, m.event_type, m.event_data, m.created_at)),
		       count(*) FILTER (WHERE (e.event_id = m.event_id) IS NOT true AND m.keeps_id), count(*) FILTER (WHERE (e.event_id = m.event_id) IS true AND NOT m.keeps_id)
		FROM model m LEFT JOIN events.event_store e ON e.created_by = m.created_by AND e.stream_id LIKE 's} . $seed . q{%'}), '0|0|0|0', "random $seed: all is as the model has it");
	is($node->safe_psql('random', q{SELECT count(*) FROM (SELECT tenant, stream_id, version FROM model WHERE version IS DISTINCT FROM stream_version OR NOT keeps_id OR created_at <> old_time
			UNION SELECT coalesce(tenant_id, 'default'), stream_id, m.version FROM events_old.event_store e JOIN model m USING (created_by, stream_id) WHERE e.tenant_id IS NULL OR e.event_data IS NULL) r}),
		scalar(split /\n/, $planned), "random $seed: and what differs is reported");
	# More of them: what is there stays as it is, and each of the others comes after it.
	$node->safe_psql('random', "CREATE TABLE before_it AS SELECT * FROM events.event_store; SELECT flaws(200); UPDATE events_old.event_store SET created_by = 'old:late' || created_by, stream_id = 's$seed' || stream_id, event_id = (left(event_id::text, 7) || $seed || substr(event_id::text, 9))::uuid WHERE stream_id LIKE 's:%'");
	my ($code, $out, $err) = $node->psql('random', "CALL events.import_store('events_old.event_store')");
	is($code, 0, "random $seed: what came later is imported") or diag $err;
	is($node->safe_psql('random', q{SELECT (SELECT count(*) FROM before_it b WHERE NOT EXISTS (SELECT FROM events.event_store e WHERE e = b)),
			(SELECT count(*) FROM events.event_store WHERE created_by LIKE 'old:late%' AND stream_id LIKE 's} . $seed . q{%'), (SELECT count(*) FROM events.rehearse_import('events_old.event_store')),
			(SELECT count(*) FROM events_old.event_store s LEFT JOIN events.event_store e ON e.created_by = s.created_by AND e.stream_id = s.stream_id WHERE (e.event_type, e.event_data) IS DISTINCT FROM (s.event_type, coalesce(s.event_data, '{}')))}),
		'0|200|0|0', "random $seed: and what was there is as it was");
}
store_is_sound($node, 'random', 'random tables');

# Ended in the middle, by a crash
new_database('crash', q{
	INSERT INTO events_old.event_store SELECT gen_random_uuid(), 's:' || n % 50, n / 50 + n % 3, 'happened', to_jsonb(n), NULL, '2020-01-01'::timestamptz + n * interval '1 minute', 'old', NULL FROM generate_series(1, 2999) n;
	INSERT INTO events_old.event_store SELECT gen_random_uuid(), 'held', 2, 'happened', '1', NULL, '2020-01-01'::timestamptz + 2000 * interval '1 minute', 'old', NULL;
	-- until it ends, the import waits for the stream
	SELECT events.import_events('{first}', '{happened}', '{1}', ARRAY[gen_random_uuid()], '{2020-01-01}');
	BEGIN;
	SELECT events.import_events('{held}', '{happened}', '{1}', ARRAY[gen_random_uuid()], '{2020-01-01}');
	PREPARE TRANSACTION 'holder';
});
my $client = start_psql($node, 'crash', "CALL events.import_store('events_old.event_store', p_batch => 10)");
wait_until($node, 'crash', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'", 'the import waits in the middle');
my $old = q{SELECT count(*) FROM events.event_store WHERE created_by = 'old'};
my $before = $node->safe_psql('crash', $old);
cmp_ok($before, '>', 1000, 'some events are imported');
wait_until($node, 'crash', 'SELECT count(*) > 0 FROM events.progress WHERE done > 0', 'others see how far it is');
like($node->safe_psql('crash', 'SELECT what, phase, done > 0, total FROM events.progress'), qr/^import\|importing\|t\|3000$/, 'others see what it does');
$node->kill9;
finish_all($client);
restart_after_kill($node);
my $there = $node->safe_psql('crash', $old);
is($there, $before, 'what was committed before a crash is there');
$node->safe_psql('crash', q{ROLLBACK PREPARED 'holder'});
is($node->safe_psql('crash', 'SELECT count(*) FROM events.imports WHERE finished_at IS NULL'), 1, 'the call is seen as not finished');
moved_in('crash', 'called again');
is($node->safe_psql('crash', 'SELECT imported FROM events.imports ORDER BY run DESC LIMIT 1'), 3000 - $there, 'only the rest was imported');
is($node->safe_psql('crash', 'SELECT count(*), count(DISTINCT event_id) FROM events.import_report'), '3000|3000', 'each event is in the report once');
store_is_sound($node, 'crash', 'after a crash');

# The old store goes on
new_database('beside', q{
	CREATE PROCEDURE go_on(p_events integer) LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. p_events LOOP
			INSERT INTO events_old.event_store SELECT gen_random_uuid(), 's:' || n % 13, coalesce(max(stream_version), 0) + (random() < 0.7)::integer, 'happened', to_jsonb(n), NULL, clock_timestamp() - random() * interval '1 second', 'old', 'default'
			FROM events_old.event_store WHERE stream_id = 's:' || n % 13;
			COMMIT;
		END LOOP;
	END $$;
	CALL go_on(500);
});
my @writers = map { start_psql($node, 'beside', 'CALL go_on(1500)') } 1 .. 2;
$node->safe_psql('beside', "CALL events.import_store('events_old.event_store', p_batch => 50)") for 1 .. 3;
is(finish_all(@writers), '', 'the old store is written to meanwhile');
moved_in('beside', 'after its last write');
store_is_sound($node, 'beside', 'beside writers');

# Rules of encrypted fields and of tags apply to what comes in, and the comparison takes account of them.
new_database('rules', q{
	SELECT encrypted.add_rule('registered', '{/name}', '/user'), events.add_tag_rule('registered', '/user', 'user');
	INSERT INTO events_old.event_store SELECT gen_random_uuid(), 'u:' || n, 1, 'registered', jsonb_build_object('user', 'u' || n, 'name', 'Ada ' || n), NULL, '2020-01-01'::timestamptz + n * interval '1 hour', 'old', 'default' FROM generate_series(1, 200) n;
	INSERT INTO events_old.event_store SELECT gen_random_uuid(), 'u:' || n, 2, 'seen', '{"name": "plain"}', NULL, '2021-01-01'::timestamptz + n * interval '1 hour', 'old', 'default' FROM generate_series(1, 200) n;
});
moved_in('rules', 'with rules');
is($node->safe_psql('rules', q{SELECT count(*) FROM events.event_store WHERE event_data::text LIKE '%Ada %'}), 0, 'personal fields are encrypted');
is($node->safe_psql('rules', q{SELECT event_data ->> 'name' FROM events.replay_stream_decrypted('u:7') WHERE stream_version = 1}), 'Ada 7', 'and can be read');
is($node->safe_psql('rules', q{SELECT stream_id FROM events.read_all(p_tags => '{user:u9}')}), 'u:9', 'tags are made');
moved_in('rules', 'with rules, again');

# Somebody changed what was imported.
my $month = 'events.event_store_2021_01';
$node->safe_psql('rules', "ALTER TABLE $month DISABLE TRIGGER ALL; UPDATE $month SET event_data = '{\"name\": \"forged\"}' WHERE stream_id = 'u:42'; ALTER TABLE $month ENABLE ALWAYS TRIGGER refuse_change");
fails_with($node, 'rules', "CALL events.import_store('events_old.event_store')", 'XX001', 'a changed event is found', like => qr/version 2 of stream "u:42" of tenant "default".*400 events and [0-9a-f]{64} of the source, 400 and/s);
is($node->safe_psql('rules', 'SELECT finished_at IS NULL FROM events.imports ORDER BY run DESC LIMIT 1'), 't', 'and the call is not finished');

# A month that was dropped takes none.
new_database('dropped', q{
	INSERT INTO events_old.event_store SELECT gen_random_uuid(), 's:1', n, 'happened', '1', NULL, '2020-01-20'::timestamptz + n * interval '1 day', 'old', 'default' FROM generate_series(1, 20) n;
	CALL events.import_store('events_old.event_store');
	INSERT INTO events_old.event_store VALUES (gen_random_uuid(), 's:2', 1, 'happened', '1', NULL, '2020-01-21', 'old', 'default'), (gen_random_uuid(), 's:2', 2, 'happened', '1', NULL, '2020-02-21', 'old', 'default');
});
$node->safe_psql('dropped', "CALL events.drop_months_before('2020-02-01', '{unsealed:*}')");
is($node->safe_psql('dropped', "SELECT stream_id, count(*) FROM events.rehearse_import('events_old.event_store') WHERE reason = 'its month was dropped' AND to_do IS NOT NULL GROUP BY 1 ORDER BY 1"), "s:1|11\ns:2|1", 'what a dropped month would hold is refused');

# Data of a dump
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/beside.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('beside') ], 'a dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'and a restore');
for my $view ('events.imports', 'events.import_report')
{
	my $all = "SELECT md5(string_agg(v::text, ',' ORDER BY v::text)) FROM $view v";
	is($node->safe_psql('restored', $all), $node->safe_psql('beside', $all), "$view is in it");
}
$node->safe_psql('restored', "CALL events.import_store('events_old.event_store')");
is($node->safe_psql('restored', 'SELECT imported FROM events.imports ORDER BY run DESC LIMIT 1'), 0, 'and the import goes on from there');

# Memory: what ten times as many events take
my @memory;
for my $events (15000, 150000)
{
	new_database("memory_$events", qq{
		INSERT INTO events_old.event_store SELECT gen_random_uuid(), 's:' || n % 5000, n / 5000 + 1, 'happened', jsonb_build_object('n', n, 'text', repeat('x', 150)), NULL, '2020-01-01'::timestamptz + n * interval '10 minutes', 'old', 'default' FROM generate_series(1, $events) n;
		ANALYZE events_old.event_store});
	my $call = start_psql($node, "memory_$events", 'SELECT pg_sleep(2)', "CALL events.import_store('events_old.event_store')");
	wait_until($node, "memory_$events", "SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^(SELECT pg_sleep|CALL)'", 'the session has begun');
	my $pid = $node->safe_psql("memory_$events", "SELECT pid FROM pg_stat_activity WHERE query ~ '^(SELECT pg_sleep|CALL)'");
	my $most = 0;
	while ($node->safe_psql("memory_$events", 'SELECT count(*) FROM events.imports WHERE finished_at IS NOT NULL') == 0)
	{
		# the session may end at any moment
		$most = max($most, eval { rss_anon($pid) } // last);
	}
	is(finish_all($call), '', "$events events are imported");
	push @memory, $most;
}
cmp_ok($memory[1], '<', $memory[0] + 40000, 'ten times as many events take hardly more memory');
note("at most $memory[0] kB, $memory[1] kB");

done_testing();

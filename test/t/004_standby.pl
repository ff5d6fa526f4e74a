# A physical standby replays what the direct path logged, page by page as the primary has it; it serves reads, refuses
# writes, and goes on with versions and positions once promoted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;

my $primary = new_store('primary', streaming => 1, conf => q{
	wal_consistency_checking = 'all'
	max_prepared_transactions = 20
	gin_pending_list_limit = 64kB
});
$primary->safe_psql('postgres', 'CREATE EXTENSION amcheck');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub same
{
	my ($title) = @_;
	$primary->wait_for_catchup($standby);
	is(store_digest($standby), store_digest($primary), "$title: the standby has the same store");
	check_indexes($standby, "$title: standby", 'postgres', standby => 1);
	return;
}

# A session that was there before the first month
my $reader = $standby->background_psql('postgres');
is($reader->query_safe("SELECT events.stream_version('s:1'), events.stream_exists('s:1'), events.get_stream_state('s:1')"), '|f|{}',
	'an empty store is read on the standby');

bench($primary, 'single appends', [
	"\\set s random(1, 20)\nSELECT events.append_event('s:' || :s, 'e', '{\"n\": 1}');\n",
	"\\set s random(1, 20)\nSELECT events.append_event('s:' || :s, 'e', '{\"n\": 2}', p_event_id => gen_random_uuid());\n",
	"BEGIN;\nSELECT events.append_event('s:1', 'e', '{}');\nROLLBACK;\n"
	], clients => 4, count => 400);
same('single appends');
cmp_ok($reader->query_safe("SELECT events.stream_version('s:1')"), '>', 1, 'the session on the standby sees the new month');

bench($primary, 'batches', [
	"\\set n random(1, 400)\nSELECT count(*) FROM events.append_events((SELECT array_agg('b:' || i % 20) FROM generate_series(1, :n) i),
		(SELECT array_agg('t' || i % 5) FROM generate_series(1, :n) i), (SELECT array_agg(jsonb_build_object('i', i, 'p', repeat('y', i))) FROM generate_series(1, :n) i));\n"
	], clients => 4, count => 20, mode => 'simple');
fill($primary, 'large:1', 5000, pad => 300);
$primary->safe_psql('postgres', q{SELECT events.append_event('toast:1', 'e', jsonb_build_object('t', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 5000) i)))});
same('batches');

# what happens to a stream, to its months and to the indexes
my $month = $primary->safe_psql('postgres', q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});
$primary->safe_psql('postgres', qq{
	SELECT events.close_stream('s:2', 'done'); SELECT events.create_monthly_partitions(6);
	SELECT events.append_event('prepared:1', 'e', '{}');
	BEGIN; SELECT events.append_event('prepared:1', 'e', '{}'); PREPARE TRANSACTION 'p';
	COMMIT PREPARED 'p';
	DO \$\$ BEGIN
		FOR i IN 1 .. 20 LOOP
			BEGIN
				PERFORM events.append_event('sub:1', 'e', '{}');
				IF i % 2 = 0 THEN RAISE EXCEPTION 'back'; END IF;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END LOOP;
	END \$\$;
});
$primary->safe_psql('postgres', "REINDEX TABLE CONCURRENTLY events.event_store_$month");
$primary->safe_psql('postgres', "VACUUM events.event_store_$month");
$primary->safe_psql('postgres', q{SELECT events.append_event('s:1', 'e', '{"after": "vacuum"}')});
same('maintenance');

# reads on the standby give what they give on the primary
my @reads = (
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.replay_stream('s:1') r},
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.replay_stream_backward('large:1', 3000, 100) r},
	q{SELECT md5(events.get_stream_state('b:1')::text), md5(events.get_stream_state('b:1', 100)::text)},
	q{SELECT events.stream_version('s:1'), events.stream_exists('s:1'), events.stream_exists('none')},
	q{SELECT event_type FROM events.last_event('b:3')},
	q{SELECT stream_id, version, closed FROM events.streams ORDER BY 1},
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.events_by_time('-infinity', 'infinity', p_limit => 100) r},
	q{SELECT count(*), md5(string_agg(r::text, '')) FROM events.find_events('{"n": 2}') r},
	q{SELECT count(*) FROM events.tenant_events},
	q{SELECT events.current_tenant()});
is($standby->safe_psql('postgres', $_), $primary->safe_psql('postgres', $_), "on the standby: $_") for @reads;
is($standby->safe_psql('postgres', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events.replay_stream('large:1'); COMMIT}), 5000,
	'on the standby at REPEATABLE READ');

# writes are refused as the server refuses them
for my $write (
	"events.append_event('s:1', 'e', '{}')",
	"events.append_event('never:1', 'e', '{}', p_event_id => gen_random_uuid())",
	"(events.append_events(ARRAY['s:1'], ARRAY['e'], ARRAY['{}']::jsonb[])).event_id",
	"events.close_stream('s:1', 'no')", "events.reopen_stream('s:2')", 'events.create_monthly_partitions(20)',
	"events.bind_tenant('postgres', 'x')")
{
	my ($code, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $write");
	like($err, qr/ERROR:  25006/, "on the standby $write is refused with 25006");
	($code, $out, $err) = $primary->psql('postgres', "\\set VERBOSITY sqlstate\nBEGIN READ ONLY;\nSELECT $write");
	like($err, qr/ERROR:  25006/, "in a read-only transaction of the primary too");
}
$reader->quit;
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC|FATAL:  terminating/, 'no page differed');

# promoted, the standby goes on
my ($version, $position) = split /\|/, $primary->safe_psql('postgres',
	q{SELECT events.stream_version('s:1'), (SELECT max(global_position) FROM events.event_store)});
$primary->wait_for_catchup($standby);
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT stream_version, global_position > $position FROM events.append_events(ARRAY['s:1', 'promoted:1'], ARRAY['e', 'e'], ARRAY['{}', '{}']::jsonb[])"),
	($version + 1) . "|t\n1|t", 'versions and positions go on');
bench($standby, 'the promoted standby', [ "\\set s random(3, 20)\nSELECT events.append_event('s:' || :s, 'e', '{\"n\": 3}');\n" ], clients => 4, count => 100);
check_store($standby, 'promoted');

done_testing();

# Imports beside appends, through a crash, a prepared transaction and a drop of months: each event is there once, with its time, whatever was given
# again; versions are dense, and no imported event comes after one that was appended.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use Test::More;

my $node = new_bounded_store('import', conf => 'max_prepared_transactions = 20');
$node->safe_psql('postgres', q{
	SELECT events.create_monthly_partitions();
	CREATE FUNCTION id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('1a000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
	CREATE FUNCTION day_of(n bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT '2020-01-01 00:00+00'::timestamptz + (n % 1000000) * interval '1 day' $$;
	-- 20 events from number p_first on; the number is in the id, and says the day.
	CREATE FUNCTION import(p_stream text, p_first bigint) RETURNS bigint LANGUAGE sql AS $$
		SELECT max(stream_version) FROM events.import_events(array_fill(p_stream, ARRAY[20]), array_fill('e'::text, ARRAY[20]), array_fill('1'::jsonb, ARRAY[20]),
			ARRAY(SELECT id(n) FROM generate_series(p_first, p_first + 19) n), ARRAY(SELECT day_of(n) FROM generate_series(p_first, p_first + 19) n),
			array_fill('import'::text, ARRAY[20]))
	$$;
	-- A client imports into a stream of its own and into five that it shares. Of the shared ones some batches are refused: they are older than
	-- what another client brought, or somebody has appended to the stream.
	CREATE PROCEDURE storm(p_client integer) LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 0 .. 39 LOOP
			PERFORM import('own:' || p_client, p_client * 1000000 + n * 20);
			COMMIT;
			BEGIN
				PERFORM import('s:' || n % 5, p_client * 1000000 + 100000000 + n * 20);
			EXCEPTION WHEN invalid_parameter_value OR object_not_in_prerequisite_state THEN
				NULL;
			END;
			COMMIT;
			IF n = 20 + p_client THEN
				PERFORM events.append_event('s:' || p_client, 'e', '1', 'live');
			END IF;
			PERFORM events.append_event('live:' || p_client, 'e', '1', 'live');
			COMMIT;
		END LOOP;
	END $$;
	-- What may not be: an imported event after an appended one, with another time than its own, or twice; a stream's row that says otherwise.
	CREATE VIEW wrong AS
		SELECT stream_id, stream_version FROM (
			SELECT e.*, bool_or(created_by = 'live') OVER (PARTITION BY stream_id ORDER BY stream_version) AS after_live,
			       count(*) OVER (PARTITION BY event_id) AS times FROM events.event_store e) e
		WHERE created_by = 'import' AND (after_live OR times > 1 OR created_at <> day_of(right(event_id::text, 12)::bigint))
		UNION ALL
		SELECT stream_id, imported_version FROM auren.stream_rows r
		WHERE imported_version <> (SELECT count(*) FROM events.event_store e WHERE e.stream_id = r.stream_id AND created_by = 'import');
});

# A crash in the middle of the storm
my @clients = map { start_psql($node, 'postgres', "CALL storm($_)") } 0 .. 3;
wait_until($node, 'postgres', "SELECT (SELECT count(*) FROM events.event_store WHERE created_by = 'import') > 500", 'imports are under way');
$node->kill9;
finish_all(@clients);
restart_after_kill($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM wrong'), 0, 'a crash leaves nothing wrong');
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT count(*) % 20 AS rest FROM events.event_store WHERE created_by = 'import' GROUP BY stream_id) g WHERE rest <> 0"),
	0, 'and no part of a batch');

# The same batches again, beside each other, and more
is(finish_all(map { start_psql($node, 'postgres', "CALL storm($_)") } 0 .. 3), '', 'every client ends well when it begins again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wrong'), 0, 'nothing is wrong');
is($node->safe_psql('postgres', "SELECT stream_id, version FROM events.streams WHERE category = 'own' ORDER BY 1"),
	join("\n", map { "own:$_|800" } 0 .. 3), 'each batch of a client is there once');
is($node->safe_psql('postgres', "SELECT bool_and(imported_version > 0) FROM auren.stream_rows WHERE stream_id LIKE 's:%'"), 't', 'shared streams got some');
store_is_sound($node, 'postgres', 'after a crash in a storm of imports');

# Prepared
$node->safe_psql('postgres', q{BEGIN; SELECT import('p:1', 900000000); PREPARE TRANSACTION 'import';});
$node->kill9;
restart_after_kill($node);
for my $call ("import('p:1', 901000000)", "events.append_event('p:1', 'e', '1')", "import('p:2', 900000000)")
{
	my ($code, $out, $err) = $node->psql('postgres', "SET lock_timeout = '200ms'; SELECT $call");
	like($err, qr/canceling statement due to lock timeout/, "$call waits for the prepared import");
}
$node->safe_psql('postgres', q{COMMIT PREPARED 'import'});
is($node->safe_psql('postgres', "SELECT import('p:1', 900000000), import('p:1', 901000019)"), '20|40', 'it is there, and the next one comes after it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wrong'), 0, 'nothing is wrong after a prepared import');

# Months that were dropped take no imports; what they had can be given again, and the stream goes on in later months.
$node->safe_psql('postgres', "SELECT import('d:1', 910000000)");
fails_with($node, 'postgres', "BEGIN; SELECT import('d:1', 910000020); CALL events.drop_months_before('2020-02-01', '{unsealed:*}')", '25001', 'a drop in a transaction');
$node->safe_psql('postgres', "CALL events.drop_months_before('2020-02-01', '{unsealed:*}')");
is($node->safe_psql('postgres', "SELECT to_regclass('events.event_store_2020_01') IS NULL"), 't', 'the month is gone');
fails_with($node, 'postgres', "SELECT import('d:2', 920000000)", '55000', 'an import into a dropped month', like => qr/2020_01 was dropped.*Element 1 /s);
is($node->safe_psql('postgres', "SELECT import('d:1', 910000000)"), 20, 'what was dropped is known when it is given again');
fails_with($node, 'postgres', "SELECT events.import_events('{d:1}', '{e}', '{2}', ARRAY[id(910000000)], ARRAY[day_of(0)], '{import}')", 'ZE002', 'other content of a dropped id');
is($node->safe_psql('postgres', "SELECT import('d:1', 910000040)"), 40, 'the stream goes on');
is($node->safe_psql('postgres', "SELECT min(stream_version), max(stream_version), count(*) FROM events.replay_stream('d:1')"), '21|40|20', 'after what it lost');

# A drop waits for an import.
$node->safe_psql('postgres', q{BEGIN; SELECT import('d:3', 930000100); PREPARE TRANSACTION 'importing';});
fails_with($node, 'postgres', "SET lock_timeout = '300ms'; CALL events.drop_months_before('2020-03-01', '{unsealed:*}')", '55P03', 'a drop beside an import');
$node->safe_psql('postgres', q{COMMIT PREPARED 'importing'});
$node->safe_psql('postgres', "CALL events.drop_months_before('2020-03-01', '{unsealed:*}')");

done_testing();

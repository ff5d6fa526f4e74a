# events.verify_installation where it is not as usual: tables that others hold, other sessions' settings, a standby, and faults that hide.

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

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(extra => [ '--encoding=UTF8', '--locale=C', '--data-checksums' ], allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = on\ntimezone = 'UTC'\nsession_preload_libraries = 'auren_events'\nauren_events.seal_key_file = '$keys'\n");
# 17 and later bound the queue by a setting
$node->append_conf('postgresql.conf', "max_notify_queue_pages = 1024\n") if $node->pg_version >= 17;
$node->start;
$node->safe_psql('postgres', q{CREATE EXTENSION auren_events; SELECT count(*) FROM events.create_monthly_partitions(2)});
$node->safe_psql('postgres', q{SELECT events.append_event('user:1', 'noted', '{"a": "b"}'); SELECT events.register_seal_key(); SELECT count(*) FROM events.seal()});

my $failing = q{SELECT "check", message FROM events.verify_installation() WHERE NOT ok};
sub sql { return $node->safe_psql('postgres', join(";\n", @_)) }
sub failing { return sql(@_, $failing) }

# told PLANT, MESSAGE, HEAL
sub told
{
	my ($plant, $message, $heal) = @_;
	sql($plant);
	like(failing(), qr/^$message$/, "told: $plant");
	sql($heal);
	is(failing(), '', "not told: $heal");
	return;
}

is(failing(), '', 'it is well');
my $month = sql(q{SELECT 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});
my ($suffix) = $month =~ /(\d{4}_\d\d)$/;

# ---- faults that hide -------------------------------------------------------------------------------------------------------
told("ALTER TABLE $month DISABLE TRIGGER refuse_row_change", "objects\\|trigger refuse_row_change of $month is not enabled ALWAYS", "ALTER TABLE $month ENABLE ALWAYS TRIGGER refuse_row_change");
told('GRANT SELECT (event_data) ON events.event_store TO PUBLIC', 'rights\|column event_data of events\.event_store is open to PUBLIC \(SELECT\)', 'REVOKE SELECT (event_data) ON events.event_store FROM PUBLIC');
sql(q{CREATE ROLE bound LOGIN; SELECT events.grant_access('bound', 'writer'); SELECT events.bind_tenant('bound', 'a')});
is(failing(), '', 'a bound writer is well');
told("GRANT SELECT (event_data) ON $month TO bound", "rights\\|$month is open to bound, which is bound to tenants", "REVOKE SELECT (event_data) ON $month FROM bound");
told("ALTER TABLE $month SET UNLOGGED", "settings\\|$month is UNLOGGED, so that a crash empties it", "ALTER TABLE $month SET LOGGED");
sql('ALTER TABLE auren.deltas SET UNLOGGED');
like(failing(), qr/^settings\|auren\.deltas is UNLOGGED, so that a crash empties it$/, 'a table of the extension that a crash empties is told');
sql('ALTER TABLE auren.deltas SET LOGGED');
told("CREATE ROLE other; ALTER TABLE $month OWNER TO other", "rights\\|$month belongs to other, and the store to \\w+", "ALTER TABLE $month OWNER TO CURRENT_USER");
told('GRANT pg_read_all_data TO bound', 'rights\|[^\n]* is open to bound, which is bound to tenants[^\n]*', 'REVOKE pg_read_all_data FROM bound');
told(
	"UPDATE pg_class SET relfrozenxid = ((txid_current() % 4294967296 - current_setting('autovacuum_freeze_max_age')::bigint - 1000 + 4294967296) % 4294967296)::text::xid WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = '$month'::regclass)",
	'transaction ids\|the oldest is pg_toast\.pg_toast_\d+ with \d+ transactions; a vacuum against wraparound begins at \d+', "VACUUM FREEZE $month");

# ---- what others hold -----------------------------------------------------------------------------------------------------
my $holder = $node->background_psql('postgres', on_error_stop => 1);
my $locked = 'could not be checked: canceling statement due to lock timeout';
foreach my $case ([ $month, 'months ahead' ], [ 'auren.deltas', 'metrics' ], [ 'auren.registered_seal_keys', 'seal key' ], [ 'auren.stream_rows', 'versions' ])
{
	my ($table, $check) = @$case;
	$holder->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	# the lock is held until this has answered
	like(failing(), qr/^\Q$check|$locked\E$/m, "$table is locked: that is told, and not waited for");
	is(sql(qq{SELECT count(*) > 20, count(*) FILTER (WHERE message = '$locked' AND hint !~ 'pg_locks') FROM events.verify_installation()}), 't|0', 'the others are there, and the hint is about the lock');
	is(sql(q{SET lock_timeout = '7s'; SELECT count(*) FROM events.verify_installation(); SHOW lock_timeout}), sql('SELECT count(*) FROM events.verify_installation()') . "\n7s", 'the session keeps its setting');
	$holder->query_safe('ROLLBACK');
	is(failing(), '', 'and when it is free nothing is told');
}

# an index that is just made is not valid yet
$holder->query_safe("BEGIN; LOCK TABLE $month IN ROW EXCLUSIVE MODE");
my $maker = start_psql($node, 'postgres', "CREATE INDEX CONCURRENTLY made ON $month (created_by)");
wait_until($node, 'postgres', q{SELECT count(*) = 1 FROM pg_index WHERE indexrelid = to_regclass('events.made') AND NOT indisvalid}, 'an index is being made');
is(failing(), '', 'an index that is being made is well');
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND pid <> pg_backend_pid()});
finish_psql($maker);
like(failing(), qr/^indexes\|index events\.made of $month is not valid$/, 'one that was left is told');
$holder->query_safe('ROLLBACK');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY events.made');
is(failing(), '', 'what the hint says makes it valid');
$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY events.made');

# ---- sessions -----------------------------------------------------------------------------------------------------------------
foreach my $settings (
	[ q{SET DateStyle = 'SQL, DMY'}, q{SET TimeZone = 'Asia/Kolkata'} ],
	[ q{SET DateStyle = 'German'}, q{SET TimeZone = 'America/St_Johns'} ],
	[ q{SET DateStyle = 'Postgres, MDY'}, q{SET TimeZone = 'Australia/Lord_Howe'} ],
	[ 'SET quote_all_identifiers = on', 'SET standard_conforming_strings = off' ],
	[ 'BEGIN READ ONLY' ], [ 'BEGIN ISOLATION LEVEL SERIALIZABLE' ], [ 'SET default_transaction_read_only = on' ],
	[ 'SET enable_seqscan = off', 'SET enable_hashjoin = off', 'SET max_parallel_workers_per_gather = 4', 'SET force_parallel_mode = on' ],
	[ q{CREATE SCHEMA IF NOT EXISTS evil}, q{CREATE OR REPLACE FUNCTION evil.count(text) RETURNS text LANGUAGE sql AS 'SELECT $1'}, q{CREATE OR REPLACE FUNCTION evil.not_same(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1'},
		q{DROP OPERATOR IF EXISTS evil.= (oid, oid)}, q{CREATE OPERATOR evil.= (FUNCTION = evil.not_same, LEFTARG = oid, RIGHTARG = oid)}, 'SET search_path = evil, pg_catalog' ],
	[ q{SET app.tenant_id = 'another'} ])
{
	my @set = @$settings;
	@set = grep { !/force_parallel/ } @set if $node->pg_version >= 16;
	is(failing(@set), '', join('; ', @set));
	is(sql(@set, q{SELECT message FROM events.verify_installation() WHERE "check" = 'months ahead'}), sql(q{SELECT message FROM events.verify_installation() WHERE "check" = 'months ahead'}),
		'and the same is told');
}

# ---- a queue that a listener keeps full ----------------------------------------------------------------------------------------
$holder->query_safe('LISTEN nothing');
$holder->query_safe('BEGIN');
$holder->query_safe('SELECT 1');
for (1 .. 200)
{
	last if sql('SELECT pg_notification_queue_usage() > 0.25') eq 't';
	# two of them do not fit on a page of the queue
	sql(q{SELECT count(pg_notify('something', n || repeat('x', 4100))) FROM generate_series(1, CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN 20 ELSE 10000 END) n});
}
like(failing(), qr/^notification queue\|2[5-9]\.\d percent of the queue are in use$/, 'notification queue: the fault is told');
my $watched = sql('SELECT count(*) FROM events.notification_queue');
cmp_ok($watched, '>', 0, 'the view that the hint names shows something');
$holder->query_safe('COMMIT');
sql(q{NOTIFY nothing});
wait_until($node, 'postgres', 'SELECT pg_notification_queue_usage() < 0.25', 'the queue is read');
is(failing(), '', 'and when it is mended nothing is told');
$holder->quit;

# ---- a standby --------------------------------------------------------------------------------------------------------------------
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $failing), '', 'a standby is well');
sql('GRANT SELECT ON events.event_store TO PUBLIC');
$node->wait_for_catchup($standby);
like($standby->safe_psql('postgres', $failing), qr/^rights\|events\.event_store is open to PUBLIC \(SELECT\)/, 'and tells what is not');
$standby->stop;

$node->stop;
done_testing();

# events.verify_installation: a store that is well, and each fault that it tells, planted and taken away again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WholeStore;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $seal_keys = "$directory/seal_keys";
append_to_file($seal_keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
my $master_keys = "$directory/master_keys";
append_to_file($master_keys, 'first ' . '3f' x 32 . "\n");
chmod 0600, $seal_keys, $master_keys;

my $node = PostgreSQL::Test::Cluster->new('installation');
$node->init(extra => [ '--encoding=UTF8', '--locale=C', '--data-checksums' ]);
$node->append_conf('postgresql.conf', qq{
	fsync = on
	timezone = 'UTC'
	max_prepared_transactions = 2
	wal_level = replica
	session_preload_libraries = 'auren_events'
	auren_events.audit_decrypt = on
	auren_events.master_key_file = '$master_keys'
	auren_events.seal_key_file = '$seal_keys'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION auren_events');

sub sql { return $node->safe_psql('postgres', join(";\n", @_)) }
# checks that fail, with what is said of them
my $failing = q{SELECT "check", severity, message FROM events.verify_installation() WHERE NOT ok};
sub failing { return sql($failing) }

# told PLANT, CHECK, SEVERITY, MESSAGE, HEAL, TITLE: this one check fails after PLANT, and none after HEAL
sub told
{
	my ($plant, $check, $severity, $message, $heal) = @_;
	sql($plant);
	my $found = failing();
	like($found, qr/^\Q$check\E\|$severity\|$message$/, "$check: the fault is told");
	is($found =~ tr/\n//, 0, 'and no other');
	sql($heal);
	is(failing(), '', 'and when it is mended nothing is told');
	return;
}

like(failing(), qr/^months ahead\|warning\|months are made until never$/, 'a new store has no months');
sql('SELECT count(*) FROM events.create_monthly_partitions(2)');
is(failing(), '', 'with them it is well');
is(sql('SELECT count(*) >= 23, count(DISTINCT "check") = count(*), count(*) FILTER (WHERE hint IS NOT NULL) FROM events.verify_installation()'), 't|t|0',
	'no check has a hint then');
is(sql(q{SELECT message FROM events.verify_installation() WHERE "check" = 'jobs'}), 'pg_cron is not in this database: what calls refresh and months is not known here',
	'what cannot be known is said');

# A transaction that appends, in a database of its own: it is told after a minute, at the end of this file.
sql('CREATE DATABASE held');
$node->safe_psql('held', q{CREATE EXTENSION auren_events; SELECT count(*) FROM events.create_monthly_partitions(2)});
$node->safe_psql('held', q{BEGIN; SELECT events.append_event('user:1', 'noted', '{}'); PREPARE TRANSACTION 'held'});
is($node->safe_psql('held', $failing), '', 'a transaction of this minute is well');

# who may ask
sql(q{GRANT USAGE ON SCHEMA events TO pg_monitor}, q{GRANT EXECUTE ON FUNCTION events.verify_installation() TO pg_monitor}, q{CREATE ROLE watcher LOGIN IN ROLE pg_monitor}, q{CREATE ROLE bound LOGIN}, q{CREATE ROLE nobody LOGIN},
	q{SELECT events.grant_access('bound', 'admin')}, q{SELECT events.bind_tenant('bound', 'a')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM events.verify_installation() WHERE NOT ok', extra_params => [ '-U', 'watcher' ]), 0, 'pg_monitor may ask');
for my $role (qw(bound nobody))
{
	my ($code, undef, $error) = $node->psql('postgres', '\set VERBOSITY sqlstate' . "\nSELECT * FROM events.verify_installation()", extra_params => [ '-U', $role ]);
	like($error, qr/42501/, "$role may not");
}

# the store's own objects
told('ALTER TABLE events.event_store DISABLE TRIGGER refuse_truncate', 'objects', 'error', 'trigger state refuse_truncate of events\.event_store is missing or another one',
	'ALTER TABLE events.event_store ENABLE ALWAYS TRIGGER refuse_truncate');
told('ALTER EVENT TRIGGER auren_events_guard_drop DISABLE', 'objects', 'error', 'event trigger auren_events_guard_drop is disabled',
	'ALTER EVENT TRIGGER auren_events_guard_drop ENABLE ALWAYS');
my $month = sql(q{SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass});
told("UPDATE pg_trigger SET tgenabled = 'O' WHERE tgrelid = '$month'::regclass AND tgname = 'refuse_change'", 'objects', 'error',
	"trigger refuse_change of $month is not enabled ALWAYS",
	"UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = '$month'::regclass AND tgname = 'refuse_change'");
my ($suffix) = $month =~ /(\d{4}_\d\d)$/;
my $definition = sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_event_store_metadata_gin_$suffix'");
told("DROP INDEX events.idx_event_store_metadata_gin_$suffix", 'indexes', 'error', "index idx_event_store_metadata_gin_$suffix of $month is missing", $definition);
told("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events.idx_event_store_stream_$suffix'::regclass", 'indexes', 'error',
	"index events\\.idx_event_store_stream_$suffix of $month is not valid",
	"UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'events.idx_event_store_stream_$suffix'::regclass");
told(q{UPDATE pg_extension SET extversion = '0.1.0' WHERE extname = 'auren_events'}, 'versions', 'error', 'module [0-9.]+, SQL objects 0\.1\.0',
	q{UPDATE pg_extension SET extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'auren_events') WHERE extname = 'auren_events'});

my $tags = "auren.event_tags_" . sql(q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});
my $bound = sql("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = '$tags'::regclass");
told("ALTER TABLE auren.event_tags DETACH PARTITION $tags", 'months ahead', 'warning', 'event_store_\d{4}_\d\d has no month of tags beside it',
	"ALTER TABLE auren.event_tags ATTACH PARTITION $tags $bound");

# rights
told('GRANT SELECT ON events.event_store TO PUBLIC', 'rights', 'error', 'events\.event_store is open to PUBLIC \(SELECT\); events\.event_store is open to bound, which is bound to tenants', 'REVOKE SELECT ON events.event_store FROM PUBLIC');
told("GRANT SELECT ON $month TO PUBLIC", 'rights', 'error', "$month is open to PUBLIC \\(SELECT\\); $month is open to bound, which is bound to tenants", "REVOKE SELECT ON $month FROM PUBLIC");
told('GRANT EXECUTE ON FUNCTION events.seal(bigint) TO PUBLIC', 'rights', 'error', 'events\.seal\(bigint\) is open to PUBLIC \(EXECUTE\)',
	'REVOKE EXECUTE ON FUNCTION events.seal(bigint) FROM PUBLIC');
told("GRANT SELECT ON $month TO bound", 'rights', 'error', "$month is open to bound, which is bound to tenants", "REVOKE SELECT ON $month FROM bound");
told('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC', 'default privileges', 'error', 'tables that \S+ makes are open to PUBLIC \(SELECT\)',
	'ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC');

sql(q{SELECT events.grant_access('bound', 'writer'), events.grant_access('bound', 'reader')});
is(failing(), '', 'what events.grant_access gives to a bound role is well');
told('GRANT SELECT ON biometric.biometric_events TO bound', 'rights', 'error', 'biometric\.biometric_events is open to bound, which is bound to tenants',
	'REVOKE SELECT ON biometric.biometric_events FROM bound');
told('GRANT INSERT ON events.event_store TO bound', 'rights', 'error', 'events\.event_store is open to bound, which is bound to tenants', 'REVOKE INSERT ON events.event_store FROM bound');

# what a DBA added
sql('CREATE INDEX added_index ON biometric.biometric_events (device_type)');
is(failing(), '', 'what was added and recorded is well');
told(q{CREATE TABLE public.kept_copy AS TABLE auren.present_objects; DELETE FROM auren.present_objects WHERE name = 'added_index'},
	'added objects', 'error', 'index added_index of biometric\.biometric_events is not there; the store is closed',
	q{INSERT INTO auren.present_objects SELECT k.* FROM public.kept_copy k WHERE k.name = 'added_index'; DROP TABLE public.kept_copy});
told(q{DELETE FROM auren.kept_objects WHERE name = 'added_index'},
	'objects', 'error', 'index added_index of biometric\.biometric_events was added and is not recorded, so that a dump would lose it',
	q{ALTER INDEX biometric.added_index SET (fillfactor = 90)});
sql('DROP INDEX biometric.added_index');

# keys and the audit
sql(q{SELECT encrypted.add_rule('noted', ARRAY['/note'], '/user')});
is(failing(), '', 'keys that can be read are well');
rename $master_keys, "$master_keys.away" or die;
like(failing(), qr/^master key\|error\|[^\n]+$/, 'master key: the fault is told');
rename "$master_keys.away", $master_keys or die;
is(failing(), '', 'and when it is mended nothing is told');
sql('SELECT events.register_seal_key()');
my @as_watcher = (extra_params => [ '-U', 'watcher' ]);
is($node->safe_psql('postgres', 'SELECT count(*) FROM events.verify_installation() WHERE NOT ok', @as_watcher), 0, 'pg_monitor may ask where a seal key is registered');
sql(q{UPDATE auren.registered_seal_keys SET retired_at = now()});
is($node->safe_psql('postgres', q{BEGIN; SELECT message FROM events.verify_installation() WHERE NOT ok; SELECT current_user; COMMIT}, @as_watcher),
	"the current seal key is retired\nwatcher", 'what is wrong with the key is told, and the role that asked has no other rights then');
sql(q{UPDATE auren.registered_seal_keys SET retired_at = NULL});
chmod 0644, $seal_keys;
like(failing(), qr/^seal key\|error\|[^\n]+$/, 'seal key: the fault is told');
chmod 0600, $seal_keys;
is(failing(), '', 'and when it is mended nothing is told');
told('ALTER ROLE bound SET auren_events.audit_decrypt = off', 'audit', 'error', 'auren_events\.audit_decrypt is off for bound', 'ALTER ROLE bound RESET auren_events.audit_decrypt');

# the feed and who reads it
sql(q{SELECT events.append_event('user:1', 'noted', '{}')});
sql(q{SELECT events.create_subscription('mailer', p_lease => '1 second')});
is(sql(q{SELECT count(*) FROM events.fetch('mailer', 'a', 10)}), 1, 'an event is fetched');
sql(q{SELECT events.park('mailer', 'a', (SELECT max(global_position) FROM events.event_store))});
like(failing(), qr/^parked events\|warning\|1 events of subscription mailer \(default\)$/, 'parked events: the fault is told');
sql(q{SELECT events.unpark('mailer', (SELECT max(global_position) FROM events.event_store))});
is(sql(q{SELECT count(*) FROM events.fetch('mailer', 'a', 10)}), 1, 'it is fetched again');
sql(q{SELECT events.acknowledge('mailer', 'a', (SELECT max(global_position) FROM events.event_store))});
is(failing(), '', 'and when it is mended nothing is told');
sql(q{SELECT events.append_event('user:1', 'noted', '{}')});
told(q{UPDATE auren.subscription_progress SET lease_until = lease_until - interval '2 minutes'}, 'subscriptions', 'warning',
	'share 0 of subscription mailer \(default\) is at 1, the feed at \d+, and no consumer has it: a had it until [^\n]*', q{SELECT events.drop_subscription('mailer')});
sql(q{SELECT events.create_subscription('unread', p_shares => 1)});
told(q{UPDATE auren.subscription_settings SET created_at = created_at - interval '2 minutes'}, 'subscriptions', 'warning',
	'share 0 of subscription unread \(default\) is at 0, the feed at \d+, and no consumer has it, nor ever had', q{SELECT events.drop_subscription('unread')});

# metrics, sources, rules
sql(q{INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES ('u', 'hr', 60)});
like(failing(), qr/^metrics\|warning\|there are readings, and no refresh was made yet$/, 'metrics: the fault is told');
sql('SELECT analytics.refresh_user_metrics()');
is(failing(), '', 'and when it is mended nothing is told');
told(q{CREATE TABLE public.readings (user_id text, device_type text, metric_type text, value double precision, "timestamp" timestamptz); SELECT analytics.attach_source('public.readings', 'user_id', 'device_type', 'metric_type', 'value', 'timestamp');
	DELETE FROM auren.filled_sources WHERE source_id = (SELECT max(source_id) FROM analytics.sources)},
	'sources and rules', 'warning', 'source \d+ \((public\.)?readings\) is not filled', 'SELECT analytics.refresh_user_metrics()');

# months that are not sealed
$node->safe_psql('postgres', '\i ' . "$FindBin::RealBin/../sql/old_months.sql");
told(q{SELECT t.old_month(date_trunc('month', now() - interval '100 days')::date); SELECT t.old_event('user:9', 'noted', '{}', now() - interval '100 days')},
	'seals', 'warning', '\d{4}-\d\d was closed more than a week ago and is not sealed', 'SELECT count(*) FROM events.seal()');

# a slot that nobody reads: two switches of WAL are more than the least max_wal_size, 32 MB
sql(q{SELECT slot_name FROM pg_create_physical_replication_slot('standby', true)});
is(failing(), '', 'a slot that keeps little WAL is well');
$node->append_conf('postgresql.conf', 'max_wal_size = 32MB');
$node->reload;
wait_for('max_wal_size is small', sub { sql('SHOW max_wal_size') eq '32MB' });
told(q{SELECT pg_logical_emit_message(false, 'filler', n::text), pg_switch_wal() FROM generate_series(1, 4) n}, 'replication slots', 'warning', 'slot standby keeps \d+ MB of WAL, and nobody reads it',
	q{SELECT pg_drop_replication_slot('standby')});

# settings, and what a crash could lose
for my $setting ('full_page_writes = off', 'fsync = off', 'zero_damaged_pages = on')
{
	my ($name, $value) = split / = /, $setting;
	sql("ALTER SYSTEM SET $name = $value");
	$node->reload;
	wait_for("$name is $value", sub { sql("SHOW $name") eq $value });
	like(failing(), qr/^settings\|error\|$name is $value$/, "settings: $setting is told");
	sql("ALTER SYSTEM RESET $name");
	$node->reload;
	wait_for("$name is back", sub { sql("SHOW $name") ne $value });
}
sql(q{ALTER SYSTEM SET session_preload_libraries = 'plpgsql'});
$node->reload;
wait_for('another library is preloaded', sub { sql('SHOW session_preload_libraries') eq 'plpgsql' });
like(failing(), qr/^preload\|notice\|each session loads the module at its first call$/, 'preload: advice is given');
sql(q{ALTER SYSTEM RESET session_preload_libraries});
$node->reload;
wait_for('it is preloaded again', sub { sql('SHOW session_preload_libraries') eq 'auren_events' });

# the age of a month's transaction ids
told("UPDATE pg_class SET relfrozenxid = ((txid_current() % 4294967296 - current_setting('autovacuum_freeze_max_age')::bigint - 1000 + 4294967296) % 4294967296)::text::xid WHERE oid = '$month'::regclass",
	'transaction ids', 'warning', "the oldest is $month with \\d+ transactions; a vacuum against wraparound begins at \\d+", "VACUUM FREEZE $month");

# a check that cannot be made has failed
sql(q{UPDATE pg_class SET relname = 'refresh_runs_away' WHERE oid = 'auren.refresh_runs'::regclass});
like(failing(), qr/^metrics\|warning\|could not be checked: relation "auren\.refresh_runs" does not exist$/m, 'a check that cannot be made has failed');
sql(q{UPDATE pg_class SET relname = 'refresh_runs' WHERE oid = 'auren.refresh_runs_away'::regclass});

# A month that fills the disk: files without contents beside its own, which the server counts as it counts those.
my $path = sql(q{SELECT pg_relation_filepath(c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('([^']+)'\)$$) b(bound)
	WHERE i.inhparent = 'events.event_store'::regclass AND (b.bound[1])::timestamptz < now() - interval '1 day' ORDER BY (b.bound[1])::timestamptz DESC LIMIT 1});
my @files = map { $node->data_dir . "/$path.$_" } 1 .. 4;
my $huge = (split ' ', (split /\n/, `df -kP "$directory"`)[1])[3] * 1024;
foreach my $file (@files)
{
	open(my $handle, '>', $file) or die "$file: $!";
	truncate($handle, $huge) or die "$file: $!";
	close $handle;
}
like(failing(), qr/^disk\|warning\|\S+ \S+ a day, \S+ \S+ free: \d+ days$/, 'disk: the fault is told');
unlink @files;
is(failing(), '', 'and when it is mended nothing is told');

# sixty months, and how long the feed was held
sql(map { "SELECT t.old_month((date_trunc('month', now()) - interval '" . ($_ + 4) . " months')::date)" } 0 .. 55);
cmp_ok(sql(q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass}), '>=', 60, 'sixty months');
is(failing(), '', 'sixty months are looked at');
note('milliseconds on sixty months: ' . sql(q{SELECT set_config('my.began', clock_timestamp()::text, false) IS NULL, (SELECT count(*) FROM events.verify_installation()),
	extract(epoch FROM clock_timestamp() - current_setting('my.began')::timestamptz) * 1000}));

# the transaction that was left more than a minute ago
sql(q{SELECT pg_sleep(greatest(0, 61 - extract(epoch FROM now() - prepared))) FROM pg_prepared_xacts WHERE gid = 'held'});
like($node->safe_psql('held', $failing), qr/^feed\|warning\|prepared transaction held of \S+ appends since [^\n]+$/, 'feed: the fault is told');
$node->safe_psql('held', q{ROLLBACK PREPARED 'held'});
is($node->safe_psql('held', $failing), '', 'and when it is mended nothing is told');

# a cluster without checksums
$node->stop;
command_ok([ 'pg_checksums', '--disable', '--no-sync', '-D', $node->data_dir ], 'checksums are switched off');
$node->start;
is(failing(), 'checksums|notice|data_checksums is off', 'checksums: the fault is told');

$node->stop;
done_testing();

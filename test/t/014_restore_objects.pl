# What a DBA adds to the store's tables survives a dump: policies, triggers, constraints, indexes and the rest. pg_dump does not hold
# what hangs on an extension's table, so a restored store is closed until events.restore_objects() has made it again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_store('objects', conf => "wal_level = logical\n");
my $dumps = $node->basedir;

$node->safe_psql(
	'postgres', q{
	CREATE ROLE kept_reader LOGIN; CREATE ROLE "Kept Admin";
	SELECT events.grant_access('kept_reader', 'reader'), events.grant_access('kept_reader', 'writer');
	SELECT events.append_event('kept:' || n % 3, CASE n % 2 WHEN 0 THEN 'open' ELSE 'secret' END, jsonb_build_object('n', n)) FROM generate_series(1, 30) n;
	INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('u', 'hr', 60, '2026-01-01 00:00Z');
	CREATE SCHEMA app;
	CREATE TABLE app.tenants (id text PRIMARY KEY); INSERT INTO app.tenants VALUES ('default');
	CREATE TABLE app.seen (stream_id text);
	CREATE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO app.seen VALUES (NEW.stream_id); RETURN NULL; END';
	CREATE FUNCTION app.may_see(text) RETURNS boolean LANGUAGE sql STABLE AS $$SELECT $1 <> 'secret'$$;

	ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
	ALTER TABLE events.event_store FORCE ROW LEVEL SECURITY;
	CREATE POLICY seen ON events.event_store FOR SELECT TO kept_reader, "Kept Admin" USING (app.may_see(event_type));
	CREATE POLICY written ON events.event_store FOR INSERT WITH CHECK (event_type <> 'refused');
	COMMENT ON POLICY seen ON events.event_store IS 'it''s secret';
	CREATE TRIGGER see AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION app.see();
	ALTER TABLE events.event_store ENABLE ALWAYS TRIGGER see;
	COMMENT ON TRIGGER see ON events.event_store IS 'sees';
	CREATE CONSTRAINT TRIGGER see_later AFTER INSERT ON events.event_store DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.event_type = 'later') EXECUTE FUNCTION app.see();
	ALTER TABLE events.event_store ADD CONSTRAINT no_bad CHECK (event_type <> 'bad');
	ALTER TABLE events.event_store ADD CONSTRAINT tenant_known FOREIGN KEY (tenant_id) REFERENCES app.tenants;
	CREATE STATISTICS app.types ON event_type, created_by FROM events.event_store;
	CREATE UNIQUE INDEX "Once a Time" ON biometric.biometric_events (tenant_id, user_id, metric_type, timestamp);
	CREATE INDEX part ON biometric.biometric_events ((upper(user_id))) WHERE value > 10;
	ALTER TABLE biometric.biometric_events ADD CONSTRAINT sane CHECK (value < 10000);
	ALTER TABLE biometric.biometric_events ADD CONSTRAINT device_once UNIQUE (device_type, event_id, timestamp);
	CREATE RULE nothing AS ON INSERT TO biometric.biometric_events WHERE false DO ALSO NOTHING;
	ALTER TABLE biometric.biometric_events SET (autovacuum_vacuum_threshold = 77);
	ALTER TABLE biometric.biometric_events ALTER COLUMN device_type SET DEFAULT 'watch', ALTER COLUMN value SET STATISTICS 500, ALTER COLUMN user_id SET (n_distinct = 9);
	ALTER TABLE biometric.biometric_events REPLICA IDENTITY USING INDEX "Once a Time";
	COMMENT ON TABLE biometric.biometric_events IS 'ours';
	GRANT SELECT (user_id) ON biometric.biometric_events TO "Kept Admin";
	CREATE PUBLICATION readings FOR TABLE biometric.biometric_events WHERE (value > 1), events.event_store;
	CREATE INDEX stream_reason ON auren.stream_rows (closed_reason);
	CREATE TRIGGER not_so AFTER INSERT ON auren.stream_rows FOR EACH ROW EXECUTE FUNCTION app.see();
	ALTER TABLE auren.stream_rows DISABLE TRIGGER not_so;
	SELECT count(*) FROM app.seen});
my $month = $node->safe_psql('postgres', 'SELECT tableoid::regclass FROM events.event_store LIMIT 1');
$node->safe_psql('postgres', "CREATE INDEX on_a_month ON $month ((event_data ->> 'n'))");

my $objects = q{SELECT o::text FROM auren.table_objects o ORDER BY relation, kind, name};
my $months = q{SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass) ORDER BY 1};
my $grants = q{SELECT a.attname, x.grantee::regrole, x.privilege_type FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = 'biometric.biometric_events'::regclass ORDER BY 1, 2, 3};
my $added = $node->safe_psql('postgres', 'SELECT count(*) FROM events.added_objects');
cmp_ok($added, '>', 20, 'there is something to keep');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events.added_objects WHERE NOT present'), 0, 'all of it is there');

my $as_reader = { extra_params => [ '-U', 'kept_reader' ] };

# Whoever asks of a store that is closed gets an error, never another tenant's or a hidden event.
sub is_closed
{
	my ($copy, $name) = @_;
	foreach my $sql (
		'SELECT count(*) FROM events.event_store', 'SELECT * FROM biometric.biometric_events', q{SELECT * FROM events.replay_stream('kept:1')},
		q{SELECT events.get_stream_state('kept:1')}, 'SELECT * FROM events.read_all()', 'SELECT * FROM events.streams', 'SELECT * FROM analytics.user_metrics_daily',
		q{SELECT events.append_event('kept:1', 'bad', '{}')})
	{
		my ($rc, $stdout, $stderr) = $node->psql($copy, $sql, extra_params => [ '-U', 'kept_reader', '-v', 'VERBOSITY=verbose' ], on_error_stop => 1);
		like($stderr, qr/ERROR:  55000: the store is closed.*HINT:  .*restore_objects/s, "$name: closed: $sql");
		is($stdout, '', "$name: nothing of it is shown");
	}
	fails_with($node, $copy, q{SELECT events.append_event('kept:1', 'bad', '{}')}, '55000', "$name: a superuser's append");
	return;
}

sub is_the_same
{
	my ($copy, $name) = @_;
	is($node->safe_psql($copy, $objects), $node->safe_psql('postgres', $objects), "$name: same objects on the store's tables");
	is($node->safe_psql($copy, $months), $node->safe_psql('postgres', $months), "$name: same indexes of the months");
	is($node->safe_psql($copy, $grants), $node->safe_psql('postgres', $grants), "$name: same grants on columns");
	is($node->safe_psql($copy, 'SELECT count(*), count(*) FILTER (WHERE present) FROM events.added_objects'), "$added|$added", "$name: all is written down again");
	is($node->safe_psql($copy, 'SELECT count(*) FROM app.seen'), $node->safe_psql('postgres', 'SELECT count(*) FROM app.seen'), "$name: no trigger fired for what was restored");
	my $table = 'SELECT count(*) FROM events.event_store';
	my $seen = $node->safe_psql('postgres', q{SELECT count(*) FROM events.event_store WHERE event_type = 'open'});
	is($node->safe_psql($copy, $table, %$as_reader), $seen, "$name: the policy hides events of the table");
	is($node->safe_psql($copy, q{SELECT DISTINCT event_type FROM events.read_all(0, 1000)}, %$as_reader), 'open', "$name: and of the feed");
	fails_with($node, $copy, q{SELECT events.append_event('kept:1', 'bad', '{}')}, '23514', "$name: the check");
	fails_with($node, $copy, q{SET app.tenant_id = 'stranger'; SELECT events.append_event('kept:1', 'open', '{}')}, '23503', "$name: the foreign key");
	fails_with($node, $copy, q{INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('u', 'hr', 61, '2026-01-01 00:00Z')}, '23505', "$name: the unique index");
	is($node->safe_psql($copy, q{BEGIN; SELECT count(events.append_event('kept:1', 'open', '{}')); SELECT stream_id FROM app.seen OFFSET 0 ROWS FETCH FIRST 1 ROWS ONLY; ROLLBACK}), "1\nkept:1", "$name: the trigger");
	store_is_sound($node, $copy, $name);
	return;
}

sub opens
{
	my ($copy, $name) = @_;
	is_closed($copy, $name);
	is($node->safe_psql($copy, 'SET client_min_messages = error; SELECT * FROM events.restore_objects()'), '', "$name: everything can be made again");
	is_the_same($copy, $name);
	return;
}

command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/custom", '-d', $node->connstr('postgres') ], 'pg_dump -Fc');
command_ok([ 'pg_dump', '-Fp', '-f', "$dumps/plain", '-d', $node->connstr('postgres') ], 'pg_dump -Fp');

sub fresh
{
	my ($copy) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
	return $node->connstr($copy);
}

command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', fresh('plain'), '-f', "$dumps/plain" ], 'psql');
opens('plain', 'plain');
command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', fresh('parallel'), "$dumps/custom" ], 'pg_restore -j 2');
opens('parallel', 'pg_restore -j 2');
my $apart = fresh('apart');
command_ok([ 'pg_restore', '--exit-on-error', '-s', '-d', $apart, "$dumps/custom" ], 'pg_restore -s');
command_ok([ 'pg_restore', '--exit-on-error', '-a', '-d', $apart, "$dumps/custom" ], 'pg_restore -a');
opens('apart', 'pg_restore -s, -a');
my $disabled = fresh('disabled');
command_ok([ 'pg_restore', '--exit-on-error', '-s', '-d', $disabled, "$dumps/custom" ], 'pg_restore -s, before rows without triggers');
command_ok([ 'pg_restore', '--exit-on-error', '-a', '--disable-triggers', '-d', $disabled, "$dumps/custom" ], 'pg_restore -a --disable-triggers');
is_closed('disabled', 'pg_restore -a --disable-triggers');
command_ok([ 'pg_restore', '--exit-on-error', '--single-transaction', '-d', fresh('single'), "$dumps/custom" ], 'pg_restore --single-transaction');
is_closed('single', 'pg_restore --single-transaction');

# a dump of a store that is still closed, and a copy of a copy
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/closed", '-d', $node->connstr('single') ], 'pg_dump of a closed store');
command_ok([ 'pg_restore', '--exit-on-error', '-d', fresh('closed'), "$dumps/closed" ], 'pg_restore of it');
opens('closed', 'a dump of a closed store');
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/second", '-d', $node->connstr('plain') ], 'pg_dump of the copy');
command_ok([ 'pg_restore', '--exit-on-error', '-d', fresh('second'), "$dumps/second" ], 'pg_restore of the copy');
opens('second', 'a copy of a copy');

# What cannot be made is told, and keeps the store closed until somebody decides.
$node->safe_psql('postgres', 'CREATE DATABASE lacking TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('lacking'), "$dumps/custom" ], 'pg_restore, and something will be missing');
$node->safe_psql('lacking', 'DROP FUNCTION app.may_see(text)');
like($node->safe_psql('lacking', 'SET client_min_messages = error; SELECT kind, name, problem FROM events.restore_objects()'),
	qr/\Apolicy\|seen\|function app.may_see\(text\) does not exist.*comment\|POLICY seen\|policy "seen" .*does not exist\z/s, 'what could not be made, and why');
is_closed('lacking', 'something is missing');
$node->safe_psql('lacking', q{CREATE FUNCTION app.may_see(text) RETURNS boolean LANGUAGE sql STABLE AS $$SELECT $1 <> 'secret'$$});
is($node->safe_psql('lacking', 'SET client_min_messages = error; SELECT * FROM events.restore_objects()'), '', 'with it there, the rest is made');
is_the_same('lacking', 'made in two goes');

# What a DBA takes away on purpose does not come back.
$node->safe_psql('lacking', q{DROP POLICY seen ON events.event_store; DROP INDEX biometric.part; ALTER TABLE events.event_store DROP CONSTRAINT no_bad});
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/less", '-d', $node->connstr('lacking') ], 'pg_dump with less');
command_ok([ 'pg_restore', '--exit-on-error', '-d', fresh('less'), "$dumps/less" ], 'pg_restore with less');
is($node->safe_psql('less', q{SET client_min_messages = error; SELECT * FROM events.restore_objects(); SELECT count(*) FROM auren.table_objects WHERE name IN ('seen', 'part', 'no_bad')}), 0,
	'what was dropped stays away');

# A store without anything added is open at once.
create_store($node, 'bare');
$node->safe_psql('bare', q{SELECT events.append_event('a:1', 'x', '{}')});
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/bare", '-d', $node->connstr('bare') ], 'pg_dump of a store without additions');
command_ok([ 'pg_restore', '--exit-on-error', '-d', fresh('bare_copy'), "$dumps/bare" ], 'pg_restore of it');
is($node->safe_psql('bare_copy', q{SELECT stream_version FROM events.append_events('{a:1}', '{x}', '{"{}"}')}), 2, 'it is open');

$node->stop;
done_testing();

# A database of each released version, filled and updated: its catalog is that of a fresh one, its data are what they were, and it works
# before the update (the new module under the old SQL), beside it and after it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Catalog;
use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
append_to_file($keys, 'first ' . '0123456789abcdef' x 4 . "\n");
chmod 0600, $keys;

my $node = PostgreSQL::Test::Cluster->new('update');
$node->init;
$node->append_conf('postgresql.conf', "auren_events.master_key_file = '$keys'\nsession_preload_libraries = 'auren_events'\n");
$node->start;
create_store($node, 'fresh');
my $fresh_version = $node->safe_psql('fresh', q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'});
my $fresh = catalog_of($node, 'fresh');
cmp_ok(scalar(split /\n/, $fresh), '>', 1000, 'the catalog has many lines');
$node->safe_psql('fresh', 'SELECT events.create_monthly_partitions(0)');

$node->safe_psql('postgres', 'CREATE ROLE app_writer LOGIN; CREATE ROLE app_reader LOGIN; CREATE ROLE one_function LOGIN');

# What callers do, of every room. It runs under the old SQL objects and again after the update.
my @FILL = (
	q{SELECT events.grant_access('app_writer', 'writer'), events.grant_access('app_reader', 'reader'), events.bind_tenant('app_reader', 'default')},
	q{GRANT USAGE ON SCHEMA events TO one_function; GRANT EXECUTE ON FUNCTION events.replay_stream(text, bigint, bigint) TO one_function WITH GRANT OPTION},
	q{SELECT events.create_monthly_partitions(2)},
	q{SELECT events.set_reducer('counted', 'sum', '{"into": "total"}')},
	q{SELECT analytics.attach_events('counted', '{"n": "steps"}')},
	q{SELECT encrypted.add_rule('secret', '{/note}', 'user:*')},
	q{SELECT events.add_notification_rule('seen', 'told')},
	q{SELECT events.append_event('user:' || n % 7, CASE n % 3 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n)) FROM generate_series(1, 300) n},
	q{SELECT events.append_event('user:1', 'supplied', '{"exact": 0.10}', p_event_id := '11111111-1111-4111-8111-111111111111')},
	q{SELECT count(*) FROM events.append_events(ARRAY['user:1', 'user:2'], ARRAY['seen', 'seen'], ARRAY['{}', '{}']::jsonb[])},
	q{SELECT events.append_event('user:3', 'secret', '{"note": "a secret"}')},
	q{SELECT events.take_snapshot('user:1')},
	q{SELECT events.append_event('user:closed', 'last', '{}'), events.close_stream('user:closed', 'left us')},
	q{SELECT events.create_subscription('taken', p_shares => 2)},
	q{SELECT count(*) FROM events.fetch('taken', 'c', 20)},
	q{SELECT events.park('taken', 'c', 7, 'aside'), events.acknowledge('taken', 'c', 15)},
	q{INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) SELECT 'u' || n % 3, 'hr', n, '2026-01-01 00:00Z'::timestamptz + n * interval '7 minutes' FROM generate_series(1, 300) n},
	q{CREATE TABLE vitals (person integer, kind text, amount numeric, taken_at timestamptz)},
	q{SELECT analytics.attach_source('vitals', 'person', NULL, 'kind', 'amount', 'taken_at')},
	q{INSERT INTO vitals SELECT n % 2, 'weight', 80 + n, '2026-11-20 08:00Z' FROM generate_series(1, 20) n},
	q{SELECT analytics.refresh_user_metrics()},
	q{INSERT INTO vitals VALUES (1, 'weight', 70, '2026-11-21 08:00Z')},
	q{SELECT encrypted.encrypt_phi_field('185', 'u1')},
	q{CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'},
	q{CREATE TRIGGER audited AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION audited()},
	q{ALTER TABLE biometric.biometric_events ADD CONSTRAINT sane CHECK (value < 10000)},
	q{CREATE INDEX of_value ON biometric.biometric_events (value)});
# What callers read. Nothing of it changes by an update.
my @READ = (
	'events' => q{SELECT (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tenant_id, global_position)::text FROM events.event_store ORDER BY global_position},
	'states' => q{SELECT stream_id, state FROM events.get_category_states('user') ORDER BY 1},
	'streams' => q{SELECT s::text FROM events.streams s ORDER BY stream_id},
	'decrypted events' => q{SELECT event_data FROM events.replay_stream_decrypted('user:3') WHERE event_type = 'secret'},
	'metrics' => q{SELECT m::text FROM analytics.user_metrics_daily m ORDER BY 1},
	'subscriptions' => q{SELECT name, checkpoint, lag_events, parked FROM events.subscriptions ORDER BY 1},
	'parked events' => q{SELECT name, global_position, reason FROM events.parked ORDER BY 1, 2},
	'notification rules' => q{SELECT r::text FROM events.notification_rules r ORDER BY 1},
	'what was added' => q{SELECT o::text FROM events.added_objects o ORDER BY relation, kind, name},
	'sources' => q{SELECT s::text FROM analytics.sources s ORDER BY 1},
	'people with keys' => q{SELECT s::text FROM encrypted.status s ORDER BY 1});

sub answers
{
	my ($database) = @_;
	my @pairs = @READ;
	my %answers;
	while (my ($what, $query) = splice @pairs, 0, 2)
	{
		$answers{$what} = $node->safe_psql($database, $query);
	}
	return \%answers;
}

# The lines that one text has and the other has not, with - for the first and + for the second.
sub difference
{
	my ($first, $second) = @_;
	my %count;
	$count{$_}++ foreach split /\n/, $second;
	$count{$_}-- foreach split /\n/, $first;
	return join("\n", map { ($count{$_} < 0 ? '-' : '+') . $_ } grep { $count{$_} } sort keys %count);
}

my @released = map { m{--([0-9.]+)\.sql$} } glob("$FindBin::RealBin/../../sql/releases/auren_events--*.sql");
@released = grep { $_ ne $fresh_version } @released;
cmp_ok(scalar(@released), '>', 0, 'a version was released before this one');
foreach my $version (@released)
{
	(my $database = "from_$version") =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "CREATE EXTENSION auren_events VERSION '$version'");

	# the new module under the old SQL
	foreach my $statement (@FILL)
	{
		my ($rc, $stdout, $stderr) = $node->psql($database, $statement, on_error_stop => 1);
		is($rc, 0, "$version before the update: $statement") or diag($stderr);
	}
	# what it had from the start needs nothing that came later; tags do
	fails_with($node, $database, q{SELECT events.append_event('user:1', 'seen', '{}', p_tags := '{a}')}, '42883', "$version before the update: no tags");
	my $before = answers($database);
	# a version may bring tables and columns
	my $tables = tables_of($node, $database);
	my $contents = contents_of($node, $database, $tables);
	store_is_sound($node, $database, "$version before the update");

	# a session that has looked at everything before, and goes on afterwards
	my $session = $node->background_psql($database, on_error_stop => 1);
	my $used = q{
		SELECT events.append_event('user:5', 'counted', '{"n": 1}') IS NOT NULL, events.get_stream_state('user:5') IS NOT NULL, count(*) > 0 FROM events.read_all();
		SELECT count(*) > 0 FROM analytics.user_metrics_daily; SELECT count(*) >= 0 FROM events.fetch('taken', 'd', 1)};
	$session->query_safe("BEGIN; $used; ROLLBACK");
	my $appending = $node->background_psql($database, on_error_stop => 1);
	$appending->query_safe(q{BEGIN; SELECT events.append_event('held:1', 'made', '{}'), count(*) FROM events.replay_stream('user:1')});

	# a column more: it waits for who appends or reads, and a lock_timeout ends that without a trace
	fails_with($node, $database, q{SET lock_timeout = '10ms'; ALTER EXTENSION auren_events UPDATE}, '55P03', "$version: an update waits for an append in flight");
	is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'}), $version, "$version: and nothing is half done");
	$appending->query_safe('ROLLBACK');
	$appending->quit;
	$node->safe_psql($database, 'ALTER EXTENSION auren_events UPDATE');
	is(contents_of($node, $database, $tables), $contents, "$version updated: the same data");
	my $after = answers($database);
	is($after->{$_}, $before->{$_}, "$version updated: the same $_") foreach sort keys %$before;

	# as a fresh one, but for what this test did to it
	my $granted = join('|', qw(app_writer app_reader one_function));
	my $of_test = qr/^(?:right of (?:$granted) on .*|(?:relation|column \d+|index|trigger|constraint|comment|right).*event_store_\d{4}_\d\d.*|trigger of .* audited .*|constraint sane of .*|index of .* of_value .*)$/m;
	(my $updated = catalog_of($node, $database)) =~ s/$of_test\n?//g;
	(my $expected = $fresh) =~ s/$of_test\n?//g;
	is(difference($updated, $expected), '', "$version updated: the catalog is that of a fresh database");
	is(
		$node->safe_psql($database, q{SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = (SELECT tableoid FROM events.event_store LIMIT 1) AND tgname NOT IN ('audited') ORDER BY 1}),
		$node->safe_psql('fresh', q{SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = (SELECT min(inhrelid) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass) ORDER BY 1}),
		"$version updated: a month has the triggers of a fresh one");

	$session->query_safe($used);
	pass("$version updated: a session of before goes on");
	$session->quit;
	store_is_sound($node, $database, "$version updated");

	# months that were made before events had tags
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'auren.event_tags'::regclass}), 0, "$version updated: no month of tags");
	$node->safe_psql($database, q{SELECT events.append_event('user:6', 'seen', '{}', p_tags := '{told,user}')});
	is($node->safe_psql($database, q{SELECT stream_id, tags FROM events.read_all(p_tags := '{user}')}), 'user:6|{told,user}', "$version updated: an event with tags");
	is($node->safe_psql($database, q{SELECT count(*) FROM auren.event_tags WHERE tag_hash IN (auren.tag_hash('default', 'told'), auren.tag_hash('default', 'user'))}), 2, "$version updated: they are in the index");
	is($node->safe_psql($database, q{SELECT events.create_monthly_partitions(2)}), 2, "$version updated: the months ahead are completed");
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'auren.event_tags'::regclass}), 3, "$version updated: those of tags now too");
	$node->safe_psql($database, q{SELECT events.add_tag_rule('seen', '/n', 'n')});
	is($node->safe_psql($database, q{SELECT events.fill_tag_rules(); SELECT complete, skipped FROM events.tag_rules}), "0\nt|0", "$version updated: stored events get tags by a rule");
	is($node->safe_psql($database, q{SELECT DISTINCT stream_id, tags FROM events.read_all(p_tags := '{n:77}')}), 'user:0|{n:77}', "$version updated: and are found by them");

	# whoever had a right has what it gives now, and nobody else has more
	my $lacking = q{
		SELECT o.name FROM auren.granted_objects o JOIN pg_proc p ON p.oid = o.oid
		WHERE o.kind = 'FUNCTION' AND '%s' = ANY (o.access) AND NOT has_function_privilege('%s', o.oid, 'EXECUTE') ORDER BY 1};
	is($node->safe_psql($database, sprintf($lacking, 'writer', 'app_writer')), '', "$version updated: a writer has the right of a writer");
	is($node->safe_psql($database, sprintf($lacking, 'reader', 'app_reader')), '', "$version updated: a reader has the right of a reader");
	is( $node->safe_psql($database, q{SELECT o.name FROM auren.granted_objects o WHERE o.kind = 'FUNCTION' AND has_function_privilege('one_function', o.oid, 'EXECUTE')}),
		'events.replay_stream(p_stream_id text, p_from_version bigint, p_to_version bigint)', "$version updated: one function is no right");

	# a dump of it restores, with the rights
	my $dump = $node->basedir . "/$database.dump";
	command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($database) ], "$version updated: pg_dump");
	$node->safe_psql('postgres', "CREATE DATABASE copy_$database TEMPLATE template0");
	command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr("copy_$database"), $dump ], "$version updated: pg_restore");
	is($node->safe_psql("copy_$database", 'SELECT count(*) FROM events.restore_objects()'), 0, "$version updated: what was added is made again");
	is($node->safe_psql("copy_$database", $READ[1]), $node->safe_psql($database, $READ[1]), "$version updated: the restored events");
	is($node->safe_psql("copy_$database", sprintf($lacking, 'reader', 'app_reader')), '', "$version updated: the restored rights");
}

# A dump of an older version that is restored as if it were of this one stops at its first month and says what to do; what was detached before an update
# can be attached after it.
foreach my $version (@released)
{
	(my $database = "plain_$version") =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database; CREATE DATABASE ${database}_copy TEMPLATE template0");
	$node->safe_psql($database, "CREATE EXTENSION auren_events VERSION '$version'; SELECT events.append_event('a:1', 'made', '{}')");
	my $dump = $node->basedir . "/$database.dump";
	command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($database) ], "$version plain: pg_dump");
	$node->command_fails_like([ 'pg_restore', '--exit-on-error', '-d', $node->connstr("${database}_copy"), $dump ],
		qr/events\.event_store_\d{4}_\d\d is a month of 0\.1\.0 and cannot be attached.*HINT:  .*CREATE EXTENSION auren_events VERSION '0\.1\.0'/s, "$version plain: a restore without a version says what to do");

	my $month = $node->safe_psql($database, 'SELECT tableoid::regclass FROM events.event_store');
	my $bounds = $node->safe_psql($database, "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = '$month'::regclass");
	$node->safe_psql($database, "ALTER TABLE events.event_store DETACH PARTITION $month; ALTER EXTENSION auren_events UPDATE");
	my $said = fails_with($node, $database, "ALTER TABLE events.event_store ATTACH PARTITION $month $bounds", '55000', "$version plain: a month that was detached before");
	my ($addition) = $said =~ /(ALTER TABLE \S+ ADD COLUMN .*)\.$/m;
	$node->safe_psql($database, "$addition; ALTER TABLE events.event_store ATTACH PARTITION $month $bounds");
	is($node->safe_psql($database, q{SELECT stream_id, tags FROM events.read_all()}), 'a:1|{}', "$version plain: with the column it is attached");
	is($node->safe_psql($database, q{SELECT stream_version FROM events.append_events('{a:1}', '{more}', ARRAY['{}']::jsonb[], p_tags := ARRAY['["b"]']::jsonb[])}), 2, "$version plain: and takes events");
	store_is_sound($node, $database, "$version plain");
}

# A store that is closed after a restore is updated: what its owner has set on the tables comes back all the same.
foreach my $version (@released)
{
	(my $database = "closed_$version") =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database; CREATE DATABASE ${database}_copy");
	$node->safe_psql($database, "CREATE EXTENSION auren_events VERSION '$version'");
	$node->safe_psql(
		$database, q{
		SELECT events.append_event('a:1', 'made', '{}');
		COMMENT ON TABLE events.event_store IS 'our own words';
		ALTER TABLE biometric.biometric_events ALTER COLUMN value SET STATISTICS 500;
		CREATE POLICY own_only ON events.event_store TO app_reader USING (created_by = current_user);
		ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY});
	my $added = q{SELECT relation, kind, name, definition FROM events.added_objects ORDER BY 1, 2, 3};
	my $before = $node->safe_psql($database, $added);
	like($before, qr/our own words/, "$version closed: there is something to lose");
	my $dump = $node->basedir . "/$database.dump";
	command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($database) ], "$version closed: pg_dump");
	my $copy = "${database}_copy";
	$node->safe_psql($copy, "CREATE EXTENSION auren_events VERSION '$version'");
	command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr($copy), $dump ], "$version closed: pg_restore");
	$node->safe_psql($copy, 'ALTER EXTENSION auren_events UPDATE');
	fails_with($node, $copy, q{SELECT count(*) FROM events.replay_stream('a:1')}, '55000', "$version closed: it stays closed");
	$node->safe_psql($copy, 'CREATE INDEX later ON biometric.biometric_events (value)');
	is($node->safe_psql($copy, 'SELECT count(*) FROM events.restore_objects()'), 0, "$version closed: all is made again");
	$node->safe_psql($copy, 'DROP INDEX biometric.later');
	is($node->safe_psql($copy, $added), $before, "$version closed: what was set is there");
	is($node->safe_psql($copy, q{SELECT obj_description('events.event_store'::regclass)}), 'our own words', "$version closed: in the catalog too");
}

# SQL objects that lack what the module needs are named as old, and not as lost.
create_store($node, 'older');
$node->safe_psql('older', q{
	UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'auren_events';
	SET allow_system_table_mods = on;
	UPDATE pg_class SET relname = 'stream_rows_of_later' WHERE oid = 'auren.stream_rows'::regclass});
fails_with($node, 'older', q{SELECT events.append_event('a:1', 'made', '{}')}, '55000', 'older SQL objects',
	like => qr/an update of the extension auren_events is due.*version \Q$fresh_version\E.*version 0\.0\.1.*auren\.stream_rows.*ALTER EXTENSION auren_events UPDATE/s);

$node->stop;
done_testing();

# pg_dump and pg_restore into a fresh database: the same store, and it goes on. The store keeps what it holds: DROP
# EXTENSION and TRUNCATE are refused there as before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_store('dump');
my $dumps = $node->basedir;

$node->safe_psql(
	'postgres', q{
	CREATE ROLE app_reader LOGIN; CREATE ROLE app_writer LOGIN; CREATE ROLE app_admin LOGIN; CREATE ROLE "Tenant One" LOGIN;
	SELECT events.grant_access('app_reader', 'reader'), events.grant_access('app_writer', 'writer'),
	       events.grant_access('app_admin', 'admin');
	SELECT events.bind_tenant('Tenant One', 'one');
	SELECT events.grant_access('Tenant One', 'reader'), events.grant_access('Tenant One', 'writer');
	SELECT events.create_monthly_partitions(5);
	CREATE SCHEMA fold;
	CREATE FUNCTION fold.newest(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
		RETURN jsonb_set($1, '{newest}', $3);
	SELECT events.set_reducer('type_0', 'sum', '{"into": "total"}'), events.set_reducer('type_1', 'append', '{"limit": 3}'),
	       events.set_reducer('number', 'merge', '{"category": "user"}'), events.set_reducer('supplied', 'function', '{"function": "fold.newest"}');
	SELECT events.append_event('user:' || n % 7, 'type_' || n % 3, jsonb_build_object('n', n), p_metadata := jsonb_build_object('m', n))
	FROM generate_series(1, 500) n;
	SELECT events.append_event('user:exact', 'number', '{"a": 0.10, "b": 12345678901234567890, "c": 1e400, "ü\u2028": "€😀\""}');
	SELECT events.append_event('user:long', 'text', jsonb_build_object('text', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 3000) n)));
	SELECT events.append_event('user:1', 'supplied', '{"once": true}', p_event_id := '11111111-1111-4111-8111-111111111111');
	SELECT events.append_event('user:closed', 'last', '{}', p_tags := '{left,user:closed}');
	SELECT events.close_stream('user:closed', 'left us');
	SELECT events.create_subscription('dumped', p_shares => 2, p_max_attempts => 3), events.create_subscription('untouched', p_category => 'user');
	SELECT count(*) FROM events.fetch('dumped', 'c', 20);
	SELECT events.retry('dumped', 'c', 5, '0 seconds', 'again'), events.park('dumped', 'c', 7, 'aside'), events.acknowledge('dumped', 'c', 15);
	SELECT events.add_notification_rule('type_1', 'told'), events.add_notification_rule(NULL, 'told_too', 'user');
	SELECT events.add_tag_rule('type_0', '/n', 'n'), events.fill_tag_rules(), events.add_tag_rule('type_1', '/n', 'half'), events.fill_tag_rules(250) > 0, events.add_span_rule('stay', '/from', '/to');
	SET app.tenant_id = 'one';
	SELECT events.append_event('user:1', 'of_one', '{"tenant": "one"}', p_event_id := '11111111-1111-4111-8111-111111111111');
	RESET app.tenant_id;
});
# positions that were drawn and rolled back
$node->safe_psql('postgres', q{BEGIN; SELECT events.append_event('user:1', 'undone', '{}') FROM generate_series(1, 10); ROLLBACK});

# The roles' rights on the store's objects, as text.
my $grants = q{
	SELECT c.oid::regclass::text || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'events'::regnamespace AND a.grantee <> c.relowner
	UNION ALL
	SELECT p.oid::regprocedure::text || ' ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END || ' ' || a.privilege_type
	FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'events'::regnamespace AND a.grantee <> p.proowner
	UNION ALL
	SELECT n.nspname || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'events' AND a.grantee <> n.nspowner
	ORDER BY 1};

# What a copy must have in common with its original.
my @same = (
	'events' => q{SELECT e::text FROM events.event_store e ORDER BY global_position},
	'states' => q{SELECT stream_id, events.get_stream_state(stream_id), events.get_stream_state(stream_id, 3) FROM auren.stream_rows WHERE tenant_id = 'default' ORDER BY 1},
	'replay' => q{SELECT r::text FROM events.replay_stream('user:1') r},
	'streams' => q{SELECT s::text FROM events.streams s ORDER BY stream_id},
	'stream rows' => q{SELECT r::text FROM auren.stream_rows r ORDER BY 1},
	'supplied ids' => q{SELECT i::text FROM auren.supplied_ids i ORDER BY 1},
	'reducers' => q{SELECT r::text FROM events.reducers r ORDER BY 1},
	'version of the reducers' => q{SELECT events.reducers_version()},
	'subscriptions' => q{SELECT s::text FROM auren.subscription_settings s ORDER BY 1},
	'checkpoints' => q{SELECT DISTINCT ON (subscription_id, share) subscription_id, share, checkpoint, delivered FROM auren.subscription_progress ORDER BY 1, 2, step DESC},
	'retries and parked events' => q{SELECT t::text FROM auren.subscription_held t ORDER BY 1},
	'tag rules' => q{SELECT r::text FROM auren.declared_tag_rules r ORDER BY 1},
	'span rules' => q{SELECT r::text FROM auren.declared_span_rules r ORDER BY 1},
	'rows of tags' => q{SELECT to_jsonb(t) - 'event_at' FROM auren.event_tags t ORDER BY 1},
	'notification rules' => q{SELECT r::text FROM auren.declared_notification_rules r ORDER BY 1},
	'tenant bindings' => q{SELECT b::text FROM events.tenant_bindings b ORDER BY 1},
	'the next position' => q{SELECT last_value, is_called FROM auren.global_position_seq},
	'grants' => $grants,
	'months' => q{
		SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE inhparent = 'events.event_store'::regclass ORDER BY 1},
	'indexes' => q{SELECT indexdef FROM pg_indexes WHERE schemaname IN ('events', 'auren') ORDER BY 1},
	'triggers' => q{SELECT tgrelid::regclass, tgname, tgenabled, tgtype FROM pg_trigger WHERE tgrelid::regclass::text ~ '^(events|auren)\.' ORDER BY tgrelid::regclass::text, tgname},
	'columns' => q{
		SELECT attrelid::regclass, attname, atttypid::regtype, attcollation::regcollation, attnotnull, attstorage FROM pg_attribute
		WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('events'::regnamespace, 'auren'::regnamespace) AND relkind IN ('r', 'p')) AND attnum > 0
		ORDER BY attrelid::regclass::text, attnum});

sub compare
{
	my ($copy, $name) = @_;
	my @queries = @same;
	while (my ($what, $query) = splice @queries, 0, 2)
	{
		is($node->safe_psql($copy, $query), $node->safe_psql('postgres', $query), "$name: same $what");
	}
	return;
}

# A copy goes on where the original stood.
sub goes_on
{
	my ($copy, $name) = @_;

	my $last = $node->safe_psql($copy, 'SELECT last_value FROM auren.global_position_seq');
	is( $node->safe_psql($copy, q{SELECT stream_version, global_position FROM events.append_events('{user:1,user:exact}', '{went_on,went_on}', ARRAY['{}', '{}']::jsonb[])}),
		(73 + 1) . '|' . ($last + 1) . "\n2|" . ($last + 2), "$name: versions and positions go on");
	$node->safe_psql($copy, q{SELECT events.append_event('user:fresh', 'first', '{}', p_expected_version := 0)});
	fails_with($node, $copy, q{SELECT events.append_event('user:1', 'again', '{}', p_expected_version := 73)}, 'ZE001',
		"$name: a stale expected version", like => qr/actual version 74/);

	is($node->safe_psql($copy, q{SELECT min(global_position) FROM events.fetch('dumped', 'c', 100) f WHERE f.global_position > 15}), 16, "$name: a subscription goes on behind its checkpoint");
	is($node->safe_psql($copy, q{SELECT global_position, attempts FROM events.parked WHERE name = 'dumped'}), '7|1', "$name: what was parked is parked");
	is($node->safe_psql($copy, q{SELECT events.create_subscription('new one'); SELECT count(DISTINCT subscription_id) = count(*) FROM auren.subscription_settings}), "0\nt", "$name: a new subscription has a number of its own");

	is($node->safe_psql($copy, q{SELECT stream_id, tags FROM events.read_all(0, 100000, p_tags := '{left}')}), 'user:closed|{left,user:closed}', "$name: an event with tags");
	is($node->safe_psql($copy, q{SELECT count(*) FROM auren.event_tags WHERE tag_hash IN (auren.tag_hash('default', 'left'), auren.tag_hash('default', 'user:closed'))}), 2, "$name: they are in the index");
	$node->safe_psql($copy, q{SELECT events.append_event('user:fresh', 'tagged', '{}', p_tags := '{left}')});
	is($node->safe_psql($copy, q{SELECT count(*) FROM events.read_all(0, 100000, p_tags := '{left}')}), 2, "$name: another one with the tag");
	is($node->safe_psql($copy, q{SELECT stream_id, tags FROM events.read_all(p_tags => '{n:33}')}), 'user:5|{n:33}', "$name: an event by a tag of a rule");
	is($node->safe_psql($copy, q{SELECT events.fill_tag_rules(); SELECT complete, skipped FROM events.tag_rules WHERE tag_key = 'half'}), "0\nt|0", "$name: a fill goes on");
	is($node->safe_psql($copy, q{SELECT stream_id, tags FROM events.read_all(p_tags => '{half:499}')}), 'user:2|{half:499}', "$name: and its tags are found");
	fails_with($node, $copy, q{SELECT events.append_event('user:1', 'type_0', '{"n": {}}')}, '22023', "$name: the tag rule is there for appends");
	fails_with($node, $copy, q{SELECT events.append_event('user:1', 'stay', '{"from": "?"}')}, '22007', "$name: and the span rule");

	my $count = $node->safe_psql($copy, 'SELECT count(*) FROM events.event_store');
	is( $node->safe_psql($copy, q{SELECT events.append_event('user:1', 'supplied', '{"once": true}', p_event_id := '11111111-1111-4111-8111-111111111111')}),
		'11111111-1111-4111-8111-111111111111', "$name: a supplied id again");
	my $made = $node->safe_psql($copy, q{SELECT event_id FROM events.event_store WHERE stream_id = 'user:2' AND stream_version = 1});
	is( $node->safe_psql($copy, qq{
			SELECT events.append_event(stream_id, event_type, event_data, p_metadata := metadata, p_event_id := event_id)
			FROM events.tenant_events WHERE event_id = '$made'}),
		$made, "$name: an id of the store again");
	is($node->safe_psql($copy, 'SELECT count(*) FROM events.event_store'), $count, "$name: neither wrote anything");
	fails_with($node, $copy, q{SELECT events.append_event('user:1', 'other', '{}', p_event_id := '11111111-1111-4111-8111-111111111111')},
		'ZE002', "$name: a supplied id with other content");
	fails_with($node, $copy, q{SELECT events.append_event('user:closed', 'more', '{}')}, 'ZE004', "$name: a closed stream");

	# months made later look like those of the dump
	my $months = month_count($node, $copy);
	is($node->safe_psql($copy, 'SELECT events.create_monthly_partitions(8)'), 9 - $months, "$name: months that were missing");
	is($node->safe_psql($copy, q{SELECT count(DISTINCT n) FROM (SELECT count(*) AS n FROM pg_indexes WHERE schemaname = 'events' AND tablename ~ '^event_store_' GROUP BY tablename) s}),
		1, "$name: every month has as many indexes");

	# rights
	my $may = sub {
		my ($who, $sql, $expected, $what) = @_;
		my ($rc, $stdout, $stderr) = $node->psql($copy, $sql, extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ], on_error_stop => 1);
		my $got = $rc == 0 ? 'yes' : $stderr =~ /ERROR:  (\w{5}):/ ? $1 : $stderr;
		is($got, $expected, "$name: $who $what");
	};
	foreach my $case (
		[ 'app_reader', 'yes', '42501', '42501' ], [ 'app_writer', '42501', 'yes', '42501' ], [ 'app_admin', '42501', '42501', 'yes' ])
	{
		my ($who, $reads, $appends, $closes) = @$case;
		$may->($who, q{SELECT count(*) FROM events.replay_stream('user:1')}, $reads, 'replays');
		$may->($who, q{SELECT count(*) FROM events.event_store}, $reads, 'selects');
		$may->($who, q{SELECT events.append_event('user:9', 'a', '{}')}, $appends, 'appends');
		$may->($who, q{SELECT events.close_stream('user:3', 'done'), events.reopen_stream('user:3')}, $closes, 'closes');
	}
	$may->('Tenant One', q{SELECT count(*) FROM events.replay_stream('user:1')}, '42501', 'reads the default tenant');
	$may->('Tenant One', q{SET app.tenant_id = 'one'; SELECT events.append_event('user:1', 'a', '{}')}, 'yes', 'appends to its own');
	$may->('Tenant One', q{SELECT count(*) FROM events.event_store}, '42501', 'selects from the table');

	immutable($copy, $name);
	store_is_sound($node, $copy, $name);
	return;
}

sub immutable
{
	my ($copy, $name) = @_;
	my @months = split /\n/, $node->safe_psql($copy, q{SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass});
	my $month = $node->safe_psql($copy, 'SELECT tableoid::regclass FROM events.event_store LIMIT 1');
	foreach my $role ('origin', 'replica')
	{
		my $set = "SET session_replication_role = $role; ";
		foreach my $table ('events.event_store', $month)
		{
			fails_with($node, $copy, $set . "UPDATE $table SET event_data = '{}'", 'ZE003', "$name: UPDATE $table ($role)", like => qr/HINT:  Append a compensating event/);
			fails_with($node, $copy, $set . "DELETE FROM $table", 'ZE003', "$name: DELETE $table ($role)");
		}
		foreach my $table ('events.event_store', @months)
		{
			fails_with($node, $copy, $set . "TRUNCATE $table", 'ZE003', "$name: TRUNCATE $table ($role)");
		}
	}
	fails_with($node, $copy, 'DROP EXTENSION auren_events', '55006', "$name: DROP EXTENSION", like => qr/HINT:  .*allow_drop/);
	fails_with($node, $copy, 'DROP EXTENSION auren_events CASCADE', '55006', "$name: DROP EXTENSION CASCADE");
	return;
}

command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/custom", '-d', $node->connstr('postgres') ], 'pg_dump -Fc');
command_ok([ 'pg_dump', '-Fp', '-f', "$dumps/plain", '-d', $node->connstr('postgres') ], 'pg_dump -Fp');

$node->safe_psql('postgres', 'CREATE DATABASE custom TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('custom'), "$dumps/custom" ], 'pg_restore');
compare('custom', 'pg_restore');
goes_on('custom', 'pg_restore');

$node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dumps/plain" ], 'psql');
compare('plain', 'psql');

$node->safe_psql('postgres', 'CREATE DATABASE parallel TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('parallel'), "$dumps/custom" ], 'pg_restore -j 2');
compare('parallel', 'pg_restore -j 2');

# a copy of a copy that went on
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/second", '-d', $node->connstr('custom') ], 'pg_dump of the copy');
$node->safe_psql('postgres', 'CREATE DATABASE second TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('second'), "$dumps/second" ], 'pg_restore of the copy');
is( $node->safe_psql('second', $same[1]), $node->safe_psql('custom', $same[1]), 'a copy of a copy has the same events');
store_is_sound($node, 'second', 'a copy of a copy');

# a dump taken while events are appended is one moment of the store
create_store($node, 'busy');
{
	my $stop = $node->basedir . '/enough';
	my @writers = map {
		start_psql($node, 'busy', qq{
			DO \$\$ BEGIN
				WHILE pg_stat_file('$stop', true) IS NULL LOOP
					PERFORM events.append_event('busy:' || n, 'tick', '{}', p_event_id := CASE n WHEN 1 THEN gen_random_uuid() END)
					FROM generate_series(1, 3) n;
					COMMIT;
				END LOOP;
			END \$\$})
	} 1 .. 2;
	wait_until($node, 'busy', 'SELECT count(*) > 500 FROM events.event_store', 'writers');
	command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/busy", '-d', $node->connstr('busy') ], 'pg_dump under load');
	append_to_file($stop, '');
	is(finish_all(@writers), '', 'no append minds the dump');
}
$node->safe_psql('postgres', 'CREATE DATABASE busy_copy TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('busy_copy'), "$dumps/busy" ], 'pg_restore of a dump under load');
$node->safe_psql('busy_copy', q{SELECT events.append_event('busy:' || n, 'went_on', '{}') FROM generate_series(1, 3) n});
store_is_sound($node, 'busy_copy', 'a dump under load');

# an empty store
create_store($node, 'empty');
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/empty", '-d', $node->connstr('empty') ], 'pg_dump of an empty store');
$node->safe_psql('postgres', 'CREATE DATABASE empty_copy TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('empty_copy'), "$dumps/empty" ], 'pg_restore of an empty store');
is($node->safe_psql('empty_copy', q{SELECT stream_version, global_position FROM events.append_events('{a:1}', '{a}', ARRAY['{}']::jsonb[])}),
	'1|1', 'the first event of a restored empty store');

# with the setting, and without events, the extension goes
$node->safe_psql('second', 'SET auren_events.allow_drop = on; DROP EXTENSION auren_events');
is($node->safe_psql('second', q{SELECT count(*) FROM pg_class WHERE relname ~ '^event_store'}), 0, 'allow_drop takes the events with it');
$node->safe_psql('empty', 'DROP EXTENSION auren_events');
pass('an empty store can be dropped');

$node->stop;
done_testing();

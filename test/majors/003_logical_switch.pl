# A store moves to another server by logical replication, of a later major or with a later version of the extension, while it takes events; then callers
# are switched over. The steps are those of doc/upgrade.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use WholeStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my %servers = (newest => $ENV{AUREN_OLD}, released => $ENV{AUREN_RELEASED});
foreach my $module (sort keys %servers)
{
	my $old = whole_server("old_$module", install_path => $servers{$module}, conf => "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\n");
	$old->start;
	make_roles($old);
	$old->safe_psql('postgres', 'CREATE EXTENSION auren_events');
	fill_store($old, 'postgres', $ENV{AUREN_MANY_EVENTS});
	my $version = $old->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'auren_events'});
	my $stop = $old->basedir . '/enough';
	my $writer = start_psql(
		$old, 'postgres', qq{
		DO \$\$ DECLARE n integer := 0; BEGIN
			WHILE pg_stat_file('$stop', true) IS NULL LOOP
				n := n + 1;
				PERFORM events.append_event('busy:' || n % 5, 'tick', to_jsonb(n), p_event_id := CASE n % 3 WHEN 1 THEN gen_random_uuid() END);
				COMMIT;
				PERFORM pg_sleep(0.002);
			END LOOP;
		END \$\$});

	# the new server has the roles, the tables without rows, and what a DBA added as text: the store there is closed
	my $new = whole_server("new_$module", conf => "max_sync_workers_per_subscription = 4\nmax_logical_replication_workers = 8\n");
	$new->start;
	make_roles($new);
	my $newest = $new->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'auren_events'});
	$new->safe_psql('postgres', "CREATE EXTENSION auren_events VERSION '$version'");
	my $schema = $new->basedir . '/schema';
	$new->command_ok([ 'pg_dump', '-s', '-Fc', '-f', $schema, '-d', $old->connstr('postgres') ], "$module: pg_dump -s");
	$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('postgres'), $schema ], "$module: pg_restore");
	my $kept = $new->basedir . '/kept';
	$old->safe_psql('postgres', "COPY auren.kept_objects TO '$kept'");
	$new->safe_psql('postgres', "COPY auren.kept_objects FROM '$kept'");
	$new->safe_psql('postgres', 'ALTER EXTENSION auren_events UPDATE') if $version ne $newest;
	fails_with($new, 'postgres', q{SELECT events.append_event('user:1', 'seen', '{}')}, '55000', "$module: the new server takes no event yet");

	# what a dump would hold of the store is published, and the application's tables
	my $tables = $old->safe_psql(
		'postgres', q{
		SELECT string_agg(c.oid::regclass || regexp_replace(condition, '^WHERE (.+)$', ' WHERE (\1)'), ', ')
		FROM pg_extension, unnest(extconfig, extcondition) AS t(member, condition) JOIN pg_class c ON c.oid = member
		WHERE extname = 'auren_events' AND c.relkind IN ('r', 'p') AND c.oid <> 'auren.kept_objects'::regclass});
	$old->safe_psql('postgres', "CREATE PUBLICATION moving FOR TABLE $tables, TABLES IN SCHEMA public WITH (publish_via_partition_root = true)");
	my $connection = $old->connstr . ' dbname=postgres';
	$new->safe_psql('postgres', "CREATE SUBSCRIPTION moving CONNECTION '$connection' PUBLICATION moving");
	$new->wait_for_subscription_sync($old, 'moving');
	is($new->safe_psql('postgres', 'SET client_min_messages = error; SELECT * FROM events.restore_objects()'), '', "$module: what a DBA added is made");
	is($new->safe_psql('postgres', 'SELECT count(*) FROM events.read_all()'), 0, "$module: the feed of the new server is empty before the switch");

	# the old server is in use
	my @done = split /\n/, $old->safe_psql('postgres', q{SELECT global_position FROM events.fetch('untouched', 'c', 90)});
	my ($acknowledged) = sort { $b <=> $a } @done;
	$old->safe_psql('postgres', qq{
		SELECT events.acknowledge('untouched', 'c', $acknowledged);
		SELECT events.append_event('person:ben', 'secret', '{"note": "another secret"}'), encrypted.forget_user('nobody', 'asked');
		SELECT events.append_event('user:left', 'last', '{}'), events.close_stream('user:left', 'left us too');
		SELECT events.set_reducer('tick', 'sum', '{"into": "ticks"}'), events.add_notification_rule('tick', 'ticks');
		INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) SELECT 'u2', 'watch', 'hr', n, '2026-02-01 00:00Z' FROM generate_series(1, 50) n;
		UPDATE biometric.biometric_events SET value = value + 0.5 WHERE user_id = 'u1' AND value < 100;
		DELETE FROM biometric.biometric_events WHERE user_id = 'u2' AND value > 250;
		INSERT INTO vitals VALUES (5, 'weight', 75, '2026-11-22 08:00Z'); DELETE FROM vitals WHERE amount = 81});

	# the switch: writers are stopped, the rest comes over, the sequences go on where they were
	append_to_file($stop, '');
	is(finish_all($writer), '', "$module: the writer never met an error");
	my $began = time;
	$old->safe_psql('postgres', 'ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()');
	my $lsn = $old->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	wait_until($old, 'postgres', "SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = 'moving'", 'the subscriber has everything');
	my $sequences = $old->safe_psql('postgres', q{
		SELECT format('SELECT setval(%L, %s)', schemaname || '.' || sequencename, last_value) FROM pg_sequences WHERE schemaname = 'auren' AND last_value IS NOT NULL}) =~ s/\n/;/gr;
	$new->safe_psql('postgres', "$sequences; DROP SUBSCRIPTION moving");
	$new->safe_psql('postgres', q{SELECT events.append_event('moved:1', 'first', '{}')});
	note(sprintf('%s: closed for %.0f ms', $module, 1000 * (time - $began)));
	$old->safe_psql('postgres', 'SET default_transaction_read_only = off; DROP PUBLICATION moving');

	my $before = answers_of($old, 'postgres');
	my $last = $old->safe_psql('postgres', 'SELECT last_value FROM auren.global_position_seq');
	is($new->safe_psql('postgres', q{SELECT global_position FROM events.read_all(0, 10000000) WHERE stream_id = 'moved:1'}), $last + 1, "$module: positions go on");
	isnt($new->safe_psql('postgres', 'SELECT events.store_epoch()'), $old->safe_psql('postgres', 'SELECT events.store_epoch()'), "$module: the epoch is another one");
	same_answers($new, 'postgres', $before, $module, 'subscriptions', 'settled months', $version ne $newest ? ('rights', 'what hangs on the tables') : ());
	my $stood = q{SELECT name, checkpoint, parked, retrying, last_error FROM events.subscriptions ORDER BY 1};
	is($new->safe_psql('postgres', $stood), $old->safe_psql('postgres', $stood), "$module: subscriptions stand where they stood");

	# an id of a caller that came after the copy, and one that was acknowledged before is given to nobody
	my $count = $new->safe_psql('postgres', 'SELECT count(*) FROM events.event_store');
	$new->safe_psql('postgres', q{
		SELECT events.append_event(e.stream_id, e.event_type, e.event_data, p_event_id := e.event_id) FROM (
			SELECT * FROM events.event_store JOIN auren.supplied_ids USING (tenant_id, event_id, global_position) WHERE event_type = 'tick' ORDER BY global_position DESC LIMIT 1) e});
	is($new->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), $count, "$module: an id that came by replication is known");
	my @rest = drained($new, 'postgres', 'untouched');
	is(join(' ', sort { $a <=> $b } @done, @rest), $new->safe_psql('postgres', q{SELECT string_agg(global_position::text, ' ' ORDER BY global_position) FROM events.event_store
		WHERE tenant_id = 'default' AND stream_id LIKE 'user:%'}), "$module: a subscription that went on at the old server gives the rest");
	store_goes_on($new, 'postgres', $last + 1, $module);
	$old->stop;
	$new->stop;
}
done_testing();

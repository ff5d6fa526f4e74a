# A month that is dropped, from outside: a crash in each of its steps, a dump of a store whose months are in every state, a standby that follows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $keys = "$folder/seal_keys";
append_to_file($keys, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
chmod 0600, $keys or die $!;
my $node = new_store('drops', init => { allows_streaming => 1 },
	conf => "auren_events.seal_key_file = '$keys'\nautovacuum = off\ntimezone = 'UTC'\nrestart_after_crash = on\nmax_prepared_transactions = 5\n");

# More streams than one step carries, more events than one step looks at for ids, of which a third were given by callers; streams that go on.
my $fill = q{
	SELECT events.create_monthly_partitions(0), t.old_month('2024-01-01'), t.old_month('2024-02-01');
	SELECT events.set_reducer('counted', 'sum', '{"into": "total"}');
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position)
	SELECT md5(n::text)::uuid, 'gone:' || n % 700, 1 + n / 700, CASE n % 2 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n, 'exact', 0.10),
		'2024-01-02 00:00Z'::timestamptz + n * interval '1 second', nextval('auren.global_position_seq') FROM generate_series(0, 6299) n;
	INSERT INTO auren.supplied_ids (tenant_id, event_id, month, global_position)
	SELECT tenant_id, event_id, '2024-01-01', global_position FROM events.event_store WHERE (event_data ->> 'n')::int % 3 = 0;
	INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) SELECT 'default', 'gone:' || n, '2024-01-01', '2024-01-01' FROM generate_series(0, 699) n;
	SELECT count(t.old_event('gone:' || n, 'counted', '{"n": 7}', '2024-02-03')) FROM generate_series(0, 50) n;
	SELECT count(events.append_event('gone:' || n, 'counted', '{"n": 9}')) FROM generate_series(0, 20) n;
};

sub make_store
{
	my ($database) = @_;
	create_store($node, $database);
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], "$database: helpers");
	$node->safe_psql($database, $fill);
	return;
}

# What callers are told, whether the month is there or was dropped.
my $told = q{
	SELECT stream_id, events.get_stream_state(stream_id), events.stream_version(stream_id) FROM auren.stream_rows ORDER BY 1;
	SELECT stream_id, version, closed FROM events.streams ORDER BY 1 LIMIT 30;
	SELECT global_position, stream_id, stream_version FROM events.read_all(6300, 10000)};
# What a drop leaves.
my $left = q{
	SELECT tenant_id, stream_id, stream_version, event_time, reducers_version, state FROM auren.opening_states ORDER BY 1, 2;
	SELECT d::text FROM auren.dropped_ids d ORDER BY 1;
	SELECT month, state, events, streams, first_position, last_position, first_event_at, last_event_at, forced, dropped_by FROM events.months WHERE month < '2025-01-01'};
my $tables = q{SELECT to_regclass('events.event_store_2024_01') IS NOT NULL, to_regclass('auren.event_tags_2024_01') IS NOT NULL};
my $drop = q{CALL events.drop_months_before('2024-02-01', '{unsealed:*}')};

make_store('twin');
my $before = $node->safe_psql('twin', $told);
my $early = q{SELECT events.get_stream_state('gone:' || n, n % 9 + 1) FROM generate_series(0, 699, 7) n};
my $early_told = $node->safe_psql('twin', $early);
$node->safe_psql('twin', $drop);
is($node->safe_psql('twin', $told), $before, 'a drop changes nothing of what callers are told');
store_is_sound($node, 'twin', 'a drop');

# Where the drop is stopped: what somebody does to it, and how it is seen to be there. $holder holds what the step needs.
my $waits = sub {
	my ($table, $phase) = @_;
	return qq{SELECT count(*) = 1 FROM pg_stat_activity a WHERE wait_event_type = 'Lock' AND a.query LIKE 'CALL events.drop%'
		AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = '$table'::regclass AND l.granted)
		AND EXISTS (SELECT FROM events.progress p WHERE p.pid = a.pid AND p.phase = '$phase')};
};
my @steps = (
	[ 'states are carried', q{INSERT INTO auren.opening_states SELECT 'default', 'gone:90', 0, now(), gen_random_uuid(), '{}'}, $waits->('auren.opening_states', 'carrying states') ],
	[ 'ids are carried', q{INSERT INTO auren.dropped_ids SELECT 'default', md5('6000')::uuid, 0, ''}, $waits->('auren.dropped_ids', 'carrying ids') ],
	[ 'the month is recorded', q{INSERT INTO auren.month_records (month) VALUES ('2024-01-01')}, $waits->('auren.month_records', 'recording') ],
	[ 'the locks are waited for', q{SELECT count(*) FROM events.event_store_2024_01},
		q{SELECT count(*) > 0 FROM events.progress WHERE phase = 'dropping'} ],
	[ 'the tables are dropped', q{SELECT count(*) FROM events.event_store_2024_01}, q{SELECT count(*) > 0 FROM events.progress WHERE phase = 'dropping'} ]);

my $number = 0;
foreach my $step (@steps)
{
	my ($name, $hold, $there) = @$step;
	my $database = 'crash_' . ++$number;
	make_store($database);
	my $holder = $node->background_psql($database);
	$holder->query_safe("BEGIN; $hold");
	my $dropper = start_psql($node, $database, $drop);
	wait_until($node, $database, $there, "until $name");
	my $second;
	if ($name eq 'the tables are dropped')
	{
		# the record is locked, and then the month is let go: the drop stands between its DROP TABLE and the record of it
		$second = $node->background_psql($database);
		$second->query_safe(q{BEGIN; SELECT FROM auren.month_records WHERE month = '2024-01-01' FOR UPDATE});
		$holder->query_safe('COMMIT');
		wait_until($node, $database, $waits->('auren.month_records', 'dropping'), $name);
	}
	my $pid = $node->safe_psql($database, q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL events.drop%'});
	# the server crashes with all its processes, or the process of the drop is killed and the server starts again
	if ($number % 2)
	{
		$node->stop('immediate');
	}
	else
	{
		kill 'KILL', $pid;
	}
	eval { $_->quit } foreach grep { defined } $holder, $second;
	isnt(finish_psql($dropper)->{rc}, 0, "crash while $name: the call ended with it");
	$number % 2 ? $node->start : wait_until_up($node);
	is($node->safe_psql($database, $tables), 't|t', "crash while $name: the month is there, with its tags");
	is($node->safe_psql($database, q{SELECT state FROM events.months WHERE month = '2024-01-01'}), 'closed', "crash while $name: nothing says that it went");
	is($node->safe_psql($database, $told), $before, "crash while $name: callers are told the same");
	is($node->safe_psql($database, $early), $early_told, "crash while $name: and at versions that are about to go");
	store_is_sound($node, $database, "crash while $name");
	my $steps = $node->safe_psql($database, 'SELECT (SELECT count(*) FROM auren.opening_states), (SELECT count(*) FROM auren.dropped_ids)');
	is($steps, { 1 => '500|0', 2 => '700|1667', 3 => '700|2100', 4 => '700|2100', 5 => '700|2100' }->{$number}, "crash while $name: the steps before it are kept");
	$node->safe_psql($database, $drop);
	is($node->safe_psql($database, $tables), 'f|f', "crash while $name: the next call drops it");
	is($node->safe_psql($database, $told), $before, "crash while $name: and callers are told the same");
	is($node->safe_psql($database, $left), $node->safe_psql('twin', $left), "crash while $name: what is left is what an undisturbed drop leaves");
	store_is_sound($node, $database, "dropped after a crash while $name");
	$node->safe_psql('postgres', "DROP DATABASE $database");
}

# A dump of a store whose months are in every state.
create_store($node, 'states');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('states'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'states: helpers');
sub sql { return $node->safe_psql('states', shift) }
sql(q{
	SELECT events.create_monthly_partitions(0), events.register_seal_key();
	SELECT t.old_month(month::date) FROM generate_series('2024-01-01'::timestamp, '2024-06-01', '1 month') month;
	SELECT events.set_reducer('counted', 'sum', '{"into": "total"}');
	CREATE FUNCTION t.fill(p_month date) RETURNS bigint LANGUAGE sql AS $$
		SELECT count(t.old_event('user:' || n % 5, CASE n % 2 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n, 'exact', 0.10), p_month + n * interval '1 hour',
			CASE WHEN n % 4 = 0 THEN md5(p_month::text || n)::uuid END)) FROM generate_series(1, 40) n
	$$;
	SELECT t.fill(month::date) FROM generate_series('2024-01-01'::timestamp, '2024-04-01', '1 month') month});
sql(q{SELECT count(*) FROM events.seal()});
sql(q{SELECT t.fill('2024-05-01'), t.fill('2024-06-01'); SELECT events.append_event('user:' || n, 'counted', '{"n": 100}') FROM generate_series(0, 3) n});
# readings of events: of each, and once for each moment and value
sql(q{SELECT analytics.attach_events('counted', '{"n": "steps"}'), analytics.attach_events('seen', '{"exact": "height"}', p_once => true)});
sql(q{SELECT analytics.refresh_user_metrics(); SELECT events.append_event('user:1', 'counted', '{"n": 7}')});
my $metrics = q{SELECT m::text FROM analytics.user_metrics_daily m ORDER BY 1; SELECT m::text FROM analytics.user_metrics_hourly m ORDER BY 1; SELECT m::text FROM analytics.user_metrics_5min m ORDER BY 1};
my $counted = sql($metrics);
sql("SELECT events.archive_month('2024-01-01', '$folder/january.gz')");
sql("SELECT events.archive_month('2024-03-01', '$folder/march.gz')");
sql(q{SELECT events.set_settle_policy('created_at', 'brin')});
sql("SELECT statement FROM events.maintenance_plan() WHERE month = '2024-05-01' ORDER BY step \\gexec");
sql(q{CALL events.drop_months_before('2024-03-01')});
sql("SELECT events.attach_archive('$folder/january.gz')");
my $months = q{
	SELECT month, partition, replace(state, 'settled', 'closed'), events, streams, first_position, last_position,
		first_event_at, last_event_at, last_seal, settled_at, archived_at, archive, dropped_at, dropped_by, forced, held_by FROM events.months WHERE month < '2025-01-01'};
my @same = (
	'months' => $months,
	'months as they were recorded' => q{SELECT r::text FROM auren.month_records r ORDER BY 1},
	'states' => q{SELECT stream_id, events.get_stream_state(stream_id), events.stream_version(stream_id) FROM auren.stream_rows ORDER BY 1},
	'states from the first version that has one' => q{SELECT version, events.get_stream_state('user:1', version) FROM auren.opening_states o, generate_series(o.stream_version, 50) version WHERE o.stream_id = 'user:1' ORDER BY 1},
	'replay' => q{SELECT r::text FROM events.replay_stream('user:1', 41) r},
	'an attached month' => q{SELECT md5(string_agg(e::text, ' ' ORDER BY global_position)) FROM events.event_store e WHERE created_at < '2024-02-01'},
	'the feed' => q{SELECT md5(string_agg(r::text, ' ')) FROM events.read_all(0, 10000) r},
	'streams' => q{SELECT stream_id, version, first_event_at, last_event_at FROM events.streams ORDER BY 1},
	'seals' => q{SELECT s::text FROM events.seals s ORDER BY 1},
	'what verifying finds' => q{SELECT problem, global_position, stream_id FROM events.verify()},
	'metrics' => $metrics,
	'indexes' => q{SELECT indexdef FROM pg_indexes WHERE schemaname IN ('events', 'auren') ORDER BY 1});
is(sql(q{SELECT month, state FROM events.months WHERE month < '2025-01-01'}),
	"2024-01-01|archived, attached\n2024-02-01|dropped\n2024-03-01|archived\n2024-04-01|sealed\n2024-05-01|settled\n2024-06-01|closed", 'a month in each state');

is(sql($metrics), $counted, 'metrics keep what they have counted');
# Counted anew, of the events that are there and of what the others left.
sub metrics_are_kept
{
	my ($database, $name) = @_;
	is($node->safe_psql($database, $metrics), $counted, "$name: the metrics are those of before");
	$node->safe_psql($database, 'SELECT analytics.refresh_user_metrics()');
	is($node->safe_psql($database, $metrics), $counted, "$name: and after a refresh");
	$node->safe_psql($database, 'SELECT analytics.rebuild_source(source_id) FROM analytics.sources WHERE event_type IS NOT NULL');
	is($node->safe_psql($database, $metrics), $counted, "$name: and when they are to be counted anew");
	$node->safe_psql($database, 'SELECT analytics.refresh_user_metrics()');
	is($node->safe_psql($database, $metrics), $counted, "$name: and were");
	return;
}

# Ids that callers gave, of each month, sent again: the store knows them, and refuses other content.
sub ids_are_known
{
	my ($database, $name) = @_;
	my $count = $node->safe_psql($database, 'SELECT count(*) FROM events.event_store');
	is( $node->safe_psql(
			$database, q{
			SELECT count(*) FROM generate_series('2024-01-01'::timestamp, '2024-06-01', '1 month') month, generate_series(4, 40, 4) n,
				LATERAL (SELECT md5(month::date::text || n)::uuid AS id) i
			WHERE id = events.append_event('user:' || n % 5, 'counted', jsonb_build_object('n', n, 'exact', 0.10), p_event_id => id)}),
		60, "$name: ids are known, those of months that are gone too");
	is($node->safe_psql($database, 'SELECT count(*) FROM events.event_store'), $count, "$name: and nothing was written");
	fails_with($node, $database, q{SELECT events.append_event('user:4', 'counted', '{"n": 4}', p_event_id => md5('2024-02-014')::uuid)}, 'ZE002', "$name: other content");
	return;
}

# A standby gives the feed up to the last horizon that the primary wrote down.
sub compare
{
	my ($server, $database, $name) = @_;
	my @queries = @same;
	while (my ($what, $query) = splice @queries, 0, 2)
	{
		next if $what eq 'the feed' && $server != $node;
		is($server->safe_psql($database, $query), sql($query), "$name: same $what");
	}
	return;
}

foreach my $format ('c', 'p')
{
	my $copy = "copy_$format";
	$node->command_ok([ 'pg_dump', "-F$format", '-f', "$folder/dump_$format", $node->connstr('states') ], "pg_dump -F$format");
	$node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
	$node->command_ok($format eq 'c' ? [ 'pg_restore', '--exit-on-error', '-d', $node->connstr($copy), "$folder/dump_c" ] : [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($copy), '-f', "$folder/dump_p" ],
		"$copy: restored");
	metrics_are_kept($copy, $copy);
	compare($node, $copy, $copy);
	is($node->safe_psql($copy, q{SELECT state FROM events.months WHERE month = '2024-05-01'}), 'closed', "$copy: a settled month is not frozen in a new table");
	ids_are_known($copy, $copy);
	fails_with($node, $copy, q{SELECT events.get_stream_state('user:1', 12)}, '22023', "$copy: a version that is gone", like => qr/first version left is 16/);
	fails_with($node, $copy, q{SELECT events.import_events('{user:1}', '{seen}', ARRAY['{}']::jsonb[], ARRAY[gen_random_uuid()], '{2024-02-06 00:00+00}')}, '55000', "$copy: nothing comes into a month that was dropped");
	# it goes on: the archive goes and comes, the next month is dropped
	is($node->safe_psql($copy, q{SELECT events.detach_archive('2024-01-01'); SELECT state FROM events.months WHERE month = '2024-01-01'}) =~ s/^.*\n//sr, 'dropped', "$copy: the archive is taken away");
	$node->safe_psql($copy, q{CALL events.drop_months_before('2024-05-01')});
	is($node->safe_psql($copy, $same[5]), sql($same[5]), "$copy: two more months are dropped, and the states are the same");
	metrics_are_kept($copy, "$copy, after two more");
	is($node->safe_psql($copy, "SELECT events.attach_archive('$folder/march.gz')"), 40, "$copy: another archive is attached");
	metrics_are_kept($copy, "$copy, with another archive");
	is($node->safe_psql($copy, q{SELECT stream_version FROM events.append_events('{user:1}', '{seen}', ARRAY['{}']::jsonb[], p_expected_versions => '{50}')}), 51, "$copy: versions go on");
	store_is_sound($node, $copy, $copy);
}
ids_are_known('states', 'the original');

# A standby sees each of it. A reader there keeps the replay of the drop waiting where the server is told to wait, and is cancelled where it is not.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('drops_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");
$standby->start;
$node->wait_for_catchup($standby);
compare($standby, 'states', 'the standby');
fails_with($standby, 'states', q{CALL events.drop_months_before('2024-05-01')}, '25006', 'nobody drops a month there');
sql(q{CALL events.drop_months_before('2024-04-01')});
$node->wait_for_catchup($standby);
compare($standby, 'states', 'the standby after a drop');
fails_with($standby, 'states', q{SELECT events.get_stream_state('user:1', 18)}, '22023', 'the standby: a version that is gone');

my $reader = $standby->background_psql('states');
my $states = q{SELECT events.get_stream_state('user:1'), count(*) FROM events.replay_stream('user:1', 25)};
my $seen = $reader->query_safe("BEGIN; $states");
sql(q{CALL events.drop_months_before('2024-05-01')});
wait_until($standby, 'postgres', q{SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE backend_type = 'startup'}, 'the replay stands before the month that is read');
is($reader->query_safe($states), $seen, 'a transaction of the standby that read the month before goes on reading it');
$reader->query_safe('COMMIT');
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
compare($standby, 'states', 'the standby when the reader has ended');
like($standby->safe_psql('states', q{SELECT state FROM events.months WHERE month = '2024-04-01'}), qr/^dropped$/, 'the standby: the month is dropped');

$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 0\n");
$standby->reload;
$reader->query_safe('BEGIN; SELECT count(*) FROM events.event_store_2024_05');
sql(q{CALL events.drop_months_before('2024-06-01', '{unsealed:*}')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
is($standby->safe_psql('states', q{SELECT state FROM events.months WHERE month = '2024-05-01'}), 'dropped', 'the standby: a reader that nobody waits for does not keep the month');
eval { $reader->quit };
compare($standby, 'states', 'the standby after that');

# A drop that the primary did not finish is finished where the standby was promoted.
my $holder = $node->background_psql('states');
$holder->query_safe(q{BEGIN; INSERT INTO auren.dropped_ids SELECT 'default', md5('2024-06-014')::uuid, 0, ''});
my $dropper = start_psql($node, 'states', q{CALL events.drop_months_before('2024-07-01', '{unsealed:*}')});
wait_until($node, 'states', $waits->('auren.dropped_ids', 'carrying ids'), 'a drop stands in the middle');
my $lsn = $node->lsn('insert');
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
my $undropped = sql($same[5]);
$node->stop('immediate');
eval { $holder->quit };
finish_psql($dropper);
$standby->promote;
is($standby->safe_psql('states', $same[5]), $undropped, 'promoted: the same states');
is($standby->safe_psql('states', q{SELECT state FROM events.months WHERE month = '2024-06-01'}), 'closed', 'promoted: the month is there');
$standby->safe_psql('states', q{CALL events.drop_months_before('2024-07-01', '{unsealed:*}')});
is($standby->safe_psql('states', $same[5]), $undropped, 'promoted: the month is dropped, and the states are the same');
is($standby->safe_psql('states', q{SELECT stream_version FROM events.append_events('{user:1}', '{seen}', ARRAY['{}']::jsonb[], p_expected_versions => '{50}')}), 51, 'promoted: versions go on');
is($standby->safe_psql('states', q{SELECT problem, global_position FROM events.verify()}), '', 'promoted: verifying finds nothing');
store_is_sound($standby, 'states', 'promoted');

$standby->stop;
done_testing();

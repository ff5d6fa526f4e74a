# The time of an event never goes backwards within a stream: not when the clock was set back, not over a month's border.
# The store is put by a superuser into the state that such a clock leaves: the server's own clock stays as it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_store('clock');
$node->safe_psql('postgres', 'SELECT events.create_monthly_partitions(4)');

# An event written at another time than now, as an append of that time would have left it.
sub write_at
{
	my ($database, $stream, $time) = @_;
	$node->safe_psql(
		$database, qq{
		BEGIN;
		INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position)
		SELECT gen_random_uuid(), '$stream', coalesce(max(stream_version), 0) + 1, 'moved', '{"at": "another time"}', $time, nextval('auren.global_position_seq')
		FROM events.event_store WHERE stream_id = '$stream';
		INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month)
		SELECT tenant_id, stream_id, date_trunc('month', min(created_at) AT TIME ZONE 'UTC'), date_trunc('month', max(created_at) AT TIME ZONE 'UTC')
		FROM events.event_store WHERE stream_id = '$stream' GROUP BY 1, 2
		ON CONFLICT (tenant_id, stream_id) DO UPDATE SET first_month = excluded.first_month, last_month = excluded.last_month;
		COMMIT});
	return;
}

# Appends in every way to a stream, and compares what the readers say with the table.
sub goes_on
{
	my ($database, $stream, $version, $name) = @_;
	my $batch = qq{SELECT string_agg(stream_version::text, ' ') FROM events.append_events(ARRAY['$stream', 'other:1', '$stream'], '{b,b,b}', ARRAY['{}', '{}', '{}']::jsonb[])};
	my $id = $node->safe_psql($database, qq{SELECT events.append_event('$stream', 'single', '{"n": 1}', p_expected_version := $version)});
	like($node->safe_psql($database, $batch), qr/^@{[ $version + 2 ]} \d+ @{[ $version + 3 ]}$/, "$name: versions go on in a batch");
	my $supplied = $node->safe_psql($database, qq{SELECT events.append_event('$stream', 'supplied', '{}', p_event_id := gen_random_uuid(), p_expected_version := $version + 3)});

	is($node->safe_psql($database, qq{SELECT events.append_event('$stream', 'single', '{"n": 1}', p_event_id := '$id')}), $id, "$name: an id of the store is known");
	is($node->safe_psql($database, qq{SELECT events.append_event('$stream', 'supplied', '{}', p_event_id := '$supplied')}), $supplied, "$name: a supplied id is known");
	fails_with($node, $database, qq{SELECT events.append_event('$stream', 'stale', '{}', p_expected_version := $version)}, 'ZE001', "$name: a stale version",
		like => qr/actual version @{[ $version + 4 ]}\./);

	is($node->safe_psql($database, qq{SELECT events.stream_version('$stream')}), $version + 4, "$name: stream_version");
	is( $node->safe_psql($database, qq{SELECT event_id, stream_version, created_at FROM events.replay_stream('$stream')}),
		$node->safe_psql($database, qq{SELECT event_id, stream_version, created_at FROM events.event_store WHERE stream_id = '$stream' ORDER BY stream_version}),
		"$name: replay_stream");
	is( $node->safe_psql($database, qq{SELECT stream_version FROM events.replay_stream_backward('$stream', NULL, 3)}),
		join("\n", $version + 4, $version + 3, $version + 2), "$name: replay_stream_backward");
	is( $node->safe_psql($database, qq{SELECT events.get_stream_state('$stream', $version + 1)}),
		'{"moved": {"at": "another time"}, "single": {"n": 1}}', "$name: state at a version") if $version > 0;
	is( $node->safe_psql($database, qq{SELECT version, first_event_at, last_event_at FROM events.streams WHERE stream_id = '$stream'}),
		$node->safe_psql($database, qq{SELECT count(*), min(created_at), max(created_at) FROM events.event_store WHERE stream_id = '$stream'}),
		"$name: events.streams");
	return;
}

# The last event lies in the future: by an hour, in the next month, three months ahead.

write_at('postgres', 'ahead:hour', q{now() + interval '1 hour'});
goes_on('postgres', 'ahead:hour', 1, 'an hour ahead');

foreach my $months (1, 3)
{
	my $future = "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '$months months 3 days'";
	my $stream = "ahead:$months";
	$node->safe_psql('postgres', "SELECT events.append_event('$stream', 'moved', '{}')");
	write_at('postgres', $stream, $future);
	goes_on('postgres', $stream, 2, "$months month(s) ahead");
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT tableoid) FROM events.event_store WHERE stream_id = '$stream' AND created_at = $future"),
		'5|1', "$months month(s) ahead: what follows has the time of the last event");
}
is($node->safe_psql('postgres', q{SELECT bool_and(created_at BETWEEN now() - interval '1 minute' AND now()) FROM events.event_store WHERE stream_id = 'other:1'}),
	't', 'another stream has the time of the clock');
is($node->safe_psql('postgres', q{SELECT bool_and(stream_version = n) FROM (SELECT stream_version, row_number() OVER (ORDER BY created_at, global_position) AS n FROM events.event_store WHERE stream_id = 'ahead:3') s}),
	't', 'order of time is order of version');

# an aborted append leaves the stream where it was
$node->safe_psql('postgres', q{BEGIN; SELECT events.append_event('ahead:3', 'undone', '{}'); ROLLBACK});
is($node->safe_psql('postgres', q{SELECT events.stream_version('ahead:3')}), 6, 'an append that was rolled back');

# A month's border: the last event lies in the month before, or years ago.

foreach my $ago (1, 13, 30)
{
	$node->safe_psql(
		'postgres', qq{
		DO \$\$
		DECLARE
			first timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '$ago months';
			name text := 'event_store_' || to_char(first, 'YYYY_MM');
			model regclass := (SELECT tableoid::regclass FROM events.event_store WHERE created_at <= now() LIMIT 1);
			suffix text := right(model::text, 7);
			definition text;
		BEGIN
			EXECUTE format('CREATE TABLE events.%I (LIKE events.event_store INCLUDING DEFAULTS INCLUDING STORAGE)', name);
			FOR definition IN SELECT indexdef FROM pg_indexes WHERE schemaname = 'events' AND 'events.' || tablename = model::text LOOP
				EXECUTE replace(definition, suffix, right(name, 7));
			END LOOP;
			EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events.%I FOR EACH STATEMENT EXECUTE FUNCTION auren.refuse_change()', name);
			EXECUTE format('ALTER TABLE events.%I ENABLE ALWAYS TRIGGER refuse_truncate', name);
			EXECUTE format('ALTER TABLE events.event_store ATTACH PARTITION events.%I FOR VALUES FROM (%L) TO (%L)', name,
				first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
		END \$\$});
	my $stream = "ago:$ago";
	# the last moment of that month
	write_at('postgres', $stream, "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '@{[ $ago - 1 ]} months 1 microsecond'");
	goes_on('postgres', $stream, 1, "$ago month(s) ago");
	is($node->safe_psql('postgres', "SELECT count(DISTINCT tableoid) FROM events.event_store WHERE stream_id = '$stream'"), 2, "$ago month(s) ago: two months");
}

# Many append at once to a stream whose month is over: each wants to note the new one.

write_at('postgres', 'border:1', q{date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 second'});
$node->pgbench(
	'--no-vacuum -c 8 -j 2 -t 20 -M prepared --max-tries=1 postgres',
	0, [ qr{actually processed: 160/160}, qr{failed transactions: 0 } ], [qr{^$}],
	'8 clients over a month border',
	{
		'008_border' => q{
BEGIN;
SAVEPOINT a;
SELECT events.append_event('border:1', 'undone', '{}');
ROLLBACK TO SAVEPOINT a;
SELECT events.append_event('border:1', 'kept', '{}');
COMMIT;
}
	});
is($node->safe_psql('postgres', q{SELECT events.stream_version('border:1')}), 161, 'all came over the border');

# A stream that crosses it in an aborted transaction alone is back in its month.

write_at('postgres', 'border:2', q{date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 second'});
$node->safe_psql('postgres', q{BEGIN; SELECT events.append_event('border:2', 'undone', '{}'); ROLLBACK});
is($node->safe_psql('postgres', q{SELECT events.stream_version('border:2'), count(*) FROM events.replay_stream('border:2')}), '1|1', 'back in its month');
store_is_sound($node, 'postgres', 'times');

# A store whose months end before now: the append makes what is missing, in order, and no stream loses its past.

create_store($node, 'late');
$node->safe_psql(
	'late', q{
	DO $$ BEGIN
		EXECUTE format('CREATE TABLE events.event_store_2020_01 PARTITION OF events.event_store FOR VALUES FROM (%L) TO (%L)', '2020-01-01 00:00+00', '2020-02-01 00:00+00');
	END $$});
is($node->safe_psql('late', q{SELECT stream_version FROM events.append_events('{a:1,a:1}', '{a,b}', ARRAY['{}', '{}']::jsonb[])}), "1\n2", 'a store that slept for years');
is($node->safe_psql('late', q{SELECT events.stream_version('a:1')}), 2, 'a store that slept for years: version');

$node->stop;
done_testing();

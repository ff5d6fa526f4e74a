# doc/moving-in.md, as it is written there: its statements bring in an earlier hand-written table with the damage that its races left, a table of
# message-db and one of Marten.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use Test::More;

my @blocks = slurp_file("$FindBin::RealBin/../../doc/moving-in.md") =~ /^```sql\n(.*?)^```/msg;
is(scalar @blocks, 7, 'the page has its blocks');
my ($form, $by_hand, $message_db, $marten, $changes, $import, $compare) = @blocks;

my $node = new_bounded_store('moving_in');

# Runs the page for a store whose table is there; gives what it says has to change.
sub move_in
{
	my ($database, $first_step) = @_;
	$node->safe_psql($database, 'SET client_min_messages = warning;' . $form . $first_step);
	my $changed = $node->safe_psql($database, 'SET client_min_messages = warning;' . $changes);
	$node->safe_psql($database, $import);
	my ($source, $store) = split /\n/, $node->safe_psql($database, $compare);
	like($source, qr/^source\|[1-9]/, "$database: there is something to compare");
	is($store, $source =~ s/^source/store/r, "$database: both sides are equal");
	$node->safe_psql($database, 'CALL moving.import()');
	is($node->safe_psql($database, 'SELECT count(*) FROM events.event_store'), $node->safe_psql($database, 'SELECT count(*) FROM moving.events'),
		"$database: imported again, nothing is there twice");
	store_is_sound($node, $database, "$database moved in");
	return $changed;
}

# A version of its own making, read before it is written: two appends got one version, one was rolled back, and a clock went back.
$node->safe_psql('postgres', 'CREATE DATABASE by_hand');
$node->safe_psql('by_hand', q{
	CREATE SCHEMA events;
	CREATE TABLE events.event_store (event_id uuid, stream_id varchar(255), stream_version integer, event_type varchar(100), event_data jsonb, metadata jsonb,
		created_at timestamptz, created_by varchar(255), tenant_id varchar(255));
	INSERT INTO events.event_store VALUES
		('00000000-0000-4000-8000-000000000001', 'user:1', 1, 'registered', '{"name": "Ada", "n": 0.10}', '{"c": 1}', '2021-01-01 10:00+00', 'api', 'default'),
		('00000000-0000-4000-8000-000000000002', 'user:1', 2, 'moved', '{"to": "Rome"}', NULL, '2021-01-02 10:00+00', 'api', 'default'),
		('00000000-0000-4000-8000-000000000003', 'user:1', 2, 'moved', '{"to": "Oslo"}', NULL, '2021-01-02 10:01+00', NULL, 'default'),
		('00000000-0000-4000-8000-000000000004', 'user:1', 5, 'moved', '{"to": "Bonn"}', NULL, '2021-01-01 09:00+00', 'api', NULL),
		('00000000-0000-4000-8000-000000000001', 'user:2', 1, 'registered', '{"name": "Bob"}', NULL, '2022-03-01 10:00+00', 'api', 'default'),
		('00000000-0000-4000-8000-000000000001', 'user:1', 1, 'registered', '{"name": "Eve"}', NULL, '2020-01-01 10:00+00', 'api', 'other');
	INSERT INTO events.event_store SELECT gen_random_uuid(), 'many:' || n % 7, n / 7 + 1, 'counted', jsonb_build_object('n', n), '{}', '2022-01-01 00:00+00'::timestamptz + n * interval '1 hour', 'api', 'default'
	FROM generate_series(0, 2999) n;
});
is(move_in('by_hand', $by_hand), join("\n",
		'default|user:1|00000000-0000-4000-8000-000000000003|2|3|renumbered',
		'default|user:1|00000000-0000-4000-8000-000000000004|5|4|renumbered, later time',
		'default|user:2|00000000-0000-4000-8000-000000000001|1|1|new id'), 'by_hand: what had to change');
is($node->safe_psql('by_hand', "SELECT stream_version, event_data ->> 'to', created_at, created_by, event_id FROM events.replay_stream('user:1') WHERE stream_version > 1"),
	"2|Rome|2021-01-02 10:00:00+00|api|00000000-0000-4000-8000-000000000002\n3|Oslo|2021-01-02 10:01:00+00|system|00000000-0000-4000-8000-000000000003\n"
	  . '4|Bonn|2021-01-02 10:01:00+00|api|00000000-0000-4000-8000-000000000004', 'by_hand: the stream is as the page says');
is($node->safe_psql('by_hand', "SELECT event_data FROM events.replay_stream('user:1', 1, 1)"), '{"n": 0.10, "name": "Ada"}', 'by_hand: data are what they were');
is($node->safe_psql('by_hand', "SET app.tenant_id = 'other'; SELECT event_data FROM events.replay_stream('user:1')"), '{"name": "Eve"}', 'by_hand: the other tenant too');
is($node->safe_psql('by_hand', "SELECT events.append_event('user:1', 'moved', '{}', p_expected_version => 4) IS NOT NULL"), 't', 'by_hand: life goes on');

# message-db
create_store($node, 'message_db');
$node->safe_psql('message_db', q{
	CREATE SCHEMA message_store;
	CREATE TABLE message_store.messages (global_position bigserial NOT NULL, position bigint NOT NULL, time timestamp DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
		stream_name text NOT NULL, type text NOT NULL, data jsonb, metadata jsonb, id uuid NOT NULL DEFAULT gen_random_uuid());
	INSERT INTO message_store.messages (position, time, stream_name, type, data, metadata, id) VALUES
		(0, '2021-05-01 12:00', 'account-1', 'Opened', '{"owner": "Ada"}', NULL, '00000000-0000-4000-8000-000000000001'),
		(0, '2021-05-01 12:01', 'account-2', 'Opened', NULL, '{"correlation": "x"}', '00000000-0000-4000-8000-000000000002'),
		(1, '2021-05-01 11:59', 'account-1', 'Deposited', '{"amount": 7}', NULL, '00000000-0000-4000-8000-000000000003');
});
is(move_in('message_db', $message_db), 'default|account-1|00000000-0000-4000-8000-000000000003|2|2|later time', 'message_db: what had to change');
is($node->safe_psql('message_db', "SELECT stream_version, event_type, event_data, created_at FROM events.replay_stream('account-1')"),
	"1|Opened|{\"owner\": \"Ada\"}|2021-05-01 12:00:00+00\n2|Deposited|{\"amount\": 7}|2021-05-01 12:00:00+00", 'message_db: the stream is as the page says');

# Marten
create_store($node, 'marten');
$node->safe_psql('marten', q{
	CREATE TABLE mt_events (seq_id bigint PRIMARY KEY, id uuid NOT NULL, stream_id uuid, version bigint NOT NULL, data jsonb NOT NULL, type varchar(500) NOT NULL,
		timestamp timestamptz DEFAULT now() NOT NULL, tenant_id varchar DEFAULT '*DEFAULT*', mt_dotnet_type varchar, is_archived bool DEFAULT false);
	INSERT INTO mt_events VALUES
		(1, '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-9000-000000000001', 1, '{"Name": "Ada"}', 'quest_started', '2021-06-01 08:00+00', '*DEFAULT*', 'Quests.QuestStarted, Quests', false),
		(2, '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-9000-000000000001', 2, '{"Name": "Bob"}', 'members_joined', '2021-06-01 08:05+00', '*DEFAULT*', NULL, true),
		(4, '00000000-0000-4000-8000-000000000003', '00000000-0000-4000-9000-000000000002', 1, '{}', 'quest_started', '2021-07-01 08:00+00', 'acme', NULL, NULL);
});
is(move_in('marten', $marten), '', 'marten: nothing had to change');
is($node->safe_psql('marten', "SELECT stream_version, event_type, metadata, created_at FROM events.replay_stream('00000000-0000-4000-9000-000000000001')"),
	"1|quest_started|{\"dotnet_type\": \"Quests.QuestStarted, Quests\"}|2021-06-01 08:00:00+00\n2|members_joined|{\"archived\": true}|2021-06-01 08:05:00+00",
	'marten: the stream is as the page says');
is($node->safe_psql('marten', "SET app.tenant_id = 'acme'; SELECT count(*) FROM events.streams"), 1, 'marten: the tenant is kept');

done_testing();

# What a listening session hears of mode switches and memory moves: both shapes of table, columns renamed, only real
# changes, exact values, payloads over the limit.

use strict;
use warnings;
use utf8;

use Encode ();
use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Rules tell at commit here; t/061 has them with the notifier.
my $node = new_store('notify', conf => "max_prepared_transactions = 5\nauren_events.notifier = off\n");
my $listener = $node->background_psql('postgres', on_error_stop => 1);
$listener->query_safe('LISTEN mode_switch');
$listener->query_safe('LISTEN memory_tier_change');

# What was told since the last call, as 'channel payload'.
sub heard
{
	my ($session) = @_;
	$session //= $listener;
	my $output = $session->query('SELECT 1');
	my @told;
	while ($output =~ /^Asynchronous notification "(\w+)" with payload "(.*)" received from server process with PID \d+\.$/mg)
	{
		push @told, "$1 $2";
	}
	return @told;
}

# Runs statements; exactly these payloads are told.
sub tells
{
	my ($sql, $expected, $name) = @_;
	$node->safe_psql('postgres', Encode::encode('UTF-8', $sql));
	my @told = map { Encode::decode('UTF-8', $_) } heard();
	is_deeply([ sort @told ], [ sort @$expected ], $name);
	foreach my $told (@told)
	{
		ok(eval { JSON::PP->new->decode($told =~ s/^\w+ //r) }, "$name: valid JSON") or diag($@);
	}
	return @told;
}

# History rows, as the guide's tables have them.

$node->safe_psql(
	'postgres', q{
	CREATE TABLE mode_switch_history (
		id bigserial, gone text, user_id text, from_mode text, to_mode text, confidence_score numeric, switch_timestamp timestamptz);
	ALTER TABLE mode_switch_history DROP COLUMN gone;
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON mode_switch_history FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE memory_operations (
		user_id text, memory_key text, from_tier text, to_tier text, operation_timestamp timestamptz);
	CREATE TRIGGER tell AFTER INSERT ON memory_operations FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
	ALTER DATABASE postgres SET timezone = 'UTC'});

tells(
	q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode, confidence_score, switch_timestamp) VALUES ('demo123', 'baseline', 'reflex', 0.10, '2025-01-29 10:00:00.123456+00')},
	['mode_switch {"user_id": "demo123", "from_mode": "baseline", "to_mode": "reflex", "confidence": 0.10, "timestamp": "2025-01-29T10:00:00.123456+00:00"}'],
	'a mode switch, history');
tells(
	q{INSERT INTO memory_operations VALUES ('demo123', 'sleep:pattern', 'hot', 'warm', '2025-01-29 10:00:00+00')},
	['memory_tier_change {"user_id": "demo123", "memory_key": "sleep:pattern", "from_tier": "hot", "to_tier": "warm", "timestamp": "2025-01-29T10:00:00+00:00"}'],
	'a memory move, history');
tells(
	q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', NULL, 'reflex')},
	['mode_switch {"user_id": "u", "from_mode": null, "to_mode": "reflex", "confidence": null, "timestamp": null}'],
	'the first mode comes from none');
tells(q{UPDATE mode_switch_history SET to_mode = 'other' WHERE user_id = 'u'}, [], 'a corrected history row is no switch');
tells(
	q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) SELECT 'u' || n, 'a', 'b' FROM generate_series(1, 3) n},
	[ map { qq{mode_switch {"user_id": "u$_", "from_mode": "a", "to_mode": "b", "confidence": null, "timestamp": null}} } 1 .. 3 ],
	'a row, a payload, in order');
tells(q{BEGIN; INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', 'a', 'b'); ROLLBACK}, [], 'what is rolled back is not told');
tells(
	q{BEGIN; SAVEPOINT a; INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('undone', 'a', 'b'); ROLLBACK TO a;
	  INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('kept', 'a', 'b'); COMMIT},
	['mode_switch {"user_id": "kept", "from_mode": "a", "to_mode": "b", "confidence": null, "timestamp": null}'],
	'a savepoint rolled back');
tells(
	q{SET DateStyle = 'German'; SET timezone = 'Asia/Kolkata'; INSERT INTO memory_operations VALUES ('u', 'k', 'hot', 'warm', '2025-01-29 10:00:00+00')},
	['memory_tier_change {"user_id": "u", "memory_key": "k", "from_tier": "hot", "to_tier": "warm", "timestamp": "2025-01-29T15:30:00+05:30"}'],
	'ISO 8601 whatever DateStyle is');
tells(
	qq{INSERT INTO memory_operations VALUES ('ü€😀', E'a"b\\\\c\\n\\t\\x01', 'hot', '', 'infinity')},
	['memory_tier_change {"user_id": "ü€😀", "memory_key": "a\"b\\\\c\n\t\u0001", "from_tier": "hot", "to_tier": "", "timestamp": "infinity"}'],
	'text of every kind');
foreach my $case (
	[ '12345678901234567890.1234567890', '12345678901234567890.1234567890' ], [ '0', '0' ], [ '-0.00', '0.00' ], [ '1e30', '1' . '0' x 30 ],
	[ "'NaN'", '"NaN"' ], [ "'-Infinity'", '"-Infinity"' ])
{
	tells(
		qq{INSERT INTO mode_switch_history (user_id, from_mode, to_mode, confidence_score) VALUES ('u', 'a', 'b', $case->[0])},
		[qq{mode_switch {"user_id": "u", "from_mode": "a", "to_mode": "b", "confidence": $case->[1], "timestamp": null}}],
		"confidence $case->[0]");
}

# Current-state rows: a change is told, nothing else.

$node->safe_psql(
	'postgres', q{
	CREATE TABLE user_state (user_id bigint PRIMARY KEY, current_mode text, note text, updated_at timestamptz);
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON user_state FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE memory_state (user_id uuid, memory_key text, current_tier text, updated_at timestamp);
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON memory_state FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
	CREATE TABLE tier_state (user_id int, memory_key int, tier int);
	CREATE TRIGGER tell AFTER UPDATE ON tier_state FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change()});
tells(q{INSERT INTO user_state VALUES (9007199254740993, 'baseline', 'a', '2025-01-29 10:00:00+00')}, [], 'the first state is no switch');
tells(
	q{UPDATE user_state SET current_mode = 'reflex', updated_at = '2025-01-29 11:00:00+00'},
	['mode_switch {"user_id": 9007199254740993, "from_mode": "baseline", "to_mode": "reflex", "confidence": null, "timestamp": "2025-01-29T11:00:00+00:00"}'],
	'a mode switch, current state');
tells(q{UPDATE user_state SET note = 'b', updated_at = '2025-01-29 12:00:00+00'}, [], 'another column changed');
tells(q{UPDATE user_state SET current_mode = 'reflex'}, [], 'the same mode again');
tells(
	q{INSERT INTO user_state VALUES (9007199254740993, 'focus', 'c', NULL) ON CONFLICT (user_id) DO UPDATE SET current_mode = excluded.current_mode},
	['mode_switch {"user_id": 9007199254740993, "from_mode": "reflex", "to_mode": "focus", "confidence": null, "timestamp": "2025-01-29T12:00:00+00:00"}'],
	'an upsert that changes the mode');
tells(
	q{INSERT INTO memory_state VALUES ('11111111-1111-4111-8111-111111111111', 'k', 'hot', '2025-01-29 10:00');
	  UPDATE memory_state SET current_tier = 'cold'; UPDATE memory_state SET current_tier = 'cold'},
	['memory_tier_change {"user_id": "11111111-1111-4111-8111-111111111111", "memory_key": "k", "from_tier": "hot", "to_tier": "cold", "timestamp": "2025-01-29T10:00:00"}'],
	'a memory move, current state');
$node->safe_psql('postgres', q{INSERT INTO tier_state VALUES (1, 2, 1)});
my $told = $node->safe_psql('postgres', q{BEGIN; UPDATE tier_state SET tier = 2; SELECT to_json(now()); COMMIT});
is_deeply([ heard() ], [qq{memory_tier_change {"user_id": 1, "memory_key": 2, "from_tier": 1, "to_tier": 2, "timestamp": $told}}],
	'without a time column: the time of the transaction');
$node->safe_psql('postgres', q{TRUNCATE user_state; INSERT INTO user_state VALUES (1, NULL)});
tells(
	q{UPDATE user_state SET current_mode = 'a'},
	['mode_switch {"user_id": 1, "from_mode": null, "to_mode": "a", "confidence": null, "timestamp": null}'],
	'a mode where there was none');
fails_with($node, 'postgres', q{UPDATE user_state SET current_mode = NULL}, '23502', 'a mode that becomes NULL', like => qr/column "current_mode".*DETAIL: .*HINT: /s);

# Columns renamed.

$node->safe_psql(
	'postgres', q{
	CREATE TABLE renamed (person int, old_state text, new_state text, score float8, happened date);
	CREATE TRIGGER tell AFTER INSERT ON renamed FOR EACH ROW
		EXECUTE FUNCTION events.notify_mode_switch('user_id=person', 'from_mode=old_state', 'to_mode=new_state', 'confidence_score=score', 'switch_timestamp=happened');
	CREATE TABLE renamed_state ("Who = Me" text, k text, "Level" text, at timestamptz);
	CREATE TRIGGER tell AFTER UPDATE ON renamed_state FOR EACH ROW
		EXECUTE FUNCTION events.notify_memory_tier_change('user_id=Who = Me', 'memory_key=k', 'current_tier=Level', 'operation_timestamp=at')});
tells(
	q{INSERT INTO renamed VALUES (1, 'a', 'b', 0.1, '2025-01-29')},
	['mode_switch {"user_id": 1, "from_mode": "a", "to_mode": "b", "confidence": 0.1, "timestamp": "2025-01-29"}'],
	'a history with other names');
tells(
	q{INSERT INTO renamed_state VALUES ('me', 'k', 'hot', '2025-01-29 10:00+00'); UPDATE renamed_state SET "Level" = 'warm'},
	['memory_tier_change {"user_id": "me", "memory_key": "k", "from_tier": "hot", "to_tier": "warm", "timestamp": "2025-01-29T10:00:00+00:00"}'],
	'a state with other names');

# A partitioned table whose partition has another order of columns; a domain, an enum, a generated column.

$node->safe_psql(
	'postgres', q{
	CREATE DOMAIN score AS numeric CHECK (VALUE BETWEEN 0 AND 1);
	CREATE TYPE mode AS ENUM ('baseline', 'reflex');
	CREATE TABLE parted (user_id text, from_mode mode, to_mode mode, confidence_score score, stamp timestamptz, switch_timestamp timestamp GENERATED ALWAYS AS (stamp AT TIME ZONE 'UTC') STORED) PARTITION BY LIST (user_id);
	CREATE TABLE parted_a (confidence_score score, to_mode mode, extra int, stamp timestamptz, switch_timestamp timestamp GENERATED ALWAYS AS (stamp AT TIME ZONE 'UTC') STORED, user_id text, from_mode mode);
	ALTER TABLE parted_a DROP COLUMN extra;
	ALTER TABLE parted ATTACH PARTITION parted_a FOR VALUES IN ('a');
	CREATE TRIGGER tell AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
tells(
	q{INSERT INTO parted VALUES ('a', 'baseline', 'reflex', 0.50, '2025-01-29 10:00+00')},
	['mode_switch {"user_id": "a", "from_mode": "baseline", "to_mode": "reflex", "confidence": 0.50, "timestamp": "2025-01-29T10:00:00"}'],
	'a partition, a domain, an enum, a generated column');

# Payloads at and over the limit of 7,999 bytes.

my $fixed = length q{{"user_id": "u", "memory_key": "k", "from_tier": "", "to_tier": "x", "timestamp": null}};
my $fits = 7999 - $fixed;
tells(
	"INSERT INTO memory_operations VALUES ('u', 'k', repeat('f', $fits), 'x')",
	['memory_tier_change {"user_id": "u", "memory_key": "k", "from_tier": "' . 'f' x $fits . '", "to_tier": "x", "timestamp": null}'],
	'the longest payload that is told whole');
tells(
	"INSERT INTO memory_operations VALUES ('u', 'k', repeat('f', @{[ $fits + 1 ]}), 'x')",
	['memory_tier_change {"user_id": "u", "memory_key": "k", "truncated": true}'],
	'a byte more: the identifying keys');
tells(
	q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', repeat('€', 3000), 'b')},
	['mode_switch {"user_id": "u", "truncated": true}'],
	'the limit is in bytes');
tells(
	q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', repeat(E'\x01', 1400), 'b')},
	['mode_switch {"user_id": "u", "truncated": true}'],
	'the limit counts what escapes add');
foreach my $long ("repeat('€', 100000)", "repeat('😀', 3000)", "repeat(E'\\x01', 8000)", "repeat(E'\"', 8000)")
{
	$node->safe_psql('postgres', Encode::encode('UTF-8', "INSERT INTO memory_operations VALUES ($long, 'k', 'a', 'b')"));
	my $name = Encode::encode('ascii', $long, Encode::FB_PERLQQ());
	my @long = heard();
	is(scalar @long, 1, "a user id of $name is told");
	my ($payload) = $long[0] =~ /^memory_tier_change (.*)$/;
	cmp_ok(length $payload, '<', 8000, "a user id of $name: under the limit");
	my $decoded = eval { JSON::PP->new->utf8->decode($payload) };
	is($@, '', "a user id of $name: valid JSON");
	is(join(' ', sort keys %$decoded), 'memory_key truncated user_id', "a user id of $name: keys");
	ok($decoded->{truncated}, "a user id of $name: truncated");
	is($decoded->{memory_key}, 'k', "a user id of $name: the other key");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM memory_operations WHERE length(user_id) >= 3000'), 4, 'the rows are there');

# Errors at the first firing.

$node->safe_psql(
	'postgres', q{
	CREATE TABLE no_user (from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON no_user FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE no_key (user_id text, from_tier text, to_tier text);
	CREATE TRIGGER tell AFTER INSERT ON no_key FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
	CREATE TABLE no_shape (user_id text, from_mode text);
	CREATE TRIGGER tell AFTER INSERT ON no_shape FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE bad_column (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON bad_column FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch('user_id=person');
	CREATE TABLE bad_key (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON bad_key FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch('mode=from_mode');
	CREATE TABLE bad_argument (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON bad_argument FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch('user_id');
	CREATE TABLE fires_before (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell BEFORE INSERT ON fires_before FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE fires_statement (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON fires_statement FOR EACH STATEMENT EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE fires_delete (user_id text, from_mode text, to_mode text);
	INSERT INTO fires_delete VALUES ('a', 'b', 'c');
	CREATE TRIGGER tell AFTER DELETE ON fires_delete FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
foreach my $case (
	[ q{INSERT INTO no_user VALUES ('a', 'b')}, '42703', qr/column "user_id"/ ],
	[ q{INSERT INTO no_key VALUES ('a', 'b', 'c')}, '42703', qr/column "memory_key"/ ],
	[ q{INSERT INTO no_shape VALUES ('a', 'b')}, '42703', qr/neither history nor state columns/ ],
	[ q{INSERT INTO bad_column VALUES ('a', 'b', 'c')}, '42703', qr/column "person"/ ],
	[ q{INSERT INTO bad_key VALUES ('a', 'b', 'c')}, '22023', qr/"mode=from_mode"/ ],
	[ q{INSERT INTO bad_argument VALUES ('a', 'b', 'c')}, '22023', qr/"user_id"/ ],
	[ q{INSERT INTO fires_before VALUES ('a', 'b', 'c')}, '39P01', qr/events\.notify_mode_switch/ ],
	[ q{INSERT INTO fires_statement VALUES ('a', 'b', 'c')}, '39P01', qr/events\.notify_mode_switch/ ],
	[ q{DELETE FROM fires_delete}, '39P01', qr/events\.notify_mode_switch/ ],
	[ q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES (NULL, 'a', 'b')}, '23502', qr/column "user_id"/ ],
	[ q{INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', 'a', NULL)}, '23502', qr/column "to_mode"/ ],
	[ q{INSERT INTO memory_operations VALUES ('u', NULL, 'a', 'b')}, '23502', qr/column "memory_key"/ ],
	[ q{INSERT INTO renamed VALUES (NULL, 'a', 'b')}, '23502', qr/column "person"/ ])
{
	my ($statement, $sqlstate, $text) = @$case;
	fails_with($node, 'postgres', $statement, $sqlstate, $statement, like => qr/$text.*\nDETAIL:  .*\nHINT:  /s);
}
is_deeply([ heard() ], [], 'what fails is not told');

# A role that may write the table needs nothing of ours for its triggers, and its search path turns nothing.

$node->safe_psql(
	'postgres', q{
	CREATE ROLE app LOGIN; GRANT INSERT, UPDATE, SELECT ON mode_switch_history, user_state TO app;
	GRANT USAGE ON SEQUENCE mode_switch_history_id_seq TO app; CREATE SCHEMA app AUTHORIZATION app});
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION app.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT 1/0';
	SET search_path = app, pg_catalog, public;
	INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', 'a', 'b')},
	extra_params => [ '-U', 'app' ]);
is_deeply([ heard() ], ['mode_switch {"user_id": "u", "from_mode": "a", "to_mode": "b", "confidence": null, "timestamp": null}'], 'as a role without rights in the store');

# An appended event and what its transaction tells go together.

tells(
	q{BEGIN; SELECT events.append_event('user:u', 'mode_switched', '{}');
	  INSERT INTO mode_switch_history (user_id, from_mode, to_mode) VALUES ('u', 'a', repeat('x', 10000)); COMMIT},
	['mode_switch {"user_id": "u", "truncated": true}'], 'beside an append');
is($node->safe_psql('postgres', q{SELECT events.stream_version('user:u')}), 1, 'the event is there');

# Rules: appended events are told once a channel and transaction, with its last position, when they can be read.

$listener->query_safe("LISTEN $_") foreach ('by_type', 'by_category');
$node->safe_psql('postgres', q{SELECT events.add_notification_rule('told', 'by_type'), events.add_notification_rule(NULL, 'by_category', 'rule')});
my $position = $node->safe_psql('postgres', 'SELECT events.feed_horizon()');
my $said = sub { my ($add, $stream, $type) = @_; return '{"position": ' . ($position + $add) . qq{, "stream_id": "$stream", "event_type": "$type"} . '}'; };
tells(q{SELECT events.append_event('rule:1', 'told', '1')}, [ 'by_category ' . $said->(1, 'rule:1', 'told'), 'by_type ' . $said->(1, 'rule:1', 'told') ], 'both rules');
tells(q{SELECT events.append_event('rule:1', 'untold', '1')}, [ 'by_category ' . $said->(2, 'rule:1', 'untold') ], 'the rule of a category');
tells(q{SELECT events.append_event('other:1', 'untold', '1')}, [], 'no rule');
tells(q{SELECT count(*) FROM events.append_events('{rule:1,other:1,rule:2}', '{told,told,untold}', ARRAY['1', '2', '3']::jsonb[])},
	[ 'by_category ' . $said->(6, 'rule:2', 'untold'), 'by_type ' . $said->(5, 'other:1', 'told') ], 'the last of a batch');
tells(q{BEGIN; SELECT events.append_event('rule:1', 'told', '1'); SAVEPOINT a; SELECT events.append_event('rule:2', 'told', '1'); ROLLBACK TO SAVEPOINT a; COMMIT},
	[ 'by_category ' . $said->(7, 'rule:1', 'told'), 'by_type ' . $said->(7, 'rule:1', 'told') ], 'a savepoint that was rolled back is not told');
tells(q{BEGIN; SELECT events.append_event('rule:1', 'told', '1'); ROLLBACK}, [], 'a transaction that was rolled back is not told');
tells(q{SET app.tenant_id = 'other'; SELECT events.append_event('rule:1', 'told', '1')}, [], 'the rules of another tenant');
tells(q{BEGIN; SELECT events.append_event('rule:1', 'told', '1'); PREPARE TRANSACTION 'rule'; COMMIT PREPARED 'rule'}, [], 'a prepared transaction is not broken, and not told');
is($node->safe_psql('postgres', q{SELECT count(*) FROM events.read_all(} . $position . q{) WHERE stream_id = 'rule:1'}), 5, 'every event of it is there');
# An append that held the feed back tells, when it ends, that there is more to read.
my $late = $node->background_psql('postgres', on_error_stop => 1);
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('other:late', 'untold', '1')});
$node->safe_psql('postgres', q{SELECT events.append_event('rule:1', 'told', '1')});
my @early = heard();
is(scalar(@early), 2, 'told at commit');
is($node->safe_psql('postgres', q{SELECT count(*) FROM events.read_all(events.feed_horizon())}), 0, 'and not to be read yet');
$late->query_safe('COMMIT');
my ($blocked) = $early[0] =~ /"position": (\d+)/;
my @after = heard();
is(join(' ', map { s/ .*//r } sort @after), 'by_category by_type', 'told again when it can be read');
cmp_ok($node->safe_psql('postgres', 'SELECT events.feed_horizon()'), '>=', $blocked, 'then it is there');
# However many positions it drew itself behind the other's.
$late->query_safe('BEGIN');
$late->query_safe(q{SELECT events.append_event('other:late', 'untold', '1')});
$node->safe_psql('postgres', q{SELECT events.append_event('rule:1', 'told', '1')});
is(scalar(heard()), 2, 'told at commit');
$late->query_safe(q{SELECT events.append_event('other:late', 'untold', '2')});
$late->query_safe('COMMIT');
is(join(' ', map { s/ .*//r } sort(heard())), 'by_category by_type', 'told again by one that drew the last position too');
$late->query_safe(q{SELECT events.append_event('other:late', 'untold', '3')});
is(scalar(heard()), 0, 'one that held nobody back tells nothing');
$late->quit;

# A queue that is nearly full, since a listener sleeps in a transaction, fails no append.
my $sleeper = $node->background_psql('postgres', on_error_stop => 1);
my $sleeper_pid = $sleeper->query_safe('SELECT pg_backend_pid()');
$sleeper->query_safe('LISTEN by_type');
$sleeper->query_safe('BEGIN');
$sleeper->query_safe('SELECT 1');
$node->safe_psql('postgres', q{SELECT count(pg_notify('filler', i || repeat('x', 7900))) FROM generate_series(1, 300) i});
$node->safe_psql('postgres', q{SELECT pg_stat_clear_snapshot()});
my $stderr;
my $usage = $node->safe_psql('postgres', 'SELECT usage FROM events.notification_queue LIMIT 1');
cmp_ok($usage, '>', 0, 'the queue holds something');
$node->psql('postgres', 'SET auren_events.notify_below = ' . ($usage / 2) . q{; SELECT events.append_event('rule:1', 'told', 'full')}, stderr => \$stderr);
like($stderr, qr/invalid input syntax for type json/, 'bad data is an error');
$node->psql('postgres', 'SET auren_events.notify_below = ' . ($usage / 2) . q{; SELECT events.append_event('rule:1', 'told', '"full"')}, stderr => \$stderr);
like($stderr, qr/WARNING:  channel by_type was not told: the notification queue is nearly full\n.*HINT:  events\.notification_queue shows/s, 'a warning');
is($node->safe_psql('postgres', q{SELECT event_data FROM events.last_event('rule:1')}), '"full"', 'the event is there');
is(scalar(heard()), 0, 'nobody was told');
is($node->safe_psql('postgres', 'SELECT pid FROM events.notification_queue'), $sleeper_pid, 'the view says who sleeps');
$sleeper->query_safe('COMMIT');
$sleeper->quit;
$node->safe_psql('postgres', q{SELECT events.drop_notification_rule('told', 'by_type'), events.drop_notification_rule(NULL, 'by_category', 'rule')});
tells(q{SELECT events.append_event('rule:1', 'told', '1')}, [], 'rules that were dropped');

# A database that is not in UTF-8: payloads are, when the listener asks for it.

$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
$node->safe_psql(
	'latin', q{
	CREATE EXTENSION auren_events;
	CREATE TABLE mode_switch_history (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON mode_switch_history FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
my $latin = $node->background_psql('latin', on_error_stop => 1);
$latin->query_safe(q{SET client_encoding = 'UTF8'});
$latin->query_safe('LISTEN mode_switch');
foreach my $repeat (1, 10000)
{
	$node->safe_psql('latin', Encode::encode('UTF-8', "SET client_encoding = 'UTF8'; INSERT INTO mode_switch_history VALUES ('é', repeat('ü', $repeat), 'b')"));
	is_deeply(
		[ map { Encode::decode('UTF-8', $_) =~ s/"timestamp": "[^"]*"/"timestamp": TIME/r } heard($latin) ],
		[ $repeat == 1 ? 'mode_switch {"user_id": "é", "from_mode": "ü", "to_mode": "b", "confidence": null, "timestamp": TIME}' : 'mode_switch {"user_id": "é", "truncated": true}' ],
		"a LATIN1 database, $repeat character(s)");
}
# A rule there: names come as they are.
$latin->query_safe('LISTEN rule');
$node->safe_psql('latin', Encode::encode('UTF-8', q{SET client_encoding = 'UTF8'; SELECT events.add_notification_rule(NULL, 'rule'), events.append_event('user:é"\\', 'told', '1')}));
is_deeply([ map { Encode::decode('UTF-8', $_) } heard($latin) ], ['rule {"position": 1, "stream_id": "user:é\"\\\\", "event_type": "told"}'], 'a rule in a LATIN1 database');
$latin->quit;

# An encoding in which a text has more bytes than in UTF-8: the limit is that of the server.
$node->safe_psql('postgres', q{CREATE DATABASE japan TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'});
$node->safe_psql(
	'japan', q{
	CREATE EXTENSION auren_events;
	CREATE TABLE mode_switch_history (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON mode_switch_history FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
$node->safe_psql('japan', Encode::encode('UTF-8', "SET client_encoding = 'UTF8'; INSERT INTO mode_switch_history VALUES (repeat('é', 3900), 'a', 'b'), ('u', repeat('é', 3900), 'b')"));
is($node->safe_psql('japan', 'SELECT count(*) FROM mode_switch_history'), 2, 'rows whose texts are over the limit in EUC_JP alone are stored');
$listener->quit;
store_is_sound($node, 'postgres', 'notify');

$node->stop;
done_testing();

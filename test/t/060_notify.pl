# What listeners of mode_switch and memory_tier_change are told: the payloads, to the letter where the contract says so.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreTest;
use Test::More;

my $node = new_store('notify');
my $limit = 7999;

# Runs statements in a session that listens to both channels. Returns what it was told, as [channel, payload].
sub told
{
	my ($sql, %options) = @_;
	my ($out, $err) = ('', '');
	my $status = $node->psql($options{database} // 'postgres',
		"LISTEN mode_switch; LISTEN memory_tier_change;\n$sql\n;SELECT 1",
		stdout => \$out, stderr => \$err, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status, 0, 'statements run') or diag($sql, $err);
	my @told;
	while ($out =~ /^Asynchronous notification "(\w+)" with payload "(.*?)" received from server process with PID \d+\.$/msg)
	{
		push @told, [ $1, $2 ];
	}
	return @told;
}

# The one payload of statements that tell once, decoded; dies unless it is JSON.
sub payload
{
	my ($channel, $sql, %options) = @_;
	my @told = told($sql, %options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar @told, 1, 'told once') or diag($sql);
	is($told[0][0], $channel, "on $channel");
	return JSON::PP->new->allow_nonref->decode($told[0][1]);
}

sub keys_of
{
	my ($object) = @_;
	return join ',', sort keys %$object;
}

my $mode_keys = 'confidence,from_mode,timestamp,to_mode,user_id';
my $tier_keys = 'from_tier,memory_key,timestamp,to_tier,user_id';

# History rows of mode switches, whatever DateStyle and TimeZone say.
$node->safe_psql('postgres', q{
	CREATE TABLE switches (id serial, user_id text, from_mode text, to_mode text, confidence_score numeric(4, 2),
	                       switch_timestamp timestamptz);
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON switches
		FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
my @told = told(q{
	SET datestyle = 'German, DMY'; SET timezone = 'UTC';
	INSERT INTO switches (user_id, from_mode, to_mode, confidence_score, switch_timestamp)
	VALUES ('demo123', 'rest', 'run', 0.90, '2025-01-29 10:00:00.5+00')});
is_deeply(
	\@told,
	[
		[
			'mode_switch',
			'{"user_id": "demo123", "from_mode": "rest", "to_mode": "run", "confidence": 0.90, '
			  . '"timestamp": "2025-01-29T10:00:00.5+00:00"}'
		]
	],
	'a history row, to the letter');
is_deeply([ told(q{UPDATE switches SET to_mode = 'walk'}) ], [], 'a corrected history row is no switch');
my $told = payload('mode_switch', q{INSERT INTO switches (user_id, to_mode) VALUES ('u', 'rest')});
is(keys_of($told), $mode_keys, 'all keys are there where columns are NULL');
ok(!defined $told->{from_mode} && !defined $told->{confidence}, 'the first mode of somebody comes from null');
is_deeply(
	[ map { JSON::PP->new->decode($_->[1])->{user_id} } told(q{INSERT INTO switches (user_id, to_mode)
		SELECT 'u' || i, 'rest' FROM generate_series(1, 5) i}) ],
	[qw(u1 u2 u3 u4 u5)], 'each row is told, in order');
is_deeply([ told(q{BEGIN; INSERT INTO switches (user_id, to_mode) VALUES ('u', 'a'); ROLLBACK;}) ], [],
	'what is rolled back is not told');
is_deeply(
	[ map { JSON::PP->new->decode($_->[1])->{to_mode} } told(q{BEGIN;
		INSERT INTO switches (user_id, to_mode) VALUES ('u', 'kept');
		SAVEPOINT s; INSERT INTO switches (user_id, to_mode) VALUES ('u', 'gone'); ROLLBACK TO s; COMMIT;}) ],
	['kept'], 'nor what a savepoint took back');

# Text of every kind survives.
for my $text ('quote " and \\ backslash', "line\nend\ttab", 'ünïcode ☃ 😀', "\x{1}", '', '{"json": [1]}', "it''s")
{
	my $sql = "INSERT INTO switches (user_id, from_mode, to_mode) VALUES (E'"
	  . ($text =~ s/\\/\\\\/gr) . "', E'" . ($text =~ s/\\/\\\\/gr) . "', 'x')";
	$told = payload('mode_switch', $sql);
	my $expected = $text =~ s/''/'/gr;
	is($told->{user_id}, $expected, 'text of a user is exact');
	is($told->{from_mode}, $expected, 'text of a mode is exact');
}

# Numbers keep their digits, and what JSON has no number for is text.
$node->safe_psql('postgres', q{
	CREATE TABLE numbered (user_id bigint, from_mode integer, to_mode boolean, confidence_score float8,
	                       switch_timestamp timestamp);
	CREATE TRIGGER tell AFTER INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
	CREATE TABLE precise (user_id uuid, from_mode numeric, to_mode numeric, confidence_score numeric, updated_at date);
	CREATE TRIGGER tell AFTER INSERT ON precise FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
is((told(q{INSERT INTO numbered VALUES (9007199254740993, -7, true, 0.1, '2025-01-29 10:00:00')}))[0][1],
	'{"user_id": 9007199254740993, "from_mode": -7, "to_mode": true, "confidence": 0.1, "timestamp": "2025-01-29T10:00:00"}',
	'numbers, truth and a timestamp without time zone');
is((told(q{INSERT INTO numbered VALUES (1, NULL, false, 'NaN', 'infinity')}))[0][1],
	'{"user_id": 1, "from_mode": null, "to_mode": false, "confidence": "NaN", "timestamp": "infinity"}',
	'what JSON has no number for is text');
is((told(q{INSERT INTO precise VALUES ('00000000-0000-0000-0000-000000000001', 0.10, 12345678901234567890.5, 1e30,
	'2025-01-29')}))[0][1],
	'{"user_id": "00000000-0000-0000-0000-000000000001", "from_mode": 0.10, "to_mode": 12345678901234567890.5, '
	  . '"confidence": 1000000000000000000000000000000, "timestamp": "2025-01-29"}',
	'numbers keep all their digits');

# Current-state rows: only a real change is told.
$node->safe_psql('postgres', q{
	CREATE TABLE users (user_id text, current_mode text, other integer, updated_at timestamptz DEFAULT '2025-01-29 10:00+00');
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
is_deeply([ told(q{INSERT INTO users VALUES ('u1', 'rest'), ('u2', NULL)}) ], [], 'a new row is no switch');
is_deeply([ told(q{UPDATE users SET other = 1; UPDATE users SET current_mode = current_mode}) ], [],
	'an update that changes no mode is none');
is_deeply(
	[ told(q{SET timezone = 'UTC'; UPDATE users SET current_mode = 'run'}) ],
	[
		map {
			[
				'mode_switch',
				qq({"user_id": "$_->[0]", "from_mode": $_->[1], "to_mode": "run", "confidence": null, )
				  . '"timestamp": "2025-01-29T10:00:00+00:00"}'
			]
		} ([ 'u1', '"rest"' ], [ 'u2', 'null' ])
	],
	'a real change is');

# A table without a time column is told with the transaction's time.
$node->safe_psql('postgres', q{
	CREATE TABLE timeless (user_id text, memory_key text, tier text);
	CREATE TRIGGER tell AFTER UPDATE ON timeless FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
	INSERT INTO timeless VALUES ('u', 'k', 'hot')});
$told = payload('memory_tier_change', q{SET timezone = 'UTC'; UPDATE timeless SET tier = 'cold'});
is(keys_of($told), $tier_keys, 'a change of tier has its keys');
is(join(',', @$told{qw(user_id memory_key from_tier to_tier)}), 'u,k,hot,cold', 'and their values');
like($told->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/, 'and a time');

# The other columns that tell a tier, and history rows of memory moves.
for my $column (qw(current_tier memory_tier))
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE by_$column (user_id text, memory_key text, $column text);
		CREATE TRIGGER tell AFTER UPDATE ON by_$column FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
		INSERT INTO by_$column VALUES ('u', 'k', 'hot')});
	$told = payload('memory_tier_change', "UPDATE by_$column SET $column = 'warm'");
	is("$told->{from_tier},$told->{to_tier}", 'hot,warm', "$column tells the tier");
}
$node->safe_psql('postgres', q{
	CREATE TABLE moves (user_id text, memory_key text, from_tier text, to_tier text, operation_timestamp timestamptz);
	CREATE TRIGGER tell AFTER INSERT OR UPDATE ON moves FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change()});
is_deeply(
	[ told(q{SET timezone = 'Asia/Kolkata';
		INSERT INTO moves VALUES ('u', 'k', 'hot', 'cold', '2025-01-29 10:00:00+00'); UPDATE moves SET to_tier = 'x'}) ],
	[
		[
			'memory_tier_change',
			'{"user_id": "u", "memory_key": "k", "from_tier": "hot", "to_tier": "cold", '
			  . '"timestamp": "2025-01-29T15:30:00+05:30"}'
		]
	],
	'a history row of a memory move, to the letter');

# Trigger arguments rename columns.
$node->safe_psql('postgres', q{
	CREATE TABLE renamed (dropped integer, person text, was text, "is now" text, sure real, "when" timestamptz);
	ALTER TABLE renamed DROP COLUMN dropped;
	CREATE TRIGGER tell AFTER INSERT ON renamed FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch(
		'user_id=person', 'from_mode=was', 'to_mode=is now', 'confidence_score=sure', 'switch_timestamp=when');
	CREATE TABLE renamed_state (person text, state text, seen timestamptz);
	CREATE TRIGGER tell AFTER UPDATE ON renamed_state FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch(
		'user_id=person', 'current_mode=state', 'switch_timestamp=seen');
	INSERT INTO renamed_state VALUES ('u', 'a', '2025-01-29 10:00+00');
	CREATE TABLE renamed_tier (owner text, key text, level text);
	CREATE TRIGGER tell AFTER UPDATE ON renamed_tier FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change(
		'user_id=owner', 'memory_key=key', 'current_tier=level');
	INSERT INTO renamed_tier VALUES ('u', 'k', 'hot')});
is((told(q{SET timezone = 'UTC'; INSERT INTO renamed VALUES ('u', 'a', 'b', 0.5, '2025-01-29 10:00+00')}))[0][1],
	'{"user_id": "u", "from_mode": "a", "to_mode": "b", "confidence": 0.5, "timestamp": "2025-01-29T10:00:00+00:00"}',
	'renamed history columns');
is((told(q{SET timezone = 'UTC'; UPDATE renamed_state SET state = 'b'}))[0][1],
	'{"user_id": "u", "from_mode": "a", "to_mode": "b", "confidence": null, "timestamp": "2025-01-29T10:00:00+00:00"}',
	'renamed state columns');
$told = payload('memory_tier_change', q{UPDATE renamed_tier SET level = 'cold'});
is(join(',', @$told{qw(user_id memory_key from_tier to_tier)}), 'u,k,hot,cold', 'renamed tier columns');

# Months of a history table, and a WHEN condition.
$node->safe_psql('postgres', q{
	CREATE TABLE parted (user_id text, from_mode text, to_mode text, switch_timestamp timestamptz) PARTITION BY LIST (to_mode);
	CREATE TABLE parted_a (note text, to_mode text, from_mode text, switch_timestamp timestamptz, user_id text);
	ALTER TABLE parted_a DROP COLUMN note;
	ALTER TABLE parted ATTACH PARTITION parted_a FOR VALUES IN ('a', 'b');
	CREATE TRIGGER tell AFTER INSERT ON parted FOR EACH ROW
		WHEN (NEW.from_mode IS DISTINCT FROM NEW.to_mode) EXECUTE FUNCTION events.notify_mode_switch()});
$told = payload('mode_switch', q{INSERT INTO parted VALUES ('u', 'a', 'b', NULL), ('u', 'b', 'b', NULL)});
is("$told->{user_id},$told->{from_mode},$told->{to_mode}", 'u,a,b', 'a partition with columns in another order');

# A payload over the limit is cut to what identifies, and never costs the row.
@told = told(q{INSERT INTO switches (user_id, from_mode, to_mode)
	SELECT 'u', repeat('a', n), 'b' || n FROM generate_series(7850, 8050) n});
my @lengths = sort { $a <=> $b } map { length($_->[1]) } @told;
is($lengths[-1], $limit, 'a payload of the greatest length is told whole');
my @objects = map { JSON::PP->new->decode($_->[1]) } @told;
is(scalar(grep { keys_of($_) ne $mode_keys && keys_of($_) ne 'truncated,user_id' } @objects), 0,
	'each is told whole or cut to its identifying key');
my ($cut) = grep { exists $_->{truncated} } @objects;
ok($cut->{truncated} && JSON::PP::is_bool($cut->{truncated}), 'and says so');
$told = payload('memory_tier_change', q{INSERT INTO moves VALUES ('u', 'k', repeat('ü', 9000), 'x', NULL)});
is(keys_of($told), 'memory_key,truncated,user_id', 'a memory move keeps both identifying keys');
for my $big (q{repeat('ü', 9000)}, q{repeat('"', 9000)}, q{repeat(E'\x01', 20000)}, q{repeat('😀', 100000)})
{
	my @big = told(qq{INSERT INTO moves VALUES ($big, $big, 'a', 'b', NULL)});
	is(scalar @big, 1, 'a name over the limit is told');
	cmp_ok(length($big[0][1]), '<=', $limit, 'within the limit');
	my $object = JSON::PP->new->utf8->decode($big[0][1]);
	is(keys_of($object), 'memory_key,truncated,user_id', 'with its keys');
	ok(length($object->{user_id}) > 0, 'and what fits of the name');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM moves'), 6, 'every row was stored');

# Another session hears of it after the commit.
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN mode_switch');
$node->safe_psql('postgres', q{INSERT INTO switches (user_id, to_mode) VALUES ('heard', 'x')});
my $heard = '';
wait_until('the listener hears', sub { $heard .= $listener->query('SELECT 1'); return $heard =~ /heard/; });
like($heard, qr/"mode_switch" with payload "\{"user_id": "heard", /, 'another session hears of a switch');
$listener->quit;

# Whoever writes needs no right of ours: the trigger's maker had it.
$node->safe_psql('postgres', q{CREATE ROLE app LOGIN; GRANT INSERT ON switches TO app; GRANT USAGE ON SEQUENCE switches_id_seq TO app});
@told = told(q{SET ROLE app; INSERT INTO switches (user_id, to_mode) VALUES ('by app', 'x')});
is(scalar @told, 1, 'a role with INSERT alone is told of');

# A listening prepared transaction is the server's to refuse; a database in another encoding is ours to serve.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
create_store($node, 'latin');
$node->safe_psql('latin', q{
	CREATE TABLE switches (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON switches FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
$told = payload('mode_switch', q{SET client_encoding = 'UTF8'; INSERT INTO switches VALUES ('jürgen', 'a', 'b')}, database => 'latin');
is($told->{user_id}, 'jürgen', 'LATIN1 text is told');
$told = payload('mode_switch', q{INSERT INTO switches SELECT repeat(chr(252), 9000), 'a', 'b'}, database => 'latin');
is(keys_of($told), 'truncated,user_id', 'and cut');
$node->safe_psql('postgres', q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
create_store($node, 'bytes');
$node->safe_psql('bytes', q{
	CREATE TABLE switches (user_id text, from_mode text, to_mode text);
	CREATE TRIGGER tell AFTER INSERT ON switches FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch()});
@told = told(q{INSERT INTO switches VALUES (E'\xff\xfe', 'a', 'b')}, database => 'bytes');
is(scalar @told, 1, 'bytes that are no text of any encoding cost no row');

# A queue that a sleeping listener lets run full costs no row. (Before 17 the queue holds 8 GB: too much for a test.)
SKIP:
{
	skip 'the size of the queue cannot be set', 3 if $node->pg_version < 17;
	$node->append_conf('postgresql.conf', 'max_notify_queue_pages = 64');
	$node->restart;
	my $sleeper = $node->background_psql('postgres');
	$sleeper->query_safe('LISTEN something');
	$sleeper->query_safe('BEGIN; SELECT 1');
	$node->safe_psql('postgres', q{DO $$
		BEGIN
			FOR i IN 1 .. 80 LOOP
				EXIT WHEN pg_notification_queue_usage() > 0.95;
				PERFORM pg_notify('something', i || repeat('x', 7900));
				COMMIT;
			END LOOP;
		END $$});
	cmp_ok($node->safe_psql('postgres', 'SELECT pg_notification_queue_usage()'), '>', 0.95, 'the queue is nearly full');
	my ($out, $err) = ('', '');
	$node->psql('postgres', q{INSERT INTO switches (user_id, to_mode) VALUES ('in silence', 'x')}, stdout => \$out, stderr => \$err);
	like($err, qr/WARNING:  channel mode_switch was not told: the notification queue is nearly full/, 'a warning says so');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM switches WHERE user_id = 'in silence'}), 1, 'and the row is stored');
	$sleeper->query_safe('COMMIT');
	$sleeper->quit;
}

$node->stop;
done_testing();

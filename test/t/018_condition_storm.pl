# A storm on conditions: forty clients append with conditions of every shape, among plain appends, batches, savepoints and prepared transactions, while a
# rule of tags is added. Each batch with a condition keeps its query and its position in the data of its first event; afterwards a verifier in plain SQL
# reads the log and asks every condition again. Then sixteen racers at a time: exactly one comes through, for each shape and isolation level. Races that
# are planted, by a function that looks and then appends, are found by the same verifier.
#
# What the clients do is drawn from a fixed seed; how they meet is up to the machine, and nothing that is tested hangs on it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant { CLIENTS => 40, EACH => 24, RACERS => 16 };

# What each database of the test has; $append is the function that appends on a condition.
sub helpers
{
	my ($append) = @_;
	return q{
	CREATE SCHEMA storm;
	CREATE TABLE storm.ruled (complete_before bigint);
	CREATE TABLE storm.verified (up_to bigint);
	CREATE TABLE storm.refused (number serial, several_calls boolean, query jsonb, after bigint, position bigint);

	-- Whether an event matches a query, as the page on conditions says it, in plain SQL. What the rule makes counts where it is asked for.
	CREATE FUNCTION storm.item_matches(item jsonb, e events.event_store, ruled boolean) RETURNS boolean LANGUAGE sql AS $$
		SELECT NOT item ? 'version'
			AND (NOT item ? 'types' OR item -> 'types' ? e.event_type)
			AND (NOT item ? 'stream' OR item ->> 'stream' = e.stream_id)
			AND (NOT item ? 'tags' OR NOT EXISTS (SELECT FROM jsonb_array_elements_text(item -> 'tags') t
				WHERE t <> ALL (e.tags) AND NOT (ruled AND e.event_type = 'ruled' AND t = 'ruled:' || (e.event_data ->> 'ruled'))))
			AND (NOT item ? 'during' OR e.event_type = 'booked' AND tstzrange((e.event_data ->> 'from')::timestamptz, (e.event_data ->> 'to')::timestamptz)
				&& tstzrange((item -> 'during' ->> 0)::timestamptz, (item -> 'during' ->> 1)::timestamptz))
	$$;
	CREATE FUNCTION storm.matches(query jsonb, e events.event_store, ruled boolean) RETURNS boolean LANGUAGE sql AS $$
		SELECT EXISTS (SELECT FROM jsonb_array_elements(query) item WHERE storm.item_matches(item, e, ruled))
	$$;

	-- The tags of a query whose items all ask for some: an event without any of them does not match, unless the rule made it one. Else NULL.
	CREATE FUNCTION storm.tags_of(query jsonb) RETURNS text[] LANGUAGE sql AS $$
		SELECT CASE WHEN NOT query @? '$[*] ? (!exists(@.tags))' THEN ARRAY(SELECT jsonb_path_query(query, '$[*].tags[*]') #>> '{}') END
	$$;

	-- What some write who know no better: a look, then an append.
	CREATE FUNCTION storm.look_and_append(query jsonb, after bigint, streams text[], types text[], data jsonb[], p_tags jsonb[]) RETURNS TABLE (global_position bigint)
		LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM events.event_store e WHERE e.global_position > coalesce(after, 0) AND storm.matches(query, e, true))
			OR EXISTS (SELECT FROM jsonb_array_elements(query) item WHERE item ? 'version' AND coalesce(events.stream_version(item ->> 'stream'), 0) <> (item ->> 'version')::bigint)
		THEN
			RAISE 'a condition does not hold' USING ERRCODE = 'ZE008';
		END IF;
		PERFORM pg_advisory_xact_lock_shared(15);
		RETURN QUERY SELECT a.global_position FROM events.append_events(streams, types, data, p_tags := p_tags) a;
	END $$;

	-- An append on a condition, after a position that is so far from the horizon; NULL: after none. The first event keeps what was asked.
	CREATE FUNCTION storm.decide(query jsonb, back int, streams text[], types text[], data jsonb[], tags jsonb[]) RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		after bigint := greatest(events.feed_horizon() - back, 0);
	BEGIN
		RAISE NOTICE 'asks %', jsonb_build_object('query', query, 'after', after);
		data[1] := data[1] || jsonb_build_object('query', query, 'after', after, 'size', cardinality(streams));
		RETURN (SELECT min(a.global_position) FROM } . $append . q{(query, CASE WHEN back IS NOT NULL THEN after END, streams, types, data, p_tags := tags) a);
	END $$;
	CREATE FUNCTION storm.now_at(VARIADIC streams text[]) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_agg(jsonb_build_object('stream', stream, 'version', coalesce(events.stream_version(stream), 0))) FROM unnest(streams) stream
	$$;

	-- The batches that were appended on a condition, and those, since the last time, whose condition did not hold when they were appended.
	CREATE VIEW storm.batches AS
		SELECT global_position AS first, event_data -> 'query' AS query, coalesce((event_data ->> 'after')::bigint, 0) AS after,
			global_position > coalesce((SELECT complete_before FROM storm.ruled), global_position) AS ruled
		FROM events.event_store WHERE event_data ? 'query';
	CREATE VIEW storm.broken AS
		WITH asked AS MATERIALIZED (
			SELECT b.*, storm.tags_of(query) AS tags FROM storm.batches b WHERE first > (SELECT coalesce(max(up_to), 0) FROM storm.verified))
		SELECT b.first, b.query, e.global_position AS by FROM asked b
			JOIN events.event_store e ON e.global_position > b.after AND e.global_position < b.first
				AND CASE WHEN e.tags && b.tags OR b.tags IS NULL OR e.event_type = 'ruled' THEN storm.matches(b.query, e, b.ruled) END
		UNION ALL
		SELECT b.first, b.query, NULL FROM asked b CROSS JOIN LATERAL jsonb_array_elements(b.query) item
			WHERE item ? 'version' AND (item ->> 'version')::bigint <> (SELECT count(*) FROM events.event_store e WHERE e.stream_id = item ->> 'stream' AND e.global_position < b.first);
	SELECT events.add_span_rule('booked', '/from', '/to');
	SELECT events.append_event(stream, 'begun', '{}') FROM unnest(ARRAY['storm', 'race'] || ARRAY(SELECT 'race:cross:' || i FROM generate_series(1, 16) i)) stream;};
}

my $node = new_store('conditions', conf => "max_connections = 60\nmax_prepared_transactions = 45\nmax_locks_per_transaction = 64\ndeadlock_timeout = 20ms\n");
$node->safe_psql('postgres', helpers('events.append_if'));

# ---- what clients do -----------------------------------------------------------------------------------------------------

# Numbers that are the same in each run on each machine.
my $drawn = 15;
sub draw
{
	my ($below) = @_;
	$drawn = ($drawn * 1103515245 + 12345) % 2147483648;
	return int($drawn / 65536) % $below;
}

sub json_array
{
	return '[' . join(', ', map { qq{"$_"} } @_) . ']';
}

# A call of storm.decide with events of one type and one list of tags.
sub decide
{
	my ($query, $back, $streams, $type, $data, @tags) = @_;
	my $count = @$streams;
	my $condition = $query =~ /^storm\./ ? $query : "'[$query]'";
	return "SELECT storm.decide($condition, $back, ARRAY[" . join(', ', map { "'$_'" } @$streams) . "], array_fill('$type'::text, ARRAY[$count]), "
	  . "array_fill('$data'::jsonb, ARRAY[$count]), array_fill('" . json_array(@tags) . "'::jsonb, ARRAY[$count]));";
}

# From minute to minute within an hour.
sub minutes
{
	my ($from, $to) = @_;
	return map { sprintf('2026-12-01 10:%02d:00Z', $_) } $from, $to;
}

sub booking
{
	my ($room, $from, $to, $stream) = @_;
	my ($begin, $end) = minutes($from, $to);
	return (json_array($begin, $end), $stream, 'booked', qq({"from": "$begin", "to": "$end"}), "room:$room");
}

my $number = 0;
sub own_stream
{
	return 'own:' . ++$number;
}

# How far back a client's position is: mostly it has just read.
sub back
{
	return (0, 0, 0, 2, 10)[ draw(5) ];
}

my %decisions = (
	'name' => sub { my $n = draw(12); decide(qq({"tags": ["name:$n"]}), 'NULL', [ own_stream() ], 'named', '{}', "name:$n") },
	'types and tags' => sub { my $t = 't:' . draw(12); decide(qq({"types": ["a"], "tags": ["$t"]}), back(), [ own_stream() ], ('a', 'b')[ draw(2) ], '{}', $t) },
	'several tags' => sub { my @t = ('t:' . draw(6), 'u:' . draw(6)); decide(qq({"tags": ["$t[0]", "$t[1]"]}), back(), [ own_stream(), 's:' . draw(20) ], 'c', '{}', @t) },
	'one or the other' => sub { my @t = ('t:' . draw(12), 'u:' . draw(12)); decide(qq({"tags": ["$t[0]"]}, {"types": ["c"], "tags": ["$t[1]"]}), back(), [ own_stream() ], 'c', '{}', @t) },
	'stream' => sub { my $s = 's:' . draw(20); decide(qq({"stream": "$s"}), back(), [$s], 'd', '{}') },
	'new stream' => sub { my $s = 'new:' . draw(20); decide(qq({"stream": "$s"}), 'NULL', [$s], 'd', '{}') },
	'version' => sub { my $s = 'v:' . draw(8); decide("storm.now_at('$s')", 0, [$s], 'd', '{}') },
	'during' => sub {
		my ($during, $stream, $type, $data, $tag) = booking(draw(3), (map { ($_, $_ + 1 + draw(3)) } draw(50)), own_stream());
		decide(qq({"tags": ["$tag"], "during": $during}), 'NULL', [$stream], $type, $data, $tag);
	},
	'ruled' => sub { my $n = draw(10); decide(qq({"tags": ["ruled:$n"]}), back(), [ own_stream() ], 'ruled', qq({"ruled": $n})) },
	'types' => sub { decide('{"types": ["rare"]}', 0, [ own_stream() ], 'rare', '{}') },
	'everything' => sub { decide('{}', 0, [ own_stream() ], 'e', '{}') },
	'many keys' => sub { decide(join(', ', map qq({"tags": ["t:$_"], "types": ["a"]}), 0 .. 59), 0, [ own_stream() ], 'a', '{}', map "t:$_", 0 .. 39) });
my %weights = ('types' => 1, 'everything' => 1, 'many keys' => 2);

sub plain
{
	my $n = draw(12);
	return "SELECT events.append_event('s:" . draw(20) . "', 'a', '{}', p_tags := ARRAY['t:$n', 'u:" . draw(6) . "']);" if $n < 5;
	return "SELECT events.append_event('" . own_stream() . qq{', 'ruled', '{"ruled": $n}');} if $n < 8;
	my $count = $n == 11 ? 30 : 4;
	my $tags = join(', ', map { "'" . json_array($n == 11 ? (map { 't:' . draw(60) } 0 .. 20) : ('t:' . draw(12), 'u:' . draw(6))) . "'::jsonb" } 1 .. $count);
	my $streams = join(', ', map { "'s:" . draw(20) . "'" } 1 .. $count);
	return "SELECT count(*) FROM events.append_events(ARRAY[$streams], array_fill('a'::text, ARRAY[$count]), array_fill('{}'::jsonb, ARRAY[$count]), p_tags := ARRAY[$tags]);";
}

sub some_decision
{
	my @names = map { ($_) x ($weights{$_} // 8) } sort keys %decisions;
	return $decisions{ $names[ draw(scalar @names) ] }->();
}

# Transactions of one call; then those of several, which may deadlock among each other.
sub single
{
	my $kind = draw(12);
	return plain() if $kind < 3;
	return some_decision() if $kind < 9;
	return "BEGIN ISOLATION LEVEL " . ('REPEATABLE READ', 'SERIALIZABLE')[ draw(2) ] . ";\n" . some_decision() . "\nCOMMIT;" if $kind < 11;
	my $gid = 'storm_' . ++$number;
	return "BEGIN;\n" . some_decision() . "\nPREPARE TRANSACTION '$gid';\n" . ('COMMIT', 'ROLLBACK')[ draw(2) ] . " PREPARED '$gid';";
}

sub several
{
	my $kind = draw(4);
	return single() if $kind < 2;
	return "BEGIN;\n" . plain() . "\nSAVEPOINT a;\n" . some_decision() . "\nROLLBACK TO SAVEPOINT a;\n" . some_decision() . "\n" . ('COMMIT', 'ROLLBACK')[ draw(4) == 0 ] . ';' if $kind == 2;
	return "BEGIN;\nSAVEPOINT a;\n" . some_decision() . "\nROLLBACK TO SAVEPOINT a;\n" . plain() . "\n" . some_decision() . "\nCOMMIT;";
}

# ---- the storm -----------------------------------------------------------------------------------------------------------

# Runs all clients to their end; what they said, a text for each.
sub storm
{
	my ($name, $transaction, $meanwhile) = @_;
	my @clients;
	foreach my $client (1 .. CLIENTS)
	{
		my $file = $node->basedir . "/${name}_$client";
		append_to_file("$file.sql", join("\n", "SET client_min_messages = notice;", map { $transaction->() } 1 .. EACH) . "\n");
		my @command = ('psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', "$file.sql");
		push @clients, { said => "$file.txt",
			handle => IPC::Run::start(\@command, '<', \undef, '>', '/dev/null', '2>', "$file.txt", IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default)) };
	}
	$meanwhile->() if $meanwhile;
	$_->{handle}->finish foreach @clients;
	return map { slurp_file($_->{said}) } @clients;
}

# The errors that clients met, by SQLSTATE; a refused condition is kept with what was asked, for the verifier.
sub errors_of
{
	my ($several_calls, @said) = @_;
	my (%count, @refused);
	foreach my $text (@said)
	{
		my ($asked, $code) = ('', '');
		foreach my $line (split /\n/, $text)
		{
			$asked = $1 if $line =~ /NOTICE:  00000: asks (.*)/;
			$count{ $code = $1 }++ if $line =~ /(?:ERROR|FATAL):  (\w{5}): /;
			push @refused, "($several_calls, '$asked'::jsonb -> 'query', coalesce(('$asked'::jsonb ->> 'after')::bigint, 0), $1)" if $code eq 'ZE008' && $line =~ /^DETAIL:  Event (\d+) \(stream .*\) matches\./;
		}
	}
	$node->safe_psql('postgres', 'INSERT INTO storm.refused (several_calls, query, after, position) VALUES ' . join(', ', @refused)) if @refused;
	return \%count;
}

# The rule is added while clients append, filled in steps, and is known from a position on: no append was in flight there.
sub add_rule
{
	wait_until($node, 'postgres', q{SELECT count(*) >= 50 FROM events.event_store WHERE event_type = 'ruled'}, 'events before the rule');
	is($node->safe_psql('postgres', q{SELECT events.add_tag_rule('ruled', '/ruled', 'ruled')}), 'f', 'a rule is added while clients append');
	wait_until($node, 'postgres', 'SELECT events.fill_tag_rules(20) = 0', 'the rule is filled');
	$node->safe_psql('postgres', q{
		BEGIN;
		LOCK TABLE events.event_store IN SHARE ROW EXCLUSIVE MODE;
		INSERT INTO storm.ruled SELECT global_position FROM events.append_events('{storm}', '{ruled_from_here}', '{"{}"}');
		COMMIT});
}

sub verify
{
	my ($database, $when) = @_;
	is($node->safe_psql($database, 'SELECT * FROM storm.broken ORDER BY first LIMIT 5'), '', "$when: every condition held when its events were appended");
	is($node->safe_psql($database, q{
		SELECT r.* FROM storm.refused r LEFT JOIN events.event_store e ON e.global_position = r.position
		WHERE CASE WHEN e.event_id IS NULL THEN NOT several_calls ELSE r.position <= r.after OR NOT storm.matches(r.query, e, true) END LIMIT 5}),
		'', "$when: what was refused was refused for an event that matches");
	is($node->safe_psql($database, q{
		WITH asked AS MATERIALIZED (SELECT r.*, storm.tags_of(query) AS tags FROM storm.refused r WHERE NOT several_calls)
		SELECT r.*, e.global_position FROM asked r JOIN events.event_store e ON e.global_position > r.after AND e.global_position < r.position
			AND CASE WHEN e.tags && r.tags OR r.tags IS NULL THEN storm.matches(r.query, e, false) END LIMIT 5}), '', "$when: and for the first such event");
	$node->safe_psql($database, 'INSERT INTO storm.verified SELECT events.feed_horizon(); TRUNCATE storm.refused');
}

sub counted
{
	my ($count) = @_;
	return join(', ', map { "$_ $count->{$_}" } sort keys %$count);
}

my $single = errors_of('false', storm('single', \&single, \&add_rule));
note('transactions of one call: ' . counted($single));
is(join(' ', grep { !/^(?:ZE008|40001|42704)$/ } sort keys %$single), '', 'transactions of one call: no error but a condition that does not hold, a lost race, and no such prepared transaction after these');
cmp_ok($single->{ZE008}, '>', 50, 'transactions of one call: conditions did not hold');
verify('postgres', 'transactions of one call');

my $several = errors_of('true', storm('several', \&several));
note('transactions of several calls: ' . counted($several));
is(join(' ', grep { !/^(?:ZE008|40001|42704|25P02|3B001|40P01)$/ } sort keys %$several), '', 'transactions of several calls: deadlocks may be, with what follows in a transaction that has failed, and nothing else');
verify('postgres', 'transactions of several calls');

# A condition that a storm asks seldom may have lost each of its races. Alone it holds.
$node->safe_psql('postgres', $decisions{$_}->()) foreach sort keys %weights;
verify('postgres', 'alone');

is($node->safe_psql('postgres', q{SELECT tags[1], count(*) FROM events.event_store WHERE event_type = 'named' GROUP BY 1 HAVING count(*) <> 1}), '', 'every name is taken once');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT tags[1]) FROM events.event_store WHERE event_type = 'named'}), 12, 'and all of them are');
my %shapes = (
	'tags' => q{query @> '[{"tags": []}]'}, 'stream' => q{query @> '[{"stream": "s:1"}]'}, 'version' => q{query @? '$[*].version'}, 'during' => q{query @? '$[*].during'},
	'types' => q{query = '[{"types": ["rare"]}]'}, 'everything' => q{query = '[{}]'}, 'several items' => 'jsonb_array_length(query) = 2', 'many keys' => 'jsonb_array_length(query) = 60',
	'a tag of the rule, once it was complete' => q{ruled AND query @? '$[*].tags[*] ? (@ starts with "ruled:")'});
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM storm.batches WHERE $shapes{$_}"), '>', 0, "the verifier asked conditions of the shape: $_") foreach sort keys %shapes;
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM events.read_by_query('{"tags": ["ruled:1"]}') r FULL JOIN (SELECT global_position FROM events.event_store WHERE event_type = 'ruled' AND event_data ->> 'ruled' = '1') e
		USING (global_position) WHERE r.event_id IS NULL OR e.global_position IS NULL}), 0, 'the rule has all events of its value');

# ---- racers --------------------------------------------------------------------------------------------------------------

# Calls of storm.decide for a shape, a racer each; every racer's event matches every racer's condition.
sub racers
{
	my ($shape, $mark, $count) = @_;
	my ($during, undef, $type, $data, $tag) = booking($mark, 10, 20, '');
	my %make = (
		'tag' => sub { decide(qq({"tags": ["x:$mark"]}), 'NULL', [ own_stream() ], 'a', '{}', "x:$mark") },
		'tag after a position' => sub { decide(qq({"tags": ["x:$mark"]}), 0, [ own_stream() ], 'a', '{}', "x:$mark") },
		'types and tags' => sub { decide(qq({"types": ["a", "b"], "tags": ["x:$mark"]}), 0, [ own_stream() ], 'b', '{}', "x:$mark", 'y:1') },
		'several tags' => sub { decide(qq({"tags": ["y:$_[0]", "x:$mark"]}, {"tags": ["x:$mark", "y:1"]}), 0, [ own_stream() ], 'b', '{}', "x:$mark", 'y:1', "y:$_[0]") },
		# more keys than a transaction locks one by one, for all racers but two
		'many tags written' => sub { decide(qq({"tags": ["x:$mark"]}), 'NULL', [ own_stream() ], 'a', '{}', "x:$mark", ($_[0] > 2 ? map "y:$_", 1 .. 50 : ())) },
		'many tags checked' => sub { decide(join(', ', map qq({"tags": ["$_"]}), "x:$mark", ($_[0] > 2 ? map "z:$mark:$_", 1 .. 50 : ())), 'NULL', [ own_stream() ], 'a', '{}', "x:$mark") },
		'rule' => sub { decide(qq({"tags": ["ruled:x$mark"]}), 'NULL', [ own_stream() ], 'ruled', qq({"ruled": "x$mark"})) },
		'types' => sub { decide(qq({"types": ["only_$mark"]}), 'NULL', [ own_stream() ], "only_$mark", '{}') },
		'everything' => sub { decide('{}', 0, [ own_stream() ], 'e', '{}') },
		'stream' => sub { decide(qq({"stream": "race"}), 0, ['race'], 'e', '{}') },
		'new stream' => sub { decide(qq({"stream": "race:$mark"}), 'NULL', ["race:$mark"], 'e', '{}') },
		'version' => sub { decide(q(storm.now_at('race')), 0, ['race'], 'e', '{}') },
		# each checks the streams of all and writes to its own
		'streams, crosswise' => sub { decide(join(', ', map qq({"stream": "race:cross:$_"}), 1 .. $count), 0, ["race:cross:$_[0]"], 'e', '{}') },
		'new streams, crosswise' => sub { decide(join(', ', map qq({"stream": "race:$mark:$_"}), 1 .. $count), 'NULL', ["race:$mark:$_[0]"], 'e', '{}') },
		'versions, crosswise' => sub { decide('storm.now_at(' . join(', ', map "'race:cross:$_'", 1 .. $count) . ')', 0, ["race:cross:$_[0]"], 'e', '{}') },
		'during' => sub { decide(qq({"tags": ["$tag"], "during": $during}), 'NULL', [ own_stream() ], $type, $data, $tag) });
	return sort keys %make if !defined $shape;
	return map { $make{$shape}->($_) } 1 .. $count;
}

# Starts racers of a shape, has all of them decide before any may write, and lets them go.
sub race
{
	my ($database, $level, $hold, @calls) = @_;
	$node->safe_psql($database, "BEGIN; $hold; PREPARE TRANSACTION 'hold'");
	my @sessions = map { start_psql($node, $database, "BEGIN ISOLATION LEVEL $level", $_, 'COMMIT') } @calls;
	wait_for('all racers wait', sub { sessions_waiting($node) == @calls });
	$node->safe_psql($database, "COMMIT PREPARED 'hold'");
	return map { finish_psql($_) } @sessions;
}

my $mark = 100;
foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	my $lost = $level eq 'READ COMMITTED' ? qr/ERROR:  ZE008: / : qr/ERROR:  (?:ZE008|40001): /;
	foreach my $shape (racers())
	{
		my @done = race('postgres', $level, 'LOCK TABLE events.event_store IN SHARE ROW EXCLUSIVE MODE', racers($shape, ++$mark, RACERS));
		my @other = grep { $_->{rc} != 0 && $_->{stderr} !~ $lost } @done;
		is(scalar(grep { $_->{rc} == 0 } @done), 1, "$level, $shape: one of sixteen comes through");
		is(join("\n", map { $_->{stderr} } @other), '', "$level, $shape: the others lose the race");
	}
}
verify('postgres', 'after the races');
store_is_sound($node, 'postgres', 'after the storm');

# ---- planted races -------------------------------------------------------------------------------------------------------

create_store($node, 'planted');
$node->safe_psql('planted', helpers('storm.look_and_append'));
$node->safe_psql('planted', q{INSERT INTO storm.ruled VALUES (0); SELECT events.add_tag_rule('ruled', '/ruled', 'ruled')});
foreach my $shape (racers())
{
	my $from = $node->safe_psql('planted', 'SELECT events.feed_horizon()');
	my @done = race('planted', 'READ COMMITTED', 'SELECT pg_advisory_xact_lock(15)', racers($shape, ++$mark, 2));
	is(join("\n", map { $_->{rc} == 0 ? () : $_->{stderr} } @done), '', "$shape: both come through who look and then append");
	is($node->safe_psql('planted', "SELECT count(*) FROM storm.broken WHERE first > $from"), 1, "$shape: the verifier finds the second");
}

done_testing();

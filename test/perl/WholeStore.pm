# A store that has something of everything in it, what its callers are told, and that it goes on where it stood: for tests that move a store to another
# server. What fills and reads it works with the SQL objects of each released version.

package WholeStore;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use EventStore;

our @EXPORT = qw(whole_server make_roles fill_store answers_of same_answers drained store_goes_on);

# The file of master keys, the same for every server of a test.
my $keys;
# That of the key of seals.
my $seal_key;

sub master_keys
{
	if (!defined $keys)
	{
		$keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
		append_to_file($keys, 'first ' . '0123456789abcdef' x 4 . "\n");
		chmod 0600, $keys or die $!;
	}
	return $keys;
}

# A server that is initialized and not started. Parameters: install_path (programs of another PostgreSQL), init (or code that gives it for the node), conf.
sub whole_server
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, (defined $params{install_path} ? (install_path => $params{install_path}) : ()));
	my $init = $params{init} // {};
	$node->init(%{ ref $init eq 'CODE' ? $init->($node) : $init });
	$node->append_conf('postgresql.conf', "auren_events.master_key_file = '" . master_keys() . "'\ntimezone = 'UTC'\njit = off\n" . ($params{conf} // ''));
	return $node;
}

# Lets a server sign seals. A module of before seals would call the setting unknown.
sub use_seal_key
{
	my ($node) = @_;
	if (!defined $seal_key)
	{
		$seal_key = PostgreSQL::Test::Utils::tempdir() . '/seal_key';
		append_to_file($seal_key, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
		chmod 0600, $seal_key or die $!;
	}
	$node->append_conf('postgresql.conf', "auren_events.seal_key_file = '$seal_key'");
	$node->reload;
	wait_until($node, 'postgres', "SELECT current_setting('auren_events.seal_key_file', true) = '$seal_key'", 'the seal key is known');
	return;
}

sub make_roles
{
	my ($node) = @_;
	$node->safe_psql('postgres', 'CREATE ROLE app_writer LOGIN; CREATE ROLE app_reader LOGIN; CREATE ROLE of_one LOGIN');
	return;
}

# Months of the past, as the appends of their time would have left them.
my $PAST = q{
	CREATE SCHEMA past;
	CREATE FUNCTION past.month(p_back integer) RETURNS date LANGUAGE sql STABLE AS $$ SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - p_back * interval '1 month')::date $$;
	CREATE FUNCTION past.make_month(p_back integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		v_suffix text := to_char(past.month(p_back), 'YYYY_MM');
		v_this text := to_char(past.month(0), 'YYYY_MM');
		v_model regclass := ('events.event_store_' || v_this)::regclass;
		v_definition text;
	BEGIN
		EXECUTE format('CREATE TABLE events.event_store_%s (LIKE events.event_store INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)', v_suffix);
		FOR v_definition IN
			SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = v_model
			UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = v_model AND tgname IN ('refuse_truncate', 'refuse_row_change')
			UNION ALL SELECT format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %s', tgrelid::regclass, tgname) FROM pg_trigger
				WHERE tgrelid = v_model AND tgname IN ('refuse_truncate', 'refuse_row_change')
		LOOP
			EXECUTE replace(v_definition, v_this, v_suffix);
		END LOOP;
		EXECUTE format('ALTER TABLE events.event_store ATTACH PARTITION events.event_store_%s FOR VALUES FROM (%L) TO (%L)', v_suffix,
			past.month(p_back) || ' 00:00Z', past.month(p_back - 1) || ' 00:00Z');
	END $$;
	-- events of streams user:0 to user:6, of a month
	CREATE FUNCTION past.fill(p_back integer, p_events integer) RETURNS void LANGUAGE sql AS $$
		INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, global_position)
		SELECT gen_random_uuid(), 'user:' || n % 7, coalesce((SELECT max(stream_version) FROM events.event_store e WHERE e.stream_id = 'user:' || n % 7), 0) + 1 + n / 7,
			CASE n % 3 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n, 'of', 'a month of the past'), '{"from": "before"}',
			past.month(p_back) + interval '1 day' + n * interval '1 second', nextval('auren.global_position_seq')
		FROM generate_series(0, p_events - 1) n;
		INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month)
		SELECT 'default', 'user:' || n, past.month(p_back), past.month(p_back) FROM generate_series(0, 6) n
		ON CONFLICT (tenant_id, stream_id) DO UPDATE SET last_month = excluded.last_month;
	$$;
	SELECT past.make_month(n) FROM generate_series(5, 2, -1) n;
	SELECT past.fill(5, 70), past.fill(3, 140), past.fill(2, 35);
};

# Months that came by an import, were sealed and archived and are gone; the older one was brought back to be read. A later one was dropped without a seal.
# The states of their streams were carried over, with an id that a caller gave. One month of those that are left is settled. All that came with 0.2.0.
my $DROPPED = q{
	SELECT count(*) FROM events.import_events(ARRAY(SELECT 'early:' || n % 3 FROM generate_series(0, 8) n), array_fill('noted'::text, '{9}'),
		ARRAY(SELECT jsonb_build_object('n', n, 'exact', 0.10) FROM generate_series(0, 8) n), ARRAY(SELECT gen_random_uuid() FROM generate_series(0, 8)),
		ARRAY(SELECT past.month(8 - n / 6) + n * interval '1 hour' FROM generate_series(0, 8) n), ARRAY(SELECT 'writer ' || n FROM generate_series(0, 8) n));
	SELECT events.register_seal_key(), (SELECT count(*) FROM events.seal());
	CREATE TABLE archive_8 (line_number bigserial PRIMARY KEY, line text);
	CREATE TABLE archive_7 (LIKE archive_8 INCLUDING ALL);
	INSERT INTO archive_8 (line) SELECT l FROM events.archive_lines(past.month(8)) l;
	INSERT INTO archive_7 (line_number, line) SELECT n, l FROM events.archive_lines(past.month(7)) WITH ORDINALITY a (l, n);
	SELECT events.record_archive(past.month(7), 'archive_7', (SELECT line::json ->> 'sha256' FROM archive_7 ORDER BY line_number DESC LIMIT 1));
	CALL events.drop_months_before(past.month(6));
	SELECT events.attach_archive_lines('archive_8');
	SELECT events.append_event('early:0', 'noted', '{"n": "after"}', p_expected_version := 3);
	SELECT past.make_month(6);
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position)
	SELECT CASE n WHEN 0 THEN '22222222-2222-4222-8222-222222222222' ELSE gen_random_uuid() END, 'gone:' || n % 3, 1 + n / 3, 'noted', jsonb_build_object('n', n, 'exact', 0.10),
		past.month(6) + n * interval '1 hour', nextval('auren.global_position_seq') FROM generate_series(0, 8) n;
	INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) SELECT 'default', 'gone:' || n, past.month(6), past.month(6) FROM generate_series(0, 2) n;
	INSERT INTO auren.supplied_ids (tenant_id, event_id, month, global_position)
	SELECT tenant_id, event_id, past.month(6), global_position FROM events.event_store WHERE event_id = '22222222-2222-4222-8222-222222222222';
	CALL events.drop_months_before(past.month(5), '{unsealed:*}');
	SELECT events.append_event('gone:0', 'noted', '{"n": "after"}', p_expected_version := 3);
	SELECT events.set_settle_policy('created_at', 'brin');
};

my $FILL = q{
	SELECT events.grant_access('app_writer', 'writer'), events.grant_access('app_writer', 'encrypt'), events.grant_access('app_reader', 'reader');
	SELECT events.bind_tenant('of_one', 'one'), events.grant_access('of_one', 'reader');
	CREATE SCHEMA fold;
	CREATE FUNCTION fold.newest(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN jsonb_set($1, '{newest}', $3);
	SELECT events.set_reducer('counted', 'sum', '{"into": "total"}'), events.set_reducer('number', 'merge', '{"category": "exact"}'),
	       events.set_reducer('supplied', 'function', '{"function": "fold.newest"}');
	SELECT analytics.attach_events('counted', '{"n": "steps"}');
	SELECT encrypted.add_rule('secret', '{/note}', 'person:*');
	SELECT events.add_notification_rule('seen', 'told');
	SELECT events.append_event('user:' || n % 7, CASE n % 3 WHEN 0 THEN 'counted' ELSE 'seen' END, jsonb_build_object('n', n), p_metadata := jsonb_build_object('m', n))
	FROM generate_series(1, 500) n;
	SELECT count(*) FROM events.append_events(array_fill('batch:1'::text, '{40}'), array_fill('seen'::text, '{40}'), ARRAY(SELECT to_jsonb(n) FROM generate_series(1, 40) n));
	SELECT events.append_event('exact:1', 'number', '{"a": 0.10, "b": 12345678901234567890, "c": 1e400, "ü\u2028": "€😀\""}');
	SELECT events.append_event('exact:1', 'text', jsonb_build_object('text', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 3000) n)));
	SELECT events.append_event('user:1', 'supplied', '{"exact": 0.10}', p_event_id := '11111111-1111-4111-8111-111111111111');
	SELECT events.append_event('person:' || p, 'secret', jsonb_build_object('note', 'a secret of ' || p)) FROM unnest('{ann,ben,gone}'::text[]) p;
	CREATE TABLE letters AS SELECT encrypted.encrypt_phi_field('a letter', 'ann') AS sealed;
	SELECT encrypted.forget_user('gone', 'asked');
	SELECT events.take_snapshot('user:1');
	SELECT events.append_event('user:closed', 'last', '{}'), events.close_stream('user:closed', 'left us');
	SELECT events.create_subscription('taken', p_shares => 2), events.create_subscription('untouched', p_category => 'user');
	SELECT count(*) FROM events.fetch('taken', 'c', 20);
	SELECT events.retry('taken', 'c', 5, '0 seconds', 'again'), events.park('taken', 'c', 7, 'aside'), events.acknowledge('taken', 'c', 15);
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp)
	SELECT 'u' || n % 3, 'watch', 'hr', n, '2026-01-01 00:00Z'::timestamptz + n * interval '7 minutes' FROM generate_series(1, 300) n;
	CREATE TABLE vitals (person integer NOT NULL, kind text NOT NULL, amount numeric NOT NULL, taken_at timestamptz NOT NULL, PRIMARY KEY (person, kind, amount, taken_at)) PARTITION BY RANGE (taken_at);
	CREATE TABLE vitals_2026 PARTITION OF vitals FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	SELECT analytics.attach_source('vitals', 'person', NULL, 'kind', 'amount', 'taken_at');
	INSERT INTO vitals SELECT n % 2, 'weight', 80 + n, '2026-11-20 08:00Z' FROM generate_series(1, 20) n;
	SELECT analytics.refresh_user_metrics();
	INSERT INTO vitals VALUES (1, 'weight', 70, '2026-11-21 08:00Z');
	-- what a DBA adds
	CREATE TABLE seen_by_trigger (stream_id text);
	CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen_by_trigger VALUES (NEW.stream_id); RETURN NULL; END';
	CREATE TRIGGER audited AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION audited();
	ALTER TABLE events.event_store ADD CONSTRAINT no_bad CHECK (event_type <> 'bad');
	COMMENT ON TABLE events.event_store IS 'our own words';
	ALTER TABLE biometric.biometric_events ADD CONSTRAINT sane CHECK (value < 10000);
	CREATE INDEX of_value ON biometric.biometric_events (value);
	ALTER TABLE biometric.biometric_events ENABLE ROW LEVEL SECURITY;
	CREATE POLICY seen ON biometric.biometric_events FOR SELECT USING (user_id <> 'u0');
	SET app.tenant_id = 'one';
	SELECT events.append_event('user:1', 'of_one', '{"tenant": "one"}', p_event_id := '11111111-1111-4111-8111-111111111111');
	SELECT events.create_subscription('of one');
	RESET app.tenant_id;
	-- positions that were drawn and rolled back
	BEGIN; SELECT events.append_event('user:1', 'undone', '{}') FROM generate_series(1, 10); ROLLBACK;
};

# What came with 0.2.0.
my $FILL_TAGS = q{
	SELECT events.append_event('user:2', 'tagged', '{"from": "2026-01-01", "to": "2026-02-01"}', p_tags := '{left,user:2}');
	SELECT events.add_tag_rule('counted', '/n', 'n'), events.fill_tag_rules(), events.add_tag_rule('seen', '/n', 'half'), events.fill_tag_rules(250) > 0, events.add_span_rule('tagged', '/from', '/to');
};

sub drops_months
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, q{SELECT to_regclass('auren.opening_states') IS NOT NULL}) eq 't';
}

sub has_tags
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, q{SELECT to_regclass('auren.event_tags') IS NOT NULL}) eq 't';
}

# Fills the store of a database. The roles are there. $more: that many more events, of a thousand streams.
sub fill_store
{
	my ($node, $database, $more) = @_;
	$node->safe_psql($database, 'SELECT events.create_monthly_partitions(4)');
	$node->safe_psql($database, $PAST);
	if (drops_months($node, $database))
	{
		use_seal_key($node);
		$node->safe_psql($database, $DROPPED);
		$node->safe_psql($database, q{SELECT events.set_settle_policy('created_at', 'brin'), events.set_settle_policy('event_id', 'brin'), events.set_settle_policy('type_time', 'short')});
		$node->safe_psql($database, $_) foreach split /\n/, $node->safe_psql($database, 'SELECT statement FROM events.maintenance_plan() WHERE month = past.month(5) ORDER BY step');
	}
	$node->safe_psql($database, 'DROP SCHEMA past CASCADE');
	$node->safe_psql($database, $FILL);
	$node->safe_psql($database, $FILL_TAGS) if has_tags($node, $database);
	for (my $first = 1; $first <= ($more || 0); $first += 10000)
	{
		$node->safe_psql($database, qq{
			SELECT count(*) FROM events.append_events(ARRAY(SELECT 'bulk:' || n % 1000 FROM generate_series($first, $first + 9999) n), array_fill('seen'::text, '{10000}'),
				ARRAY(SELECT jsonb_build_object('n', n, 'text', md5(n::text)) FROM generate_series($first, $first + 9999) n))});
	}
	return;
}

# What callers read, and nothing of it changes by a move. Stream moved:1 is left out: what a test appends first where the store was moved to.
my @ANSWERS = (
	'events' => q{
		SELECT global_position / 100, count(*), md5(string_agg((event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tenant_id, global_position)::text, ' '
		ORDER BY global_position)) FROM events.event_store WHERE stream_id <> 'moved:1' GROUP BY 1 ORDER BY 1},
	'order of the feed' => q{
		SELECT n / 100, md5(string_agg(global_position::text, ' ' ORDER BY n)) FROM (
			SELECT global_position, row_number() OVER () AS n FROM events.read_all(0, 10000000) WHERE stream_id <> 'moved:1') r GROUP BY 1 ORDER BY 1},
	'months' => q{SELECT inhrelid::regclass, pg_get_expr(relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'events.event_store'::regclass ORDER BY inhrelid::regclass::text},
	'states' => q{SELECT stream_id, events.get_stream_state(stream_id), events.get_stream_state(stream_id, 3) FROM auren.stream_rows WHERE tenant_id = 'default' AND stream_id <> 'moved:1' ORDER BY 1},
	'states of a tenant' => q{SET app.tenant_id = 'one'; SELECT stream_id, events.get_stream_state(stream_id) FROM events.streams ORDER BY 1},
	'streams' => q{SELECT s::text FROM events.streams s WHERE stream_id <> 'moved:1' ORDER BY stream_id},
	'reducers' => q{SELECT r::text FROM events.reducers r ORDER BY 1},
	'subscriptions' => q{SELECT name, checkpoint, head, lag_events, parked, retrying, last_error FROM events.subscriptions ORDER BY 1},
	'parked events' => q{SELECT name, global_position, reason FROM events.parked ORDER BY 1, 2},
	'notification rules' => q{SELECT r::text FROM events.notification_rules r ORDER BY 1},
	'bindings' => q{SELECT b::text FROM events.tenant_bindings b ORDER BY 1},
	'readings' => q{SELECT r::text FROM biometric.biometric_events r ORDER BY 1},
	'metrics by day' => q{SELECT m::text FROM analytics.user_metrics_daily m ORDER BY 1},
	'metrics by five minutes' => q{SELECT m::text FROM analytics.user_metrics_5min m ORDER BY 1},
	'sources' => q{SELECT to_jsonb(s) - 'attached_at' FROM analytics.sources s ORDER BY 1},
	'decrypted events' => q{SET auren_events.audit_decrypt = off; SELECT stream_id, r.event_data FROM events.streams s, events.replay_stream_decrypted(s.stream_id) r WHERE stream_id IN ('person:ann', 'person:ben') ORDER BY 1},
	'a decrypted letter' => q{SET auren_events.audit_decrypt = off; SELECT encrypted.decrypt_phi_field(sealed, 'ann') FROM letters},
	'people with keys' => q{SELECT s::text FROM encrypted.status s ORDER BY 1},
	'the audit' => q{SELECT action, user_id, reason, keys FROM encrypted.audit WHERE action <> 'decrypt' ORDER BY at},
	'what was added' => q{SELECT relation, kind, name, definition, present FROM events.added_objects ORDER BY relation, kind, name},
	'what hangs on the tables' => q{SELECT relation, kind, name, definition FROM auren.table_objects WHERE kind NOT IN ('column', 'column setting', 'comment') AND kind <> 'publication' ORDER BY relation, kind, name},
	'rights' => q{
		SELECT o.name, r.rolname FROM auren.granted_objects o CROSS JOIN pg_roles r WHERE r.rolname IN ('app_writer', 'app_reader', 'of_one')
		AND o.kind = 'FUNCTION' AND has_function_privilege(r.oid, o.oid, 'EXECUTE') ORDER BY 1, 2});
my @ANSWERS_OF_TAGS = (
	'tags' => q{SELECT global_position, tags FROM events.read_all(0, 1000000) WHERE tags <> '{}'},
	'events by a tag' => q{SELECT stream_id, stream_version FROM events.read_all(p_tags => '{user:2}')},
	'events by the tag of a rule' => q{SELECT stream_id, stream_version FROM events.read_all(p_tags => '{n:33}')},
	'events by a query' => q{SELECT stream_id, stream_version FROM events.read_by_query('{"tags": ["left"], "during": ["2026-01-15", "2026-01-16"]}')},
	'tag rules' => q{SELECT r::text FROM events.tag_rules r ORDER BY 1});

my @ANSWERS_OF_DROPPED = (
	'months that were dropped' => q{SELECT m::text FROM auren.month_records m ORDER BY 1},
	'opening balances' => q{SELECT o::text FROM auren.opening_states o ORDER BY 1},
	'dropped ids' => q{SELECT d::text FROM auren.dropped_ids d ORDER BY 1},
	'what became of the months' => q{
		SELECT month, partition, state, first_position, last_position, first_event_at, last_event_at, last_seal, archived_at, archive, dropped_at, dropped_by, forced, recorded_bytes
		FROM events.months WHERE state <> 'open' ORDER BY 1},
	'settled months' => q{SELECT month, events, streams FROM events.months WHERE settled_at IS NOT NULL AND dropped_at IS NULL ORDER BY 1},
	'policies of settling' => q{SELECT p::text FROM events.settle_policies p ORDER BY 1},
	'indexes of settled months' => q{SELECT pg_get_indexdef(indexrelid) FROM auren.month_records JOIN pg_index ON indrelid = to_regclass('events.event_store_' || to_char(month, 'YYYY_MM')) WHERE settled_at IS NOT NULL ORDER BY 1},
	'seals' => q{SELECT s::text FROM events.seals s ORDER BY seal},
	'seal keys' => q{SELECT k::text FROM events.seal_keys k ORDER BY 1},
	'problems with seals' => q{SET client_min_messages = warning; SELECT v::text FROM events.verify() v});

# What a store answers: { what => text }.
sub answers_of
{
	my ($node, $database) = @_;
	my @queries = (@ANSWERS, (has_tags($node, $database) ? @ANSWERS_OF_TAGS : ()), (drops_months($node, $database) ? @ANSWERS_OF_DROPPED : ()));
	my %answers;
	while (my ($what, $query) = splice @queries, 0, 2)
	{
		$answers{$what} = $node->safe_psql($database, $query);
	}
	return \%answers;
}

# Compares with what answers_of gave before, but for what the caller names.
sub same_answers
{
	my ($node, $database, $before, $name, @without) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %without = map { $_ => 1 } @without;
	my $now = answers_of($node, $database);
	foreach my $what (sort keys %$before)
	{
		next if $without{$what};
		ok($now->{$what} eq $before->{$what}, "$name: same $what") or diag(difference($before->{$what}, $now->{$what}));
	}
	return;
}

# The first lines that one text has and the other has not.
sub difference
{
	my ($first, $second) = @_;
	my %count;
	$count{$_}++ foreach split /\n/, $second;
	$count{$_}-- foreach split /\n/, $first;
	my @lines = map { ($count{$_} < 0 ? '-' : '+') . substr($_, 0, 300) } grep { $count{$_} } sort keys %count;
	return join("\n", @lines[ 0 .. ($#lines > 9 ? 9 : $#lines) ]);
}

# Takes a subscription's events until there are no more, and gives their positions in the order in which they came.
sub drained
{
	my ($node, $database, $subscription) = @_;
	my @all;
	while (1)
	{
		my @some = split /\n/, $node->safe_psql($database, "SELECT global_position FROM events.fetch('$subscription', 'c', 200)");
		return @all if !@some;
		push @all, @some;
		my ($last) = sort { $b <=> $a } @some;
		$node->safe_psql($database, "SELECT events.acknowledge('$subscription', 'c', $last)");
	}
}

# Buckets in which the metrics and a recount of the readings differ.
my $RECOUNT = q{
	WITH raw AS (
		SELECT user_id, device_type, metric_type, value::float8 AS value, "timestamp" AS at FROM biometric.biometric_events
		UNION ALL SELECT person::text, NULL, kind, amount::float8, taken_at FROM vitals
		UNION ALL SELECT split_part(stream_id, ':', 2), NULL, 'steps', (event_data->>'n')::float8, created_at FROM events.event_store WHERE event_type = 'counted' AND tenant_id = 'default'),
	r AS (SELECT (at AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, count(*) AS n, avg(value) AS a, min(value) AS l, max(value) AS g FROM raw GROUP BY 1, 2, 3, 4)
	SELECT * FROM analytics.user_metrics_daily v
	FULL JOIN r ON v.day = r.day AND v.user_id = r.user_id AND v.device_type IS NOT DISTINCT FROM r.device_type AND v.metric_type = r.metric_type
	WHERE v.day IS NULL OR r.day IS NULL OR v.reading_count <> n OR abs(avg_value - a) > 1e-9 * abs(a) OR min_value <> l OR max_value <> g LIMIT 3};

# What is sealed is as it was sealed and can be proved, an archive comes back and goes, and the next seal follows.
sub seals_go_on
{
	my ($node, $database, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ask = sub { return $node->safe_psql($database, "SET client_min_messages = warning; $_[0]") };
	my $problems = 'SELECT v::text FROM events.verify() v';
	is($ask->(q{SELECT valid, reason FROM events.event_store e, events.verify_proof(events.event_line(e.event_id), events.prove(e.event_id)) WHERE stream_id = 'early:0' AND stream_version = 1}),
		't|', "$name: a sealed event is proved");
	is($ask->(q{SELECT events.get_stream_state('early:0', 2) #>> '{noted,n}', events.attach_archive_lines('archive_7'), events.get_stream_state('early:0', 3) #>> '{noted,n}'}), '3|3|6',
		"$name: a month comes back from its archive");
	is($ask->(q{SELECT string_agg(stream_version::text || created_by, ' ') FROM events.replay_stream('early:0', 1, 3)}), '1writer 0 2writer 3 3writer 6', "$name: with its events");
	is($ask->($problems), '', "$name: which are as they were sealed");
	$ask->(q{SELECT events.detach_archive(month) FROM events.months WHERE state = 'archived, attached' AND last_seal IS NOT NULL});
	is($ask->(q{SELECT string_agg(state, ' ') FROM events.months WHERE dropped_at IS NOT NULL}), 'dropped dropped dropped', "$name: archives are taken away again");
	my $last = $ask->('SELECT max(seal) FROM events.seals');
	use_seal_key($node);
	is($ask->('SELECT min(seal), sum(events) > 0 FROM events.seal()'), ($last + 1) . '|t', "$name: the next seal follows the last one");
	is($ask->($problems), '', "$name: and the chain holds");
	return;
}

# A store that was moved goes on where it stood: versions, positions, ids, checkpoints, keys, metrics, guards. $last: the last position that the original
# drew. Parameter makes_months (yes if not given): the module of 0.1.0 makes no months where somebody added a check.
sub store_goes_on
{
	my ($node, $database, $last, $name, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ask = sub { return $node->safe_psql($database, $_[0]) };

	# A subscription that stood in the middle gives what was not done, each once, and what is parked when it is taken back. Later events of the
	# streams of the two that failed wait for them.
	my @due = split /\n/, $ask->(q{
		SELECT global_position FROM events.event_store e WHERE tenant_id = 'default' AND (global_position > 15
		OR EXISTS (SELECT FROM events.event_store f WHERE f.global_position IN (5, 7) AND f.stream_id = e.stream_id AND f.global_position <= e.global_position)) ORDER BY 1});
	my @given = drained($node, $database, 'taken');
	$ask->(q{SELECT events.unpark('taken', 7)});
	push @given, drained($node, $database, 'taken');
	is(join(' ', sort { $a <=> $b } @given), join(' ', @due), "$name: a subscription goes on and gives each event once");

	my $version = $ask->(q{SELECT events.stream_version('user:1')});
	is( $ask->(qq{SELECT stream_version, global_position FROM events.append_events('{user:1}', '{seen}', ARRAY['{"n": 9}']::jsonb[], p_expected_versions := '{$version}')}),
		($version + 1) . '|' . ($last + 1), "$name: versions and positions go on");
	is(join(' ', drained($node, $database, 'taken')), $last + 1, "$name: the subscription gives what is appended now");
	fails_with($node, $database, qq{SELECT events.append_event('user:1', 'seen', '{}', p_expected_version := $version)}, 'ZE001', "$name: a stale expected version");

	my $count = $ask->('SELECT count(*) FROM events.event_store');
	is($ask->(q{SELECT events.append_event('user:1', 'supplied', '{"exact": 0.10}', p_event_id := '11111111-1111-4111-8111-111111111111')}),
		'11111111-1111-4111-8111-111111111111', "$name: an id that a caller gave");
	my $made = $ask->(q{SELECT event_id FROM events.event_store WHERE stream_id = 'batch:1' AND stream_version = 7});
	is($ask->(qq{SELECT events.append_event(stream_id, event_type, event_data, p_metadata := metadata, p_event_id := event_id) FROM events.tenant_events WHERE event_id = '$made'}),
		$made, "$name: an id that the store made");
	is($ask->('SELECT count(*) FROM events.event_store'), $count, "$name: both are known, nothing was written");

	fails_with($node, $database, q{SELECT events.append_event('user:closed', 'more', '{}')}, 'ZE004', "$name: a closed stream");
	fails_with($node, $database, q{SELECT events.append_event('user:1', 'bad', '{}')}, '23514', "$name: a constraint of the DBA");
	fails_with($node, $database, q{DELETE FROM events.event_store}, 'ZE003', "$name: events are immutable");
	fails_with($node, $database, q{DROP EXTENSION auren_events}, '55006', "$name: the extension is guarded");
	fails_with($node, $database, q{SET ROLE of_one; SELECT count(*) FROM events.replay_stream('user:1')}, '42501', "$name: a bound role is bound");
	is($ask->(q{TRUNCATE seen_by_trigger; SELECT events.append_event('user:trigger', 'seen', '{}') IS NOT NULL; SELECT stream_id FROM seen_by_trigger}), "t\nuser:trigger", "$name: a trigger of the DBA");

	# keys
	fails_with($node, $database, q{SELECT encrypted.encrypt_phi_field('x', 'gone')}, 'ZE006', "$name: who was forgotten stays forgotten");
	is($ask->(q{SELECT events.append_event('person:ann', 'secret', '{"note": "later"}') IS NOT NULL; SELECT event_data->>'note' LIKE 'phi1:%' FROM events.last_event('person:ann');
		SET auren_events.audit_decrypt = off; SELECT event_data->>'note' FROM events.replay_stream_decrypted('person:ann', 2)}), "t\nt\nlater", "$name: fields are encrypted");

	# the metrics of before are there, and readings of every source are counted on
	is($ask->($RECOUNT), '', "$name: the metrics are a recount before a refresh");
	$ask->(q{
		INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES ('u1', 'watch', 'hr', 1000, '2026-01-01 00:00Z');
		INSERT INTO vitals VALUES (1, 'weight', 60, '2026-11-21 09:00Z');
		SELECT events.append_event('user:1', 'counted', '{"n": 9000}')});
	is($ask->($RECOUNT), '', "$name: and with more readings");
	$ask->('SELECT analytics.refresh_user_metrics()');
	is($ask->($RECOUNT), '', "$name: and after a refresh");
	$ask->(q{UPDATE biometric.biometric_events SET value = 900 WHERE value = 1000; DELETE FROM vitals WHERE amount = 60; SELECT analytics.refresh_user_metrics()});
	is($ask->($RECOUNT), '', "$name: and with corrections");

	is($ask->(q{SELECT events.create_subscription('new one', p_after_position => NULL) > 0, (SELECT count(DISTINCT subscription_id) = count(*) FROM auren.subscription_settings)}), 't|t',
		"$name: a new subscription has a number of its own");
	cmp_ok($ask->('SELECT events.create_monthly_partitions(9)'), '>', 0, "$name: months are made") if $params{makes_months} // 1;
	if (has_tags($node, $database))
	{
		$ask->(q{SELECT events.append_event('user:3', 'tagged', '{}', p_tags := '{left,later}')});
		is($ask->(q{SELECT stream_id FROM events.read_all(p_tags => '{later}')}), 'user:3', "$name: an event with tags");
		fails_with($node, $database, qq{SELECT * FROM events.append_if('{"tags": ["later"]}', $last, '{user:3}', '{x}', '{"{}"}')}, 'ZE008', "$name: a condition that is met");
	}
	if ($ask->(q{SELECT to_regclass('auren.opening_states') IS NOT NULL AND events.stream_exists('gone:0')}) eq 't')
	{
		is($ask->(q{SELECT events.append_event('gone:0', 'noted', '{"n": 0, "exact": 0.10}', p_event_id := '22222222-2222-4222-8222-222222222222')}),
			'22222222-2222-4222-8222-222222222222', "$name: an id of a month that was dropped is known");
		is($ask->(q{SELECT stream_version FROM events.append_events('{gone:0,gone:1}', '{noted,noted}', ARRAY['{}', '{}']::jsonb[], p_expected_versions := '{4,3}')}), "5\n4",
			"$name: streams that lost events go on");
		seals_go_on($node, $database, $name);
	}
	store_is_sound($node, $database, $name);
	return;
}

1;

# What every kind of role gets from every function, view and table of the extension, against the table of what the reference promises:
# test/roles/expected.csv. The objects come from the catalog, so that one without a line there fails the test.

use strict;
use warnings;

use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @KINDS = qw(none reader writer admin encrypt decrypt key_admin);
# How a role stands when it calls: without bindings; bound to the tenant that it names; bound, and naming another one; with a policy on
# events.event_store that hides every event from it.
my @STANDINGS = qw(unbound bound foreign policy);

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
append_to_file($keys, 'one ' . '0123456789abcdef' x 4 . "\n");
chmod 0600, $keys;
my $node = new_store('roles', conf => "auren_events.master_key_file = '$keys'\nauren_events.notifier = off\nautovacuum = off\n");

# Two tenants with something of everything; whatever belongs to the other one has "theirs" in it.
foreach my $tenant (qw(mine theirs))
{
	$node->safe_psql('postgres', qq{
		SET app.tenant_id = '$tenant';
		SELECT encrypted.add_rule('personal', '{/name}', '/user_id');
		SELECT events.append_event('$tenant:1', type, jsonb_build_object('mark', '$tenant', 'user_id', '${tenant}_user', 'name', '$tenant'), '$tenant', '{"mark": "$tenant"}')
		FROM unnest('{made,changed,personal}'::text[]) type;
		SELECT events.append_event('shared:1', 'made', '{"mark": "$tenant"}', '$tenant');
		SELECT events.append_event('only_$tenant:1', 'only_$tenant', '{"mark": "$tenant"}', '$tenant');
		SELECT events.append_event('closed:$tenant', 'made', '1'), events.close_stream('closed:$tenant', '$tenant');
		SELECT events.take_snapshot('$tenant:1');
		SELECT events.create_subscription('${tenant}_sub', p_shares => 1, p_stream_waits => false, p_lease => '1 hour');
		SELECT count(*) FROM events.fetch('${tenant}_sub', '${tenant}_worker', 3);
		SELECT events.park('${tenant}_sub', '${tenant}_worker', global_position, '$tenant') FROM events.read_all(p_limit => 1);
		SELECT events.add_notification_rule('made', '${tenant}_channel');
		SELECT events.add_tag_rule('only_$tenant', '/mark', '$tenant'), events.add_span_rule('only_$tenant', '/from', '/to');
		SELECT analytics.attach_events('only_$tenant', '{"value": "pulse"}', 'user_id');
		SELECT events.append_event('only_$tenant:1', 'only_$tenant', '{"user_id": "${tenant}_user", "value": 1, "timestamp": "no time"}', '$tenant');
		SELECT encrypted.encrypt_phi_field('$tenant', '${tenant}_user') AS sealed INTO TABLE sealed_$tenant;
		SELECT encrypted.encrypt_phi_field('$tenant', '${tenant}_gone'), encrypted.forget_user('${tenant}_gone', '$tenant');
		INSERT INTO biometric.biometric_events (tenant_id, user_id, device_type, metric_type, value, timestamp)
		VALUES ('$tenant', '${tenant}_user', '${tenant}_watch', 'pulse', 60, '2026-01-02 12:00+00');
		SELECT analytics.refresh_user_metrics();
		INSERT INTO biometric.biometric_events (tenant_id, user_id, device_type, metric_type, value, timestamp)
		VALUES ('$tenant', '${tenant}_user', '${tenant}_watch', 'pulse', 62, '2026-01-02 13:00+00');
	});
}
$node->safe_psql('postgres', q{
	CREATE ROLE owns_readings;
	CREATE TABLE own_readings (who text, device text, metric text, value float8, at timestamptz);
	CREATE TABLE answers (kind text, standing text, id integer, outcome text);
	GRANT INSERT ON answers TO PUBLIC;
	ALTER TABLE own_readings OWNER TO owns_readings;
	GRANT SELECT ON sealed_mine TO PUBLIC;
	-- Does what a statement does and takes it back. The outcome: the SQLSTATE of its error; "own" or "theirs" by the marks in what it gave; "done" when that
	-- has no mark; "nothing" when there was no row, or NULL.
	CREATE FUNCTION outcome_of(p_sql text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		v_text text;
	BEGIN
		BEGIN
			IF p_sql LIKE 'CALL %' THEN
				EXECUTE p_sql;
			ELSE
				EXECUTE format('SELECT string_agg(x::text, E''\n'') FROM (%s) x', p_sql) INTO v_text;
			END IF;
			RAISE SQLSTATE 'PTOK1';
		EXCEPTION WHEN SQLSTATE 'PTOK1' THEN
			RETURN CASE WHEN v_text ~ 'theirs' THEN 'theirs' WHEN v_text ~ 'mine' THEN 'own' WHEN v_text ~ E'[^(),\n]' THEN 'done' ELSE 'nothing' END;
		WHEN OTHERS THEN
			RETURN SQLSTATE;
		END;
	END $$;
});

foreach my $kind (@KINDS)
{
	foreach my $standing (@STANDINGS)
	{
		my $role = "${kind}_$standing";
		$node->safe_psql('postgres', "CREATE ROLE $role IN ROLE owns_readings;"
			  . ($standing eq 'bound' || $standing eq 'foreign' ? "SELECT events.bind_tenant('$role', 'mine');" : '')
			  . ($kind eq 'none' ? '' : "SELECT events.grant_access('$role', '$kind');"));
	}
}
# The table of expectations: object; kinds of role that may; call; outcome of those by standing.
my @lines = grep { !/^#/ && /\S/ } split /\n/, slurp_file("$FindBin::RealBin/../roles/expected.csv");
my @expected;
my %kind_is_known = map { $_ => 1 } @KINDS;
foreach my $line (@lines)
{
	my ($object, $may, $call, @outcomes) = map { s/^\s+|\s+$//gr } split /;/, $line;
	die "a line of expected.csv has not seven fields: $line" if @outcomes != @STANDINGS;
	my %may = map { $_ => 1 } split ' ', $may;
	$kind_is_known{$_} or die "no kind of role is called $_: $line" foreach keys %may;
	my %outcome;
	@outcome{@STANDINGS} = @outcomes;
	push @expected, { object => $object, may => \%may, call => $call, outcome => \%outcome };
}

# Every object of the extension has a line, and every line an object.
my $objects = $node->safe_psql('postgres', q{
	SELECT p.oid::regprocedure::text FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events')
	  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype) AND 'internal'::regtype <> ALL (p.proargtypes)
	UNION ALL
	SELECT c.oid::regclass::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
	WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events') AND c.relkind <> 'i'});
my %object = map { $_ => 1 } split /\n/, $objects;
my %has_line = map { $_->{object} => 1 } @expected;
is(join("\n", grep { !$has_line{$_} } sort keys %object), '', 'every function, view, table and sequence has a line in expected.csv');
is(join("\n", grep { !$object{$_} } sort keys %has_line), '', 'every line of expected.csv is about an object of the extension');

# All calls of a role in one session. The policy comes last: where one is, it is asked for everybody.
foreach my $standing (@STANDINGS)
{
	$node->safe_psql('postgres', 'ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY; CREATE POLICY nothing ON events.event_store USING (false);')
	  if $standing eq 'policy';
	my $tenant = $standing eq 'foreign' ? 'theirs' : 'mine';
	foreach my $kind (@KINDS)
	{
		my $script = "SET SESSION AUTHORIZATION ${kind}_$standing; SET app.tenant_id = '$tenant';\n";
		foreach my $id (0 .. $#expected)
		{
			$script .= "INSERT INTO answers SELECT '$kind', '$standing', $id, outcome_of(\$call\$$expected[$id]{call}\$call\$);\n";
		}
		$node->safe_psql('postgres', $script);
	}
}
my %answer;
foreach my $row (split /\n/, $node->safe_psql('postgres', 'SELECT * FROM answers'))
{
	my ($kind, $standing, $id, $outcome) = split /\|/, $row;
	$answer{$kind}{$standing}[$id] = $outcome;
}

my $count = 0;
foreach my $kind (@KINDS)
{
	foreach my $standing (@STANDINGS)
	{
		my @wrong;
		foreach my $id (0 .. $#expected)
		{
			my $line = $expected[$id];
			my $right = $line->{may}{$kind} ? $line->{outcome}{$standing} : '42501';
			my $outcome = $answer{$kind}{$standing}[$id];
			$count++;
			push @wrong, "$line->{call}: $outcome, right $right" if $outcome ne $right;
		}
		is(join("\n", @wrong), '', "$kind, $standing");
	}
}
cmp_ok($count, '>', 2000, 'so many calls were compared');

# Rights to write, given to nobody but those whom the reference names.
is($node->safe_psql('postgres', q{
	SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
		SELECT DISTINCT format('%s %s %s', replace(CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE r.grantee::regrole::text END, '_', ' '), r.privilege_type, c.oid::regclass) AS line
		FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) r
		WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('events', 'biometric', 'analytics', 'encrypted', 'auren')) AND r.grantee <> c.relowner AND r.privilege_type <> 'SELECT') l}),
	join("\n", map { "writer $_ INSERT biometric.biometric_events" } sort @STANDINGS), 'who may write to a table');

# What views call is for everybody to execute, and nobody else may name it: neither in a statement nor by its number in a message of the protocol.
my %helper = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{
	SELECT p.proname, p.oid FROM pg_proc p WHERE p.pronamespace = 'auren'::regnamespace AND p.pronargs = 0 AND NOT p.proretset AND has_function_privilege('public', p.oid, 'EXECUTE')});
cmp_ok(scalar keys %helper, '>', 4, 'so many functions of schema auren have no parameter and are for everybody');
$node->safe_psql('postgres', 'CREATE ROLE passer_by LOGIN');
foreach my $name (sort keys %helper)
{
	is(state_of_call('passer_by', $helper{$name}), '42501', "auren.$name by its number");
}
is(state_of_call($node->safe_psql('postgres', 'SELECT current_user'), $helper{reducers_version}), 'ok', 'the owner may name it');

# Every call was taken back; the index entries of its events must not be in the way.
$node->safe_psql('postgres', 'DROP POLICY nothing ON events.event_store; ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY');
store_is_sound($node, 'postgres', 'after the calls of all roles');

done_testing();

# Calls a function without parameters by a FunctionCall message: the SQLSTATE of its error, or "ok".
sub state_of_call
{
	my ($role, $oid) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
	my $start = pack('N', 196608) . "user\0$role\0database\0postgres\0\0";
	$socket->print(pack('N', length($start) + 4) . $start);
	answer_to($socket);
	my $call = pack('N n n n', $oid, 0, 0, 0);
	$socket->print('F' . pack('N', length($call) + 4) . $call);
	return answer_to($socket);
}

# Reads messages until the server is ready for the next.
sub answer_to
{
	my ($socket) = @_;
	my $state = 'ok';
	while (1)
	{
		read($socket, my $head, 5) == 5 or die "the server has gone: $state";
		my ($type, $length) = unpack 'a N', $head;
		my $body = '';
		read($socket, $body, $length - 4) if $length > 4;
		$state = $1 if $type eq 'E' && $body =~ /(?:^|\0)C(\w{5})\0/;
		return $state if $type eq 'Z';
	}
}

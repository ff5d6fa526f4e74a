# A storm on the feed: writers whose transactions commit late, roll back, prepare and are killed, readers that follow, and
# consumers that crash. At the end every committed event was read once and in order by each reader, and handled exactly
# once and in order of its stream by each subscription; after a kill -9 of the server and on a promoted standby too.
#
# A round is so many transactions, kills and prepares, not so many seconds; it says how many there were, and fails when they are too few.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use constant { CLIENTS => 8, EACH => 50, BATCHES => 3, KILLS => 3 };

my $node = new_store('storm', init => { allows_streaming => 1 }, conf => "max_connections = 60\nmax_prepared_transactions = 40\nwal_keep_size = 1GB\n");
$node->safe_psql('postgres', q{
	CREATE TABLE over (round int);
	CREATE TABLE seen (reader int, n bigserial, global_position bigint);
	CREATE TABLE handled (subscription text, n bigserial, consumer text, global_position bigint, stream_id text, stream_version bigint);
	CREATE TABLE crashes (round int, consumer text);
	SELECT events.create_subscription('one', p_shares => 1, p_lease => '300 ms', p_max_attempts => 1000000);
	SELECT events.create_subscription('many', p_shares => 5, p_lease => '300 ms', p_max_attempts => 1000000);

	-- A reader that keeps its checkpoint in its own table, and now and then loses what it did since. It reads until the round is over, or
	-- up to a position.
	CREATE PROCEDURE read_on(who int, in_round int, up_to bigint DEFAULT NULL) LANGUAGE plpgsql AS $$
	DECLARE after bigint; got bigint;
	BEGIN
		LOOP
			SELECT coalesce(max(global_position), 0) INTO after FROM seen WHERE reader = who;
			EXIT WHEN CASE WHEN up_to IS NULL THEN EXISTS (SELECT FROM over WHERE round = in_round) ELSE after >= up_to END;
			INSERT INTO seen (reader, global_position) SELECT who, r.global_position FROM events.read_all(after, 1 + floor(random() * 200)::int) r;
			GET DIAGNOSTICS got = ROW_COUNT;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
			IF got = 0 THEN PERFORM pg_sleep(0.002); END IF;
		END LOOP;
	END $$;

	-- A consumer whose handling and acknowledging are one transaction; it crashes by going away with a lease, to come back under another
	-- name, or by rolling back.
	CREATE PROCEDURE consume(which text, who text, in_round int, crash bool, up_to bigint DEFAULT NULL) LANGUAGE plpgsql AS $$
	DECLARE last bigint; got bigint; base text := who; times int := 0;
	BEGIN
		LOOP
			EXIT WHEN CASE WHEN up_to IS NULL THEN EXISTS (SELECT FROM over WHERE round = in_round) ELSE events.wait_for_subscription(which, up_to, '0 s') END;
			BEGIN
				INSERT INTO handled (subscription, consumer, global_position, stream_id, stream_version)
					SELECT which, who, f.global_position, f.stream_id, f.stream_version FROM events.fetch(which, who, 1 + floor(random() * 80)::int) f;
				GET DIAGNOSTICS got = ROW_COUNT;
				IF got > 0 THEN
					SELECT max(h.global_position) INTO last FROM (SELECT global_position FROM handled WHERE subscription = which AND consumer = who ORDER BY n DESC LIMIT got) h;
					IF crash AND random() < 0.05 THEN RAISE EXCEPTION 'crash'; END IF;
					PERFORM events.acknowledge(which, who, last);
				END IF;
			EXCEPTION
				WHEN SQLSTATE 'ZE005' THEN got := 0;
				WHEN raise_exception THEN got := 0;
			END;
			COMMIT;
			IF crash AND got > 0 AND random() < 0.05 THEN
				PERFORM * FROM events.fetch(which, who, 50);
				INSERT INTO crashes VALUES (in_round, who);
				COMMIT;
				times := times + 1;
				who := base || '_' || times;
			END IF;
			IF got = 0 THEN PERFORM pg_sleep(0.005); END IF;
		END LOOP;
	END $$;});

my $append = q{SELECT events.append_event('storm:' || :s, 'e', to_jsonb(:s::int));};
my %writes = (
	'012_single@4' => qq{\\set s random(1, 12)\n$append\n},
	'012_late@3' => qq{\\set s random(1, 12)\n\\set ms random(1, 15)\nBEGIN;\n$append\n\\sleep :ms ms\nCOMMIT;\n},
	'012_undone@2' => qq{\\set s random(1, 12)\nBEGIN;\n$append\nSAVEPOINT a;\n$append\nROLLBACK TO SAVEPOINT a;\n$append\nROLLBACK;\n},
	'012_savepoint@2' => qq{\\set s random(1, 12)\n\\set ms random(1, 5)\nBEGIN;\nSAVEPOINT a;\n$append\nROLLBACK TO SAVEPOINT a;\n\\sleep :ms ms\n$append\nCOMMIT;\n},
	'012_batch@2' => qq{\\set n random(2, 40)\nSELECT count(*) FROM events.append_events(ARRAY(SELECT 'storm:' || 1 + i % 12 FROM generate_series(1, :n::int) i), array_fill('b'::text, ARRAY[:n::int]), ARRAY(SELECT to_jsonb(i) FROM generate_series(1, :n::int) i));\n},
	# whose it is stands in the name, so that what a killed writer leaves is told from what a living one is at
	'012_prepared@2' => qq{\\set s random(1, 12)\n\\set ms random(1, 10)\n\\set c random(0, 1)\nSELECT pg_backend_pid() AS pid \\gset\nBEGIN;\n$append\nPREPARE TRANSACTION 'storm_:pid';\n\\sleep :ms ms\n\\if :c\nCOMMIT PREPARED 'storm_:pid';\n\\else\nROLLBACK PREPARED 'storm_:pid';\n\\endif\n},
	'012_unrelated@1' => qq{\\set ms random(10, 40)\nBEGIN;\nSELECT pg_current_xact_id();\n\\sleep :ms ms\nCOMMIT;\n});

my $round = 0;

# Starts writers, who end after so many transactions each. What they say goes to a file: nobody reads a pipe meanwhile.
sub start_writers
{
	my ($server, $each) = @_;
	my @files;
	foreach my $name (sort keys %writes)
	{
		my ($file, $weight) = $name =~ /^(\w+)@(\d+)$/;
		my $path = $server->basedir . "/$file.sql";
		append_to_file($path, $writes{$name}) unless -e $path;
		push @files, '-f', "$path\@$weight";
	}
	my $said = $server->basedir . '/writers.txt';
	unlink $said;
	my @command = ('pgbench', '-n', '-c', CLIENTS, '-j', '2', '-t', $each, @files, $server->connstr('postgres'));
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		# else the name of this test
		$ENV{PGAPPNAME} = 'storm_writer';
		open(STDIN, '<', '/dev/null') && open(STDOUT, '>', $said) && open(STDERR, '>', "$said.err") && exec(@command);
		POSIX::_exit(127);
	}
	return { pid => $pid, said => $said };
}

# Whether any is still at it.
sub write_on
{
	my ($writers) = @_;
	$writers->{ended} ||= waitpid($writers->{pid}, WNOHANG) != 0;
	return !$writers->{ended};
}

# What writers did, when they have ended: transactions in all, and of each script. One that was killed leaves an error behind and the others go on.
sub finish_writers
{
	my ($writers) = @_;
	waitpid($writers->{pid}, 0) unless $writers->{ended};
	my $said = slurp_file($writers->{said});
	my ($processed) = $said =~ /transactions actually processed: (\d+)/;
	my %done = (all => $processed // 0);
	while ($said =~ /^SQL script \d+: \S*?(\w+)\.sql\n.*\n - (\d+) transactions/mg)
	{
		$done{$1} += $2;
	}
	return \%done;
}

# Ends what writers that are no more have prepared, by turns in either way: until then their streams are locked. Gives how many there were.
my $turn = 0;
sub decide_left
{
	my ($server) = @_;
	my $decided = 0;
	foreach my $gid (split /\n/, $server->safe_psql('postgres', q{
		SELECT gid FROM pg_prepared_xacts WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE 'storm_' || pid = gid)}))
	{
		my $how = $turn++ % 2 ? 'ROLLBACK' : 'COMMIT';
		$decided++ if $server->psql('postgres', "$how PREPARED '$gid'", on_error_stop => 1) == 0;
	}
	return $decided;
}

# Everything at once. Writers are killed meanwhile; with `kill9` the whole server is, while they write.
sub storm
{
	my ($server, $kill9) = @_;
	$round++;
	my @others = map { start_psql($server, 'postgres', "CALL read_on($_, $round)") } 1 .. 3;
	push @others, start_psql($server, 'postgres', "CALL consume('one', 'one_$round', $round, false)");
	push @others, map { start_psql($server, 'postgres', "CALL consume('many', 'many_${round}_$_', $round, false)") } 1 .. 2;
	push @others, map { start_psql($server, 'postgres', "CALL consume('$_', 'crash_$round', $round, true)") } 'one', 'many';
	my ($batches, $kills, $decided, %did) = (0, 0, 0);
	while ($batches < BATCHES || ($kills < KILLS && $batches < 40))
	{
		my $writers = start_writers($server, EACH);
		# one that is left for certain, and holds up writers of its stream
		$server->safe_psql('postgres', "BEGIN; SELECT events.append_event('storm:1', 'left', '1'); PREPARE TRANSACTION 'storm_left_$batches'");
		my $killed = 0;
		while (write_on($writers))
		{
			$killed += $server->safe_psql('postgres', q{
				SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'storm_writer' AND state <> 'idle' LIMIT 1) w})
			  if $killed == 0;
			$decided += decide_left($server);
			usleep(10_000);
		}
		my $done = finish_writers($writers);
		$did{$_} += $done->{$_} foreach keys %$done;
		$kills += $killed;
		$batches++;
	}
	$decided += decide_left($server);
	note("round $round: $did{all} transactions in $batches batches, $kills writers killed, $decided prepared transactions left and decided; "
		. join(', ', map { "$_ $did{$_}" } grep { $_ ne 'all' } sort keys %did));
	cmp_ok($did{all}, '>=', ($batches * CLIENTS - $kills) * EACH, "round $round: the writers that were not killed wrote all that they should");
	cmp_ok($kills, '>=', KILLS, "round $round: writers were killed");
	cmp_ok($decided, '>=', $batches, "round $round: prepared transactions were left and decided");
	cmp_ok($did{$_} // 0, '>=', EACH / 5, "round $round: there were writers of the kind $_") foreach map { s/@.*//r } sort keys %writes;
	if ($kill9)
	{
		kill_server($server);
		finish_psql($_) foreach @others;
		restart_after_kill($server);
		return;
	}
	$server->safe_psql('postgres', "INSERT INTO over VALUES ($round)");
	finish_psql($_) foreach @others;
	is(join('', map { $_->{stderr} } @others), '', "round $round: readers and consumers met no error");
	note("round $round: consumers crashed " . $server->safe_psql('postgres', "SELECT count(*) FROM crashes WHERE round = $round") . ' times');
}

# kill -9 while writers write.
sub kill_server
{
	my ($server) = @_;
	my $last = q{SELECT last_value FROM auren.global_position_seq};
	my $before = $server->safe_psql('postgres', $last);
	my $writers = start_writers($server, 100000);
	usleep(10_000) while $server->safe_psql('postgres', $last) < $before + 100 && write_on($writers);
	ok(write_on($writers), "round $round: the server is killed while writers write");
	my $postmaster = $server->{_pid};
	$server->kill9;
	finish_writers($writers);
	usleep(100_000) while kill(0, $postmaster);
}

# What is prepared is decided, the readers and consumers come to the end, and then everything is compared.
sub check
{
	my ($server, $when) = @_;
	foreach my $gid (split /\n/, $server->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'))
	{
		$server->safe_psql('postgres', "COMMIT PREPARED '$gid'");
	}
	wait_until($server, 'postgres', 'SELECT NOT EXISTS (SELECT FROM events.feed_blockers)', "$when: no append is in flight");
	my $end = $server->safe_psql('postgres', 'SELECT max(global_position) FROM events.event_store');
	my $head = $server->safe_psql('postgres', 'SELECT events.feed_horizon()');
	my @last = map { start_psql($server, 'postgres', "CALL read_on($_, $round, $end)") } 1 .. 3;
	push @last, map { start_psql($server, 'postgres', "CALL consume('$_', 'last_$round', $round, false, $head)") } 'one', 'many';
	is(finish_all(@last), '', "$when: the readers and the subscriptions have passed the end");
	is($server->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT 1 FROM events.event_store GROUP BY stream_id HAVING count(*) <> max(stream_version) OR count(DISTINCT stream_version) <> count(*)) s}),
		0, "$when: versions are dense");
	foreach my $reader (1 .. 3)
	{
		is($server->safe_psql('postgres', qq{
			SELECT (SELECT count(*) FROM events.event_store e WHERE NOT EXISTS (SELECT FROM seen s WHERE s.reader = $reader AND s.global_position = e.global_position)) AS missed,
			       (SELECT count(*) - count(DISTINCT global_position) FROM seen WHERE reader = $reader) AS twice,
			       (SELECT count(*) FROM seen s WHERE reader = $reader AND NOT EXISTS (SELECT FROM events.event_store e WHERE e.global_position = s.global_position)) AS taken_back,
			       (SELECT count(*) FROM (SELECT global_position, lag(global_position) OVER (ORDER BY n) AS before FROM seen WHERE reader = $reader) o WHERE global_position <= before) AS out_of_order}),
			'0|0|0|0', "$when: reader $reader missed nothing, saw nothing twice, nothing that was taken back, all in order");
	}
	foreach my $subscription ('one', 'many')
	{
		is($server->safe_psql('postgres', qq{
			SELECT (SELECT count(*) FROM events.event_store e WHERE NOT EXISTS (SELECT FROM handled h WHERE subscription = '$subscription' AND h.global_position = e.global_position)) AS missed,
			       (SELECT count(*) - count(DISTINCT global_position) FROM handled WHERE subscription = '$subscription') AS twice,
			       (SELECT count(*) FROM (SELECT stream_version, lag(stream_version) OVER (PARTITION BY stream_id ORDER BY n) AS before FROM handled WHERE subscription = '$subscription') o
			        WHERE stream_version <> coalesce(before, 0) + 1) AS out_of_order}),
			'0|0|0', "$when: subscription $subscription handled every event once, each stream in order");
	}
	is($server->safe_psql('postgres', q{SELECT count(*) FROM events.parked}), 0, "$when: nothing is parked");
	store_is_sound($server, 'postgres', $when);
}

storm($node, 0);
check($node, 'after a storm');
storm($node, 1);
check($node, 'after a kill -9');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('storm_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my $epoch = $node->safe_psql('postgres', 'SELECT events.store_epoch()');
storm($node, 0);
my $written = $node->safe_psql('postgres', 'SELECT events.write_feed_horizon()');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT events.store_epoch()'), $epoch, 'a standby has the epoch of its primary');
is($standby->safe_psql('postgres', 'SELECT events.feed_horizon()'), $written, 'the standby reads the horizon that was written down');
is($standby->safe_psql('postgres', q{SELECT count(*), md5(string_agg(event_id::text, ' ' ORDER BY global_position)) FROM events.read_all(0, 10000000)}),
	$node->safe_psql('postgres', qq{SELECT count(*), md5(string_agg(event_id::text, ' ' ORDER BY global_position)) FROM events.event_store WHERE global_position <= $written}),
	'the standby reads every event up to it');
fails_with($standby, 'postgres', q{SELECT events.fetch('one', 'c')}, '25006', 'a fetch on the standby');
$node->stop('immediate');
$standby->promote;
isnt($standby->safe_psql('postgres', 'SELECT events.store_epoch()'), $epoch, 'a promotion has another epoch');
fails_with($standby, 'postgres', qq{SELECT * FROM events.read_all(p_epoch => '$epoch')}, 'ZE007', 'the old epoch');
storm($standby, 0);
check($standby, 'on a promoted standby');
$standby->stop;

done_testing();

# A storm on the feed: writers whose transactions commit late, roll back, prepare and are killed, readers that follow, and
# consumers that crash. At the end every committed event was read once and in order by each reader, and handled exactly
# once and in order of its stream by each subscription; after a kill -9 of the server and on a promoted standby too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_store('storm', init => { allows_streaming => 1 }, conf => "max_connections = 60\nmax_prepared_transactions = 40\nwal_keep_size = 1GB\n");
$node->safe_psql('postgres', q{
	CREATE TABLE seen (reader int, n bigserial, global_position bigint);
	CREATE TABLE handled (subscription text, n bigserial, consumer text, global_position bigint, stream_id text, stream_version bigint);
	SELECT events.create_subscription('one', p_shares => 1, p_lease => '300 ms', p_max_attempts => 1000000);
	SELECT events.create_subscription('many', p_shares => 5, p_lease => '300 ms', p_max_attempts => 1000000);

	-- A reader that keeps its checkpoint in its own table, and now and then loses what it did since.
	CREATE PROCEDURE read_on(who int, seconds float8) LANGUAGE plpgsql AS $$
	DECLARE till timestamptz := clock_timestamp() + make_interval(secs => seconds); after bigint; got bigint;
	BEGIN
		WHILE clock_timestamp() < till LOOP
			SELECT coalesce(max(global_position), 0) INTO after FROM seen WHERE reader = who;
			INSERT INTO seen (reader, global_position) SELECT who, r.global_position FROM events.read_all(after, 1 + floor(random() * 200)::int) r;
			GET DIAGNOSTICS got = ROW_COUNT;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
			IF got = 0 THEN PERFORM pg_sleep(0.002); END IF;
		END LOOP;
	END $$;

	-- A consumer whose handling and acknowledging are one transaction; it crashes by going away with a lease, or by rolling back.
	CREATE PROCEDURE consume(which text, who text, seconds float8, crash bool) LANGUAGE plpgsql AS $$
	DECLARE till timestamptz := clock_timestamp() + make_interval(secs => seconds); last bigint; got bigint;
	BEGIN
		WHILE clock_timestamp() < till LOOP
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
			IF crash AND random() < 0.02 THEN
				PERFORM * FROM events.fetch(which, who, 50);
				COMMIT;
				RETURN;
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
	'012_prepared@1' => qq{\\set s random(1, 12)\n\\set g random(1, 1000000000)\n\\set ms random(1, 10)\n\\set c random(0, 1)\nBEGIN;\n$append\nPREPARE TRANSACTION 'storm_:g';\n\\sleep :ms ms\n\\if :c\nCOMMIT PREPARED 'storm_:g';\n\\else\nROLLBACK PREPARED 'storm_:g';\n\\endif\n},
	'012_unrelated@1' => qq{\\set ms random(10, 40)\nBEGIN;\nSELECT pg_current_xact_id();\n\\sleep :ms ms\nCOMMIT;\n});

my $round = 0;

# Some seconds of everything at once. Writers are killed meanwhile; with `kill9` the whole server is.
sub storm
{
	my ($server, $seconds, $kill9) = @_;
	$round++;
	my @files;
	while (my ($name, $text) = each %writes)
	{
		my ($file, $weight) = $name =~ /^(\w+)@(\d+)$/;
		my $path = $server->basedir . "/$file.sql";
		append_to_file($path, $text) unless -e $path;
		push @files, '-f', "$path\@$weight";
	}
	my ($out, $err) = ('', '');
	my $writers = IPC::Run::start([ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', $seconds, '-d', $server->connstr('postgres'), @files ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
	my $longer = $seconds + 0.5;
	my @others = map { start_psql($server, 'postgres', "CALL read_on($_, $longer)") } 1 .. 3;
	push @others, start_psql($server, 'postgres', "CALL consume('one', 'one_$round', $longer, false)");
	push @others, map { start_psql($server, 'postgres', "CALL consume('many', 'many_${round}_$_', $longer, false)") } 1 .. 2;
	my @crashing = map { start_psql($server, 'postgres', "CALL consume('$_', 'crash_$round', $longer, true)") } 'one', 'many';
	foreach my $kill (1 .. 3)
	{
		usleep($seconds / 5 * 1e6);
		$server->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench' ORDER BY random() LIMIT 1});
	}
	if ($kill9)
	{
		usleep(300_000);
		my $postmaster = $server->{_pid};
		$server->kill9;
		eval { IPC::Run::finish($writers) };
		finish_psql($_) foreach @others, @crashing;
		usleep(100_000) while kill(0, $postmaster);
		$server->start;
		return;
	}
	eval { IPC::Run::finish($writers) };
	finish_psql($_) foreach @others, @crashing;
	is(join('', map { $_->{stderr} } @others), '', "round $round: readers and consumers met no error");
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
	my @last = map { start_psql($server, 'postgres', "CALL read_on($_, 2)") } 1 .. 3;
	push @last, map { start_psql($server, 'postgres', "CALL consume('$_', 'last_$round', 4, false)") } 'one', 'many';
	finish_psql($_) foreach @last;
	my $head = $server->safe_psql('postgres', 'SELECT events.feed_horizon()');
	is($server->safe_psql('postgres', "SELECT events.wait_for_subscription('one', $head, '10 s'), events.wait_for_subscription('many', $head, '10 s')"), 't|t', "$when: the subscriptions have passed the end");
	cmp_ok($server->safe_psql('postgres', 'SELECT count(*) FROM events.event_store'), '>', 300 * $round, "$when: there was a storm");
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

storm($node, 4, 0);
check($node, 'after a storm');
storm($node, 4, 1);
check($node, 'after a kill -9');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('storm_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my $epoch = $node->safe_psql('postgres', 'SELECT events.store_epoch()');
storm($node, 3, 0);
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
storm($standby, 3, 0);
check($standby, 'on a promoted standby');
$standby->stop;

done_testing();

# The notifier: rules tell listeners off the commit path, when the event can be read, whatever ends the transaction that
# appended it, and without standing in a DBA's way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_store('notifier', conf => "max_prepared_transactions = 5\n");
my $listener = $node->background_psql('postgres', on_error_stop => 1);
my @heard;

# Takes in what was told meanwhile, each as {channel, pid, position, stream_id, event_type}.
sub hear
{
	my $output = $listener->query('SELECT 1');
	while ($output =~ /^Asynchronous notification "(\w+)" with payload "(.*)" received from server process with PID (\d+)\.$/mg)
	{
		push @heard, { channel => $1, pid => $3, %{ JSON::PP->new->decode($2) } };
	}
	return;
}

# Waits for a channel to tell a position or a later one; returns what was told there since the last call. A position that was told could
# be read at that moment.
sub told
{
	my ($channel, $position, $name) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	my @there;
	while (1)
	{
		hear();
		@there = grep { $_->{channel} eq $channel } @heard;
		last if @there && $there[-1]{position} >= $position;
		if (time() > $deadline)
		{
			fail("$name: told");
			return;
		}
		select(undef, undef, undef, 0.01);
	}
	@heard = grep { $_->{channel} ne $channel } @heard;
	cmp_ok($node->safe_psql('postgres', 'SELECT events.feed_horizon()'), '>=', $there[-1]{position}, "$name: can be read");
	return @there;
}

# Appends one event in a session; returns its position.
sub append
{
	my ($stream, $type, $prefix, $suffix) = @_;
	return $node->safe_psql('postgres', ($prefix // '')
		  . "SELECT global_position FROM events.append_events(ARRAY['$stream'], ARRAY['$type'], ARRAY['1']::jsonb[]);" . ($suffix // ''));
}

my $IS_GONE = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'auren_events notifier'};

# The notifier at work, which is found by its lock. One that ended, since nothing came for a while, is asked for again.
sub notifier_pid
{
	my ($database) = @_;
	$database //= 'postgres';
	foreach my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $pid = $node->safe_psql($database, q{
			SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_database d ON d.oid = l.database
			WHERE a.backend_type = 'auren_events notifier' AND d.datname = current_database() AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.classid <> 0});
		return $pid if $pid ne '';
		if ($attempt % 30 == 0)
		{
			$node->safe_psql($database, q{SELECT events.append_event('notifier:wanted', 'told', '1')});
			hear();
			@heard = ();
		}
		select(undef, undef, undef, 0.1);
	}
	die 'there is no notifier';
}

$listener->query_safe("LISTEN $_") foreach ('by_type', 'by_category');
$node->safe_psql('postgres', q{SELECT events.add_notification_rule('told', 'by_type'), events.add_notification_rule(NULL, 'by_category', 'rule')});

# The first one tells at its commit and asks for the notifier.
my $position = append('rule:1', 'told');
my @told = told('by_type', $position, 'the first');
isnt($told[0]{pid}, notifier_pid(), 'the first is told by who appended it');
told('by_category', $position, 'the first, by its category');

# From then on the notifier tells.
my $notifier = notifier_pid();
$position = append('rule:"1"', 'told');
@told = told('by_type', $position, 'the second');
is_deeply(\@told, [ { channel => 'by_type', pid => $notifier, position => $position, stream_id => 'rule:"1"', event_type => 'told' } ], 'by the notifier, whole');
is((told('by_category', $position, 'the second'))[-1]{stream_id}, 'rule:"1"', 'by its category');

# What does not commit, and what no rule asks for, is not told: the next thing told is the next event.
append('rule:2', 'told', 'BEGIN;', 'ROLLBACK');
append('rule:2', 'told', 'BEGIN; SAVEPOINT s;', 'ROLLBACK TO SAVEPOINT s; COMMIT');
append('other:1', 'untold');
append('rule:1', 'told', q{SET app.tenant_id = 'other';});
$position = append('other:3', 'told');
@told = told('by_type', $position, 'behind what is not told');
is(join(' ', map { $_->{position} } @told), $position, 'nothing else');
is(scalar(grep { $_->{channel} eq 'by_category' } @heard), 0, 'nor by a category');

# A batch and a transaction of many appends: the last position.
my $last = $node->safe_psql('postgres', q{SELECT max(global_position) FROM events.append_events('{rule:1,rule:2,other:1}', '{told,told,untold}', ARRAY['1', '2', '3']::jsonb[])});
@told = told('by_type', $last - 1, 'a batch');
is(join(' ', map { "$_->{position} $_->{stream_id}" } @told), ($last - 1) . ' rule:2', 'once, the last');
told('by_category', $last - 1, 'a batch');

# Not before it can be read: another append holds the feed. It is told when that one ends, in whatever way.
foreach my $end ('COMMIT', 'ROLLBACK', 'terminate')
{
	my $late = $node->background_psql('postgres');
	my $pid = $late->query_safe('SELECT pg_backend_pid()');
	$late->query_safe('BEGIN');
	$late->query_safe(q{SELECT events.append_event('other:late', 'untold', '1')});
	$position = append('rule:1', 'told');
	select(undef, undef, undef, 0.1);
	hear();
	is(scalar(@heard), 0, "$end: nothing is told while it is held");
	if ($end eq 'terminate')
	{
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	}
	else
	{
		$late->query_safe($end);
	}
	is((told('by_type', $position, $end))[0]{position}, $position, "$end: told");
	told('by_category', $position, $end);
	$end eq 'terminate' ? eval { $late->quit } : $late->quit;
}

# A prepared transaction is told when it is committed; with the notifier there and without.
foreach my $there (1, 0)
{
	if (!$there)
	{
		wait_until($node, 'postgres', $IS_GONE, 'the notifier ends when it has nothing to do');
	}
	$position = append('rule:1', 'told', 'BEGIN;', "PREPARE TRANSACTION 'rule'");
	notifier_pid();
	select(undef, undef, undef, 0.1);
	hear();
	is(scalar(@heard), 0, 'nothing is told while it is prepared');
	$node->safe_psql('postgres', "COMMIT PREPARED 'rule'");
	told('by_type', $position, 'prepared');
	told('by_category', $position, 'prepared');
}
$position = append('rule:1', 'told', 'BEGIN;', "PREPARE TRANSACTION 'rule'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'rule'");
$position = append('other:1', 'told');
@told = told('by_type', $position, 'behind one that was rolled back');
is(join(' ', map { $_->{position} } @told), $position, 'it is not told');

# Many writers: positions rise, the last is told, and there are fewer notifications than commits.
$node->safe_psql('postgres', 'SET auren_events.notifier = on');
my $before = append('rule:1', 'told');
$node->pgbench('--no-vacuum --client=6 --jobs=2 --transactions=300', 0, [qr/number of transactions actually processed: 1800/], [qr/^$/], 'six writers', {
	'061_writers' => q{
\set s random(1, 20)
\set r random(1, 4)
BEGIN;
SELECT events.append_event('rule:' || :s, 'told', '1');
\if :r = 1
ROLLBACK;
\else
COMMIT;
\endif
}});
$last = $node->safe_psql('postgres', q{SELECT max(global_position) FROM events.event_store WHERE event_type = 'told' AND stream_id LIKE 'rule:%'});
@told = told('by_category', $last, 'six writers');
my @positions = map { $_->{position} } @told;
is($positions[-1], $last, 'the last is told');
is_deeply(\@positions, [ sort { $a <=> $b } @positions ], 'in order');
cmp_ok(scalar(grep { $_ > $before } @positions), '<', 1300, 'many commits are told together');
my $events = $node->safe_psql('postgres', "SELECT count(*) FROM events.read_all($before, 100000, '{told}', 'rule')");
cmp_ok($events, '>', 1000, 'of many events');
is($node->safe_psql('postgres', 'SELECT count(*) FROM unnest(ARRAY[' . join(',', @positions) . ']) p WHERE NOT EXISTS (SELECT FROM events.event_store WHERE global_position = p)'), 0, 'each is one that committed');
told('by_type', $last, 'six writers');

# Rules that come and go while it runs.
notifier_pid();
$listener->query_safe('LISTEN new_rule');
$node->safe_psql('postgres', q{SELECT events.add_notification_rule('new', 'new_rule')});
$position = append('other:1', 'new');
is((told('new_rule', $position, 'a new rule'))[0]{event_type}, 'new', 'a new rule counts at once');
$node->safe_psql('postgres', q{SELECT events.drop_notification_rule('new', 'new_rule')});
append('other:1', 'new');
$position = append('other:1', 'told');
told('by_type', $position, 'behind a dropped rule');
is(scalar(grep { $_->{channel} eq 'new_rule' } @heard), 0, 'a dropped rule does not');

# A queue that is nearly full: told when there is room again.
my $sleeper = $node->background_psql('postgres', on_error_stop => 1);
$sleeper->query_safe('LISTEN by_type');
$sleeper->query_safe('BEGIN');
$sleeper->query_safe('SELECT 1');
$node->safe_psql('postgres', q{SELECT count(pg_notify('filler', i || repeat('x', 7900))) FROM generate_series(1, 300) i});
my $usage = $node->safe_psql('postgres', 'SELECT usage FROM events.notification_queue LIMIT 1');
$node->safe_psql('postgres', q{LOAD 'auren_events'; ALTER SYSTEM SET auren_events.notify_below = } . ($usage / 2));
$node->reload;
notifier_pid();
wait_until($node, 'postgres', q{SELECT current_setting('auren_events.notify_below')::float < 0.9 FROM (SELECT events.store_epoch()) s}, 'the setting');
$position = append('rule:1', 'told');
select(undef, undef, undef, 0.2);
hear();
is(scalar(grep { $_->{channel} eq 'by_type' && $_->{position} >= $position } @heard), 0, 'nothing is told while the queue is full');
$sleeper->query_safe('COMMIT');
$sleeper->quit;
$node->safe_psql('postgres', q{SELECT pg_notify('filler', 'the tail of the queue moves on')});
told('by_type', $position, 'room again');
told('by_category', $position, 'room again');
$node->safe_psql('postgres', q{LOAD 'auren_events'; ALTER SYSTEM RESET auren_events.notify_below});
$node->reload;

# Whoever ends it: the next one tells, and asks for another.
$notifier = notifier_pid();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($notifier)");
wait_until($node, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $notifier)", 'the notifier ends');
$position = append('rule:1', 'told');
told('by_type', $position, 'after it was ended');
told('by_category', $position, 'after it was ended');
isnt(notifier_pid(), $notifier, 'another notifier');

# Off, as a superuser says: at commit, by the session itself.
$notifier = notifier_pid();
$position = append('rule:1', 'told', 'SET auren_events.notifier = off;');
isnt((told('by_type', $position, 'off'))[0]{pid}, $notifier, 'by who appended it');

# It stands in no DBA's way: the extension, and a database, can be dropped.
create_store($node, 'other');
$node->safe_psql('other', q{SELECT events.add_notification_rule(NULL, 'all'), events.append_event('a', 'b', '1')});
notifier_pid('other');
$node->safe_psql('other', 'SET auren_events.allow_drop = on; DROP EXTENSION auren_events CASCADE; CREATE EXTENSION auren_events');
$node->safe_psql('other', q{SELECT events.add_notification_rule(NULL, 'all'), events.append_event('a', 'b', '1')});
$node->safe_psql('other', q{SELECT events.append_event('a', 'b', '1')});
$notifier = notifier_pid('other');
# a pass that begins while the extension is being dropped waits for the end of that, and finds it gone
my $dropper = $node->background_psql('other', on_error_stop => 1);
$dropper->query_safe('SET auren_events.allow_drop = on; BEGIN; DROP EXTENSION auren_events CASCADE');
wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $notifier AND NOT granted)", 'the notifier waits for the drop');
$dropper->query_safe('COMMIT');
$dropper->quit;
wait_until($node, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $notifier)", 'the notifier ends with its extension');
create_store($node, 'other_2');
$node->safe_psql('other_2', q{SELECT events.add_notification_rule(NULL, 'all'), events.append_event('a', 'b', '1')});
notifier_pid('other_2');
$node->safe_psql('postgres', 'DROP DATABASE other_2');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database is dropped beside its notifier');
create_store($node, 'other');
$node->safe_psql('other', q{SELECT events.add_notification_rule(NULL, 'all'), events.append_event('a', 'b', '1')});
notifier_pid('other');
$node->safe_psql('postgres', 'DROP DATABASE other WITH (FORCE)');
pass('and by force');

# Where no worker can be had, rules tell at commit.
$listener->quit;
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
$listener = $node->background_psql('postgres', on_error_stop => 1);
$listener->query_safe('LISTEN by_type');
foreach my $turn (1 .. 2)
{
	$position = append('rule:1', 'told');
	told('by_type', $position, 'without a worker');
}
$listener->quit;

store_is_sound($node, 'postgres', 'notifier');
# It gives way to DROP EXTENSION, after half a second that may not be enough for it to end.
unlike(slurp_file($node->logfile), qr/could not tell listeners(?!: canceling statement due to lock timeout)|PANIC|TRAP/, 'no error of the notifier');
$node->stop;
done_testing();

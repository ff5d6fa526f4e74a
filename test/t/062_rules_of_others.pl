# Notification rules of one tenant and the commits of another: without a notifier, a transaction that held the feed back tells what others announced, and what
# it tells is bounded, however many rules there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $RULES = 20000;
my $BOUND = 5000;
my $node = new_store('rules_of_others', conf => "auren_events.notifier = off\n");
$node->safe_psql('postgres', qq{
	INSERT INTO auren.declared_notification_rules SELECT 'other', 'other_channel_' || to_char(i, 'FM00000'), '', '' FROM generate_series(1, $RULES) i;
	SELECT events.create_monthly_partitions(1);
	SET app.tenant_id = 'mine'; SELECT events.add_notification_rule('told', 'mine_channel')});

# A listener that sleeps in a transaction: nothing leaves the queue.
my $sleeper = $node->background_psql('postgres', on_error_stop => 1);
$sleeper->query('LISTEN mine_channel');
$sleeper->query('BEGIN');

sub queue_usage
{
	return $node->safe_psql('postgres', 'SELECT pg_notification_queue_usage()');
}

# What a commit adds to the queue, with a payload like that of the announcements.
my $before = queue_usage();
$node->safe_psql('postgres', qq{SELECT count(pg_notify('other_channel_' || to_char(i, 'FM00000'), '{"position": 1, "stream_id": null, "event_type": null}')) FROM generate_series(1, $BOUND) i});
my $of_bound = queue_usage() - $before;
cmp_ok($of_bound, '>', 0, 'notifications stay in the queue');

my $late = $node->background_psql('postgres', on_error_stop => 1);
$late->query(q{SET app.tenant_id = 'mine'});
$late->query('BEGIN');
$late->query(q{SELECT events.append_event('late:1', 'told', '1')});
$node->safe_psql('postgres', q{SET app.tenant_id = 'other'; SELECT events.append_event('early:1', 'told', '1')}) foreach 1 .. 3;
$before = queue_usage();
$late->query('COMMIT');
my $told = queue_usage() - $before;
cmp_ok($told, '>', $of_bound / 2, 'the commit that held the feed back tells many channels');
cmp_ok($told, '<=', $of_bound, 'and no more than the bound');
$late->quit;

# Its own channel among them; an append of a tenant with few rules tells that one alone.
my $heard = $sleeper->query('COMMIT') . $sleeper->query('SELECT 1');
like($heard, qr/Asynchronous notification "mine_channel" with payload "\{"position": 1, "stream_id": "late:1", "event_type": "told"\}"/, 'its own channel was told');
$sleeper->quit;

# Many savepoints: each tells its channel once, with the last position that stayed.
my $listener = $node->background_psql('postgres', on_error_stop => 1);
$listener->query('LISTEN mine_channel');
$node->safe_psql('postgres', q{
	SET app.tenant_id = 'mine';
	DO $$
	BEGIN
		FOR i IN 1 .. 3000 LOOP
			BEGIN
				PERFORM events.append_event('late:' || i % 50, 'told', to_jsonb(i));
				IF i % 3 = 0 THEN
					RAISE EXCEPTION 'taken back';
				END IF;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END LOOP;
	END $$});
my $last = $node->safe_psql('postgres', q{SELECT max(global_position) FROM events.event_store WHERE tenant_id = 'mine'});
my @heard = $listener->query('SELECT 1') =~ /"position": (\d+)/g;
is("@heard", $last, 'one notification, of the last event that stayed');
$listener->quit;

store_is_sound($node, 'postgres', 'after the notifications');

done_testing();

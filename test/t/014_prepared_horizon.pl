# Readers look for the feed's horizon while other sessions prepare transactions and end them. The server reuses the place of a prepared
# transaction in shared memory at each of these, so a reader that looks there without the server's lock crashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A reader without that lock met the crash within the first hundred.
my $prepares = 8000;

my $node = new_store('prepared_horizon', conf => "max_prepared_transactions = 10\nrestart_after_crash = off\n");
my $script = $node->basedir . '/prepare.sql';
append_to_file($script, q{BEGIN;
SELECT events.append_event('prepared:' || :client_id, 'e', '1');
PREPARE TRANSACTION 'p_:client_id';
ROLLBACK PREPARED 'p_:client_id';
BEGIN;
PREPARE TRANSACTION 'p_:client_id';
COMMIT PREPARED 'p_:client_id';
});
$node->safe_psql('postgres', q{SELECT events.append_event('first', 'e', '1')});
is($node->safe_psql('postgres', 'SELECT events.feed_horizon()'), 1, 'the horizon before');
$node->safe_psql('postgres', q{
	CREATE TABLE done (done bool);
	-- the horizons seen until the others have done their part
	CREATE PROCEDURE look() LANGUAGE plpgsql AS $$
	DECLARE looked bigint := 0;
	BEGIN
		WHILE NOT EXISTS (SELECT FROM done) LOOP
			IF EXISTS (SELECT FROM generate_series(1, 1000) g WHERE events.feed_horizon() < 1) THEN
				RAISE EXCEPTION 'the horizon went back below a final position';
			END IF;
			looked := looked + 1000;
			COMMIT;
		END LOOP;
		RAISE NOTICE 'looked %', looked;
	END $$;});
my @readers = map { start_psql($node, 'postgres', 'CALL look()') } 1 .. 2;
wait_until($node, 'postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE query = 'CALL look()'}, 'readers look');
my $each = $prepares / 4;
my ($out, $err) = run_command([ 'pgbench', '-n', '-c', '2', '-j', '2', '-t', $each, '-f', $script, $node->connstr('postgres') ]);
like($out, qr{transactions actually processed: \Q@{[ 2 * $each ]}/@{[ 2 * $each ]}\E}, "$prepares transactions were prepared and ended");
$node->safe_psql('postgres', 'INSERT INTO done VALUES (true)');
finish_psql($_) foreach @readers;
foreach my $reader (@readers)
{
	my ($looked) = $reader->{stderr} =~ /looked (\d+)/;
	cmp_ok($looked // 0, '>=', 1000, 'a reader looked all the while') or diag($reader->{stderr});
}
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM events.event_store)}), '0|1', 'the server stands; nothing is left');
is($node->safe_psql('postgres', q{SELECT events.append_event('last', 'e', '1') IS NOT NULL}), 't', 'it takes an append');
is($node->safe_psql('postgres', q{SELECT events.feed_horizon() = (SELECT max(global_position) FROM events.event_store)}), 't', 'and the horizon goes on');
store_is_sound($node, 'postgres', 'after the prepared transactions');
$node->stop;

done_testing();

# Long calls are shown in events.progress while they are at work, end at once when they are cancelled, leave nothing of it, and tell their client.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# what an answer may take, a loaded machine included
my $limit = 3;

my $keys = PostgreSQL::Test::Utils::tempdir() . '/master_keys';
append_to_file($keys, 'first ' . '1' x 64 . "\n");
chmod 0600, $keys;
my $node = new_bounded_store('progress', conf => "max_locks_per_transaction = 1000\nmax_prepared_transactions = 2\nauren_events.master_key_file = '$keys'\n");

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# Waits until a session of this name is seen at a work; nothing where it ended before.
sub seen
{
	my ($session, $what, $phase, $more) = @_;
	foreach my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $row = sql("SELECT p.pid, p.done, p.total FROM events.progress p JOIN pg_stat_activity a USING (pid)
			WHERE a.application_name = 'long' AND p.what = '$what' AND p.phase = '$phase' AND $more");
		return split(/\|/, $row, -1) if $row ne '';
		$session->{handle}->pump_nb;
		return if !$session->{handle}->pumpable;
		usleep(2_000);
	}
	die "$what was never seen: " . sql('TABLE events.progress');
}

# Cancels a call where it is at work; a fast machine may have ended it before, so it is tried again. Gives how often it had ended.
sub cancelled
{
	my ($statement, $what, $phase, $more) = @_;
	$more //= 'p.done > 0';
	my $ended = 0;
	foreach my $attempt (1 .. 20)
	{
		my $session = start_psql($node, 'postgres', q{SET application_name = 'long'}, $statement);
		my ($pid, $done, $total) = seen($session, $what, $phase, $more);
		my $start = time;
		sql("SELECT pg_cancel_backend($pid)") if defined $pid;
		finish_psql($session);
		my $seconds = time - $start;
		if ($session->{rc} == 0)
		{
			$ended++;
			next;
		}
		die "$what never came to its work: $session->{stderr}" if !defined $pid;
		like($session->{stderr}, qr/ERROR:  57014: /, "$what, $phase: a cancel ends it");
		cmp_ok($seconds, '<', $limit, "$what, $phase: within $limit s");
		cmp_ok($done, '<', $total, "$what, $phase: before it was done") if $total ne '' && $total > 0;
		note(sprintf('%s, %s: %s of %s were done, answered in %.3f s', $what, $phase, $done, $total eq '' ? 'nobody knows how many' : $total, $seconds));
		is(sql("SELECT count(*) FROM events.progress"), 0, "$what, $phase: it is shown no more");
		return $ended;
	}
	die "$what always ended before it was cancelled";
}

# Where a call waits for a lock that another session holds it is seen for sure.
my $holder = $node->background_psql('postgres', on_error_stop => 1);

sub cancelled_at_lock
{
	my ($lock, @rest) = @_;
	$holder->query_safe("BEGIN; $lock");
	is(cancelled(@rest), 0, "$rest[1], $rest[2]: it waits for another");
	$holder->query_safe('ROLLBACK');
	return;
}

# ---- batches, tags, snapshots, months -------------------------------------------------------------------------------------
my $batch = q{array_fill('batch:1'::text, '{200000}'), array_fill('made'::text, '{200000}'), ARRAY(SELECT jsonb_build_object('n', n) FROM generate_series(1, 200000) n)};
my $ended = cancelled("SELECT count(*) FROM events.append_events($batch)", 'append', 'writing');
is(sql(q{SELECT count(*) FROM events.event_store}), 200000 * $ended, 'a batch that was cancelled wrote nothing');
cancelled(qq{SELECT count(*) FROM events.import_events($batch, ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 200000)), array_fill('2021-01-01'::timestamptz, '{200000}'))},
	'append', 'writing');
sql(q{DO $$ BEGIN FOR i IN 1 .. 4 LOOP PERFORM count(*) FROM events.append_events(array_fill('tagged:' || i, '{50000}'), array_fill('tagged'::text, '{50000}'),
	ARRAY(SELECT jsonb_build_object('n', n) FROM generate_series(1, 50000) n)); END LOOP; END $$});
sql(q{SELECT events.add_tag_rule('tagged', '/n', 'n')});
is(cancelled('SELECT events.fill_tag_rules(1000000)', 'fill tag rules', 'filling'), 0, 'rules are filled once');
is(sql(q{SELECT bool_or(complete) FROM events.tag_rules}), 'f', 'the rule is not filled');
is(sql(q{SELECT count(*) FROM auren.event_tags}), 0, 'and no tag was left');
sql(q{INSERT INTO auren.stream_snapshots SELECT 'default', 's:' || n, 1, now(), gen_random_uuid(), now(), '{}' FROM generate_series(1, 500000) n});
cancelled('SELECT events.drop_snapshots()', 'drop snapshots', 'deleting');
cancelled(q{SELECT events.create_monthly_partitions(120)}, 'make months', 'making');
is(sql(q{SELECT count(*) < 10 FROM events.months}), 't', 'no month was left');

# ---- metrics ----------------------------------------------------------------------------------------------------------------
sql(q{CREATE TABLE readings AS SELECT 'u' || n % 100 AS u, 'watch' AS d, 'pulse' AS m, n::float8 AS v, timestamptz '2024-01-01' + n / 100 * interval '5 minutes' AS t
	FROM generate_series(1, 600000) n});
sql('ANALYZE readings');
sql(q{SELECT analytics.attach_source('readings', 'u', 'd', 'm', 'v', 't')});
cancelled('SELECT analytics.refresh_user_metrics()', 'refresh', 'counting readings');
sql('SELECT analytics.refresh_user_metrics()');
sql(q{ANALYZE auren.rollup_5min});
is(sql(q{SELECT sum(reading_count) FROM analytics.user_metrics_daily}), 600000, 'a refresh counts them after another was cancelled');
cancelled(q{SELECT analytics.set_time_zone('Europe/Berlin')}, 'set time zone', 'counting days and hours');
sql(q{UPDATE readings SET v = v + 1});
cancelled('SELECT analytics.refresh_user_metrics()', 'refresh', 'merging changes', 'true');
cancelled('SELECT analytics.refresh_user_metrics()', 'refresh', 'merging changes');
sql('SELECT analytics.refresh_user_metrics()');
is(sql(q{SELECT sum(reading_count) || '|' || sum(sum_value) FROM analytics.user_metrics_daily}), '600000|' . (600000 * 600001 / 2 + 600000), 'and nothing is counted twice');
cancelled('TRUNCATE readings', 'record readings', 'reading the table');
is(sql('SELECT count(*) FROM readings'), 600000, 'nothing was truncated');
sql(q{SELECT analytics.rebuild_source(2)});
cancelled_at_lock('LOCK TABLE auren.rollup_hourly IN SHARE MODE', 'SELECT analytics.refresh_user_metrics()', 'refresh', 'deleting metrics', 'true');
sql(q{SELECT analytics.set_retention(l, '1 day') FROM unnest('{5min,hourly,daily}'::text[]) l});
cancelled_at_lock('LOCK TABLE auren.rollup_daily IN SHARE MODE', 'SELECT analytics.apply_retention()', 'metric retention', 'deleting buckets');

# ---- people -------------------------------------------------------------------------------------------------------------------
sql(q{SELECT count(encrypted.encrypt_phi_field('v', 'u' || n)) FROM generate_series(1, 10000) n});
append_to_file($keys, 'second ' . '2' x 64 . "\n");
$node->reload;
cancelled('SELECT encrypted.rotate_master_key()', 'rotate master key', 'wrapping keys');
is(sql(q{SELECT count(*) FROM auren.data_keys WHERE master_key_id <> 'first'}), 0, 'no key was wrapped anew');
sql(q{INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp") SELECT 'u1', 'watch', 'pulse', n, timestamptz '2024-01-01' + n * interval '1 minute' FROM generate_series(1, 1000) n});
my $forget = q{SELECT encrypted.forget_user('u1', 'asked for', p_readings => true)};
cancelled_at_lock('SELECT count(*) FROM (SELECT FROM biometric.biometric_events FOR UPDATE) r', $forget, 'forget user', 'deleting readings', 'true');
cancelled_at_lock('LOCK TABLE auren.rollup_5min IN SHARE MODE', $forget, 'forget user', 'merging changes', 'true');
is(sql(q{SELECT count(*) FROM biometric.biometric_events}), 1000, 'nobody was forgotten');

# ---- what is left of a call that failed and was caught -----------------------------------------------------------------------------
is($node->safe_psql('postgres', q{
	CREATE FUNCTION fails() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'failed'; END $$;
	CREATE VIEW failing AS SELECT gen_random_uuid() AS event_id, 'failing:1'::text AS stream_id, 1 AS stream_version, 'e'::text AS event_type, fails() AS event_data, now() AS created_at;
	BEGIN;
	DO $$ BEGIN PERFORM * FROM events.rehearse_import('failing'); EXCEPTION WHEN raise_exception THEN NULL; END $$;
	SELECT what, phase FROM events.progress;
	PREPARE TRANSACTION 'left'}), 'import|checking', 'it is shown until its transaction ends');
is(sql('TABLE events.progress'), '', 'a prepared transaction is at no work');
sql(q{ROLLBACK PREPARED 'left'});

# ---- what a DBA added ---------------------------------------------------------------------------------------------------------
sql(q{INSERT INTO auren.kept_objects (relation, kind, name, definition) VALUES ('events.event_store', 'statistics', 'slow', 'SELECT pg_sleep(600)')});
is(cancelled('SELECT * FROM events.restore_objects()', 'restore objects', 'making', 'true'), 0, 'an object is being made');
sql(q{DELETE FROM auren.kept_objects WHERE name = 'slow'});

# ---- what the client is told ----------------------------------------------------------------------------------------------------
$holder->query_safe('BEGIN; LOCK TABLE auren.rollup_daily IN SHARE MODE');
my $told = start_psql($node, 'postgres', q{SET application_name = 'long'}, q{SET auren_events.progress_notices = 0}, 'SELECT analytics.apply_retention()');
wait_for('the client is told', sub { $told->{handle}->pump_nb; return $told->{stderr} =~ /NOTICE: .*metric retention: deleting buckets, 1 of 3 levels \(33 %\)/; });
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'long' AND state = 'active'}), 1, 'while the call is at work');
$holder->query_safe('ROLLBACK');
finish_psql($told);
is($told->{rc}, 0, 'which goes on and ends');
$holder->quit;

store_is_sound($node, 'postgres', 'after all that was cancelled');
$node->stop;
done_testing();

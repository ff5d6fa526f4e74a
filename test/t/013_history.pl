# Histories of concurrent transactions that append and read, checked for anomalies; and the checker is shown to find each.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use History;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What is planted is found, and a sound history is not blamed.

sub t { my ($name, $committed, $appends, $reads) = @_; return { name => $name, committed => $committed, appends => $appends // [], reads => $reads // [] }; }
my @planted = (
	[ 'a sound history', '', [ t('T1', 1, [ [ 'x', 'a' ], [ 'x', 'b' ] ]), t('T2', 1, [ [ 'x', 'c' ] ], [ [ 'x', [ 'a', 'b' ] ] ]), t('T3', 0, [ [ 'x', 'd' ] ]) ], { x => [ 'a', 'b', 'c' ] } ],
	[ 'G0', 'G0', [ t('T1', 1, [ [ 'x', 'a' ], [ 'y', 'b' ] ]), t('T2', 1, [ [ 'x', 'c' ], [ 'y', 'd' ] ]) ], { x => [ 'a', 'c' ], y => [ 'd', 'b' ] } ],
	[ 'G1a', 'G1a', [ t('T1', 0, [ [ 'x', 'a' ] ]), t('T2', 1, [], [ [ 'x', ['a'] ] ]) ], { x => [] } ],
	[ 'G1b', 'G1b', [ t('T1', 1, [ [ 'x', 'a' ], [ 'x', 'b' ] ]), t('T2', 1, [], [ [ 'x', ['a'] ] ]) ], { x => [ 'a', 'b' ] } ],
	[ 'G1c', 'G1c', [ t('T1', 1, [ [ 'x', 'a' ] ], [ [ 'y', ['b'] ] ]), t('T2', 1, [ [ 'y', 'b' ] ], [ [ 'x', ['a'] ] ]) ], { x => ['a'], y => ['b'] } ],
	[ 'a lost acknowledgement', 'lost', [ t('T1', 1, [ [ 'x', 'a' ] ]) ], { x => [] } ],
	[ 'a duplicate', 'duplicate', [ t('T1', 1, [ [ 'x', 'a' ] ]) ], { x => [ 'a', 'a' ] } ],
	[ 'a write that was rolled back', 'aborted write', [ t('T1', 0, [ [ 'x', 'a' ] ]) ], { x => ['a'] } ],
	[ 'reads that do not agree', 'incompatible order', [ t('T1', 1, [ [ 'x', 'a' ] ]), t('T2', 1, [ [ 'x', 'b' ] ]), t('T3', 1, [], [ [ 'x', [ 'b', 'a' ] ] ]) ], { x => [ 'a', 'b' ] } ]);
foreach my $case (@planted)
{
	my ($what, $expected, $transactions, $final) = @$case;
	my @found = anomalies($transactions, $final);
	if ($expected eq '') { is_deeply(\@found, [], $what); next; }
	ok(scalar(grep { /^\Q$expected\E:/ } @found), "planted and found: $what") or diag(join("\n", @found));
}

# Sessions that take turns at random: a transaction is a few appends and reads, then a commit or a rollback. A lock that is not
# free in time ends it.

srand(4711);
my $node = new_store('history', conf => "max_connections = 30\n");
foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	my $prefix = { 'READ COMMITTED' => 'rc', 'REPEATABLE READ' => 'rr', 'SERIALIZABLE' => 'ser' }->{$level};
	my (@transactions, @sessions);
	foreach my $i (1 .. 5)
	{
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		$session->query("SET lock_timeout = '30ms'; SET default_transaction_isolation = '" . lc($level) . "'");
		push @sessions, { psql => $session, doing => undef };
	}
	my $event = 0;
	my $end = sub {
		my ($session, $how) = @_;
		my $transaction = $session->{doing};
		my $said = $session->{psql}->query($how);
		$transaction->{committed} = $how eq 'COMMIT' && $session->{psql}->{stderr} !~ /ERROR/ && $said !~ /ROLLBACK/ ? 1 : 0;
		$session->{psql}->{stderr} = '';
		$session->{doing} = undef;
	};
	foreach my $step (1 .. 500)
	{
		my $session = $sessions[ int(rand(@sessions)) ];
		if (!$session->{doing})
		{
			$session->{doing} = t("T$step", undef);
			push @transactions, $session->{doing};
			$session->{psql}->query('BEGIN');
		}
		my $stream = "$prefix:" . int(rand(3));
		my $what = rand();
		if ($what < 0.45)
		{
			my $name = "$prefix" . ++$event;
			my $said = $session->{psql}->query("SELECT 'done' FROM events.append_event('$stream', '$name', '{}')");
			push @{ $session->{doing}{appends} }, [ $stream, $name ];
			$end->($session, 'ROLLBACK') if $said !~ /done/;
		}
		elsif ($what < 0.8)
		{
			my $said = $session->{psql}->query("SELECT 'list ' || coalesce(string_agg(event_type, ' ' ORDER BY stream_version), '') FROM events.replay_stream('$stream')");
			if ($said =~ /^list ?(.*)$/m) { push @{ $session->{doing}{reads} }, [ $stream, [ split / /, $1 ] ]; }
			else { $end->($session, 'ROLLBACK'); }
		}
		else { $end->($session, $what < 0.95 ? 'COMMIT' : 'ROLLBACK'); }
	}
	foreach my $session (@sessions)
	{
		$end->($session, 'COMMIT') if $session->{doing};
		$session->{psql}->quit;
	}
	my %final;
	foreach my $line (split /\n/, $node->safe_psql('postgres', "SELECT stream_id || ' ' || event_type FROM events.event_store WHERE stream_id LIKE '$prefix:%' ORDER BY stream_id, stream_version"))
	{
		my ($stream, $name) = split / /, $line;
		push @{ $final{$stream} }, $name;
	}
	cmp_ok(scalar(grep { $_->{committed} && @{ $_->{appends} } } @transactions), '>', 10, "$level: transactions were committed");
	is_deeply([ anomalies(\@transactions, \%final) ], [], "$level: no anomaly");
}
store_is_sound($node, 'postgres', 'histories');

$node->stop;
done_testing();

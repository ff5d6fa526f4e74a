# The claims of README.md through Perl's DBD::Pg.

use strict;
use warnings;
use utf8;

use DBI;
use JSON::PP qw(decode_json);

my $label = $ENV{DRIVERS_LABEL};

# shown in doc/drivers.md: begin
# Gives the event's id. Where RaiseError dies, $db->state is the SQLSTATE, and $db->pg_error_field('detail') and ('hint') tell more.
sub append
{
	my ($db, $stream, $type, $data, $expected) = @_;
	return ($db->selectrow_array('SELECT events.append_event(?, ?, ?, p_expected_version := ?)', undef, $stream, $type, $data, $expected))[0];
}

# Within a transaction.
sub replay
{
	my ($db, $stream, $apply) = @_;
	$db->do('DECLARE replay NO SCROLL CURSOR FOR SELECT stream_version, event_data FROM events.replay_stream(?)', undef, $stream);
	while (my @rows = @{ $db->selectall_arrayref('FETCH 100 FROM replay') }) {
		$apply->(@$_) for @rows;
	}
	$db->do('CLOSE replay');
}

# After LISTEN mode_switch: waits for what is told.
sub next_told
{
	my ($db) = @_;
	while (1) {
		my $told = $db->pg_notifies;
		return decode_json($told->[2]) if $told;
		vec(my $socket = '', $db->{pg_socket}, 1) = 1;
		select($socket, undef, undef, undef);
	}
}

# One round: gives how many events were handled. Call it again at once if some were, else after a while.
sub work
{
	my ($db, $subscription, $worker, $handle) = @_;
	$db->begin_work;
	my $events = $db->selectall_arrayref('SELECT global_position, event_data FROM events.fetch(?, ?)', undef, $subscription, $worker);
	my $handled = eval {
		$handle->($_->[1]) for @$events;
		$db->do('SELECT events.acknowledge(?, ?, ?)', undef, $subscription, $worker, $events->[-1][0]) if @$events;
		1;
	};
	if (!$handled) { my $error = $@; $db->rollback; die $error }
	$db->commit;
	return scalar @$events;
}
# shown in doc/drivers.md: end

sub same
{
	my ($got, $wanted) = @_;
	my $encoder = JSON::PP->new->canonical->allow_nonref;
	my ($left, $right) = map { $encoder->encode($_) } $got, $wanted;
	die "got $left, wanted $right\n" if $left ne $right;
}

sub fails
{
	my ($db, $state, $detail, $hint, $call) = @_;
	die "nothing was raised, wanted $state\n" if eval { $call->(); 1 };
	same([ $db->state, $db->pg_error_field('detail'), $db->pg_error_field('hint') ], [ $state, $detail, $hint ]);
}

sub within
{
	my ($db, $steps) = @_;
	$db->begin_work;
	$steps->();
	$db->commit;
}

sub everything
{
	my ($db, $stream) = @_;
	my @events;
	my $outside = $db->{AutoCommit};
	$db->begin_work if $outside;
	replay($db, $stream, sub { push @events, "$_[0] $_[1]" });
	$db->commit if $outside;
	return \@events;
}

sub worked
{
	my ($db, $worker, $count) = @_;
	my @handled;
	while (@handled < $count) {
		select(undef, undef, undef, 0.02) if !work($db, $label, $worker, sub { push @handled, $_[0] });
	}
	return \@handled;
}

my @no_name = ('22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.');

my @claims = (
	'an append returns the id of its event' => sub {
		my ($db) = @_;
		same(length(append($db, "$label:a", 'vitals_recorded', '{"n": 1}')), 36);
		append($db, "$label:a", 'vitals_recorded', '{"n": 2}', 1);
		append($db, "$label:a", 'vitals_recorded', '{"n": 3}', -1);
	},
	'a stream is replayed in order' => sub {
		my ($db) = @_;
		same(everything($db, "$label:a"), [ '1 {"n": 1}', '2 {"n": 2}', '3 {"n": 3}' ]);
		same(everything($db, "$label:nothing"), []);
	},
	'the state of a stream is read' => sub {
		my ($db) = @_;
		same($db->selectrow_arrayref('SELECT events.get_stream_state(?)', undef, "$label:a"), ['{"vitals_recorded": {"n": 3}}']);
	},
	'the data of a webhook is appended' => sub {
		my ($db) = @_;
		$db->do("SELECT events.append_event('hook:' || ?, 'biometric_received', ?::jsonb, 'webhook_processor')", undef, $label, '{"heart_rate": 72}');
		same(everything($db, "hook:$label"), ['1 {"heart_rate": 72}']);
	},
	'one statement appends many times' => sub {
		my ($db) = @_;
		within($db, sub {
			my $statement = $db->prepare('SELECT events.append_event(?, ?, ?)');
			$statement->execute("$label:many", 'vitals_recorded', qq({"n": $_})) for 0 .. 19;
			$statement->finish;
		});
		same(everything($db, "$label:many"), [ map { $_ + 1 . qq( {"n": $_}) } 0 .. 19 ]);
	},
	'a stale version is ZE001, with DETAIL and HINT' => sub {
		my ($db) = @_;
		fails($db, 'ZE001', 'Expected version 1, actual version 3.', 'Read the stream again, decide again, and append with the version read.',
			sub { append($db, "$label:a", 'vitals_recorded', '{}', 1) });
	},
	'an id with other content is ZE002, with DETAIL and HINT' => sub {
		my ($db) = @_;
		my $used = append($db, "$label:id", 'vitals_recorded', '{"n": 1}');
		fails($db, 'ZE002', 'An event with this id exists; its stream, type, data, metadata, tags or created_by differs.',
			'Give a new event a new id; repeat an append with exactly what it was called with first.',
			sub { $db->do("SELECT events.append_event(?, 'vitals_recorded', '{}', p_event_id := ?)", undef, "$label:id", $used) });
	},
	'an empty name is 22023, with DETAIL and HINT' => sub {
		my ($db) = @_;
		fails($db, @no_name, sub { append($db, "$label:a", '', '{}') });
	},
	'a batch is there as a whole' => sub {
		my ($db) = @_;
		my @streams = ("$label:b1", "$label:b2", "$label:b1");
		my @data = ('{"n": 1}', '{"n": 2}', '{"n": "\"é\\\\"}');
		same($db->selectcol_arrayref(q(SELECT stream_id || ' ' || stream_version FROM events.append_events(?, ?, ?)), undef,
				\@streams, [ ('reading_taken') x 3 ], \@data),
			[ "$label:b1 1", "$label:b2 1", "$label:b1 2" ]);
		same(everything($db, "$label:b1"), [ "1 $data[0]", "2 $data[2]" ]);
	},
	'a transaction that fails leaves nothing' => sub {
		my ($db) = @_;
		$db->begin_work;
		append($db, "$label:undone", 'reading_taken', '{}');
		fails($db, @no_name, sub { append($db, "$label:undone", '', '{}') });
		$db->rollback;
		same(everything($db, "$label:undone"), []);
	},
	'a cursor gives a stream in pieces' => sub {
		my ($db) = @_;
		my @sizes;
		within($db, sub {
			$db->do('DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream(?)', undef, "$label:many");
			@sizes = map { scalar @{ $db->selectall_arrayref('FETCH 8 FROM pieces') } } 1 .. 4;
		});
		same(\@sizes, [ 8, 8, 4, 0 ]);
	},
	'a listener is told of a mode switch' => sub {
		my ($db) = @_;
		my $listening = DBI->connect("dbi:Pg:port=$ENV{DRIVERS_LISTEN_PORT}", undef, undef, { RaiseError => 1, PrintError => 0 });
		$listening->do('LISTEN mode_switch');
		$db->do("INSERT INTO mode_history VALUES (?, 'baseline', 'recovery', 0.87)", undef, $label);
		my $told = next_told($listening);
		delete $told->{timestamp};
		same({ %$told, confidence => "$told->{confidence}" }, { user_id => $label, from_mode => 'baseline', to_mode => 'recovery', confidence => '0.87' });
		$listening->disconnect;
	},
	'a tenant named by SET LOCAL ends with its transaction' => sub {
		my ($db) = @_;
		within($db, sub {
			$db->do("SET LOCAL app.tenant_id = 'acme'");
			append($db, "$label:a", 'seen', '{}');
			same(everything($db, "$label:a"), ['1 {}']);
		});
		same(scalar @{ everything($db, "$label:a") }, 3);
	},
	'a worker is given each event once' => sub {
		my ($db) = @_;
		append($db, "$label:work", 'task_given', qq({"n": $_})) for 1 .. 3;
		same(worked($db, 'one', 3), [ map { qq({"n": $_}) } 1 .. 3 ]);
		same(work($db, $label, 'one', sub { die "$_[0] came once more\n" }), 0);
	},
	'a second worker takes over when the first is gone' => sub {
		my ($db) = @_;
		append($db, "$label:work", 'task_given', qq({"n": $_})) for 4, 5;
		my $positions = [];
		$positions = $db->selectcol_arrayref("SELECT global_position FROM events.fetch(?, 'one')", undef, $label) while @$positions < 2;
		same(worked($db, 'two', 2), [ '{"n": 4}', '{"n": 5}' ]);
		fails($db, 'ZE005', 'It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.',
			'Fetch again, and take what comes as not done before.',
			sub { $db->do("SELECT events.acknowledge(?, 'one', ?)", undef, $label, $positions->[1]) });
	});

binmode STDOUT, ':encoding(UTF-8)';
$| = 1;
# Behind a pooler in transaction mode a statement that was prepared may be on another connection of the server.
my %options = $ENV{DRIVERS_WAY} eq 'transaction' ? (pg_server_prepare => 0) : ();
my $db = DBI->connect('dbi:Pg:', undef, undef, { RaiseError => 1, PrintError => 0, AutoCommit => 1, %options });
while (my ($name, $claim) = splice @claims, 0, 2) {
	if (eval { $claim->($db); 1 }) {
		print "ok - $name\n";
	} else {
		print "not ok - $name\n", map { "# $_\n" } split /\n/, $@;
		$db->rollback unless $db->{AutoCommit};
	}
}
$db->disconnect;

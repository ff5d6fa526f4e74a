# A checker of recorded histories after the manner of list-append checkers (Kingsbury, Alvaro: Elle, VLDB 2020): a stream is a
# list, an event an element that is appended once. Since the final lists are known, so is the order of the writes, and what
# a read saw says which writes it follows.

package History;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(anomalies);

# A transaction: { name, committed (1, 0, undef: unknown), appends => [ [ stream, event ], ... ], reads => [ [ stream, [ event, ... ] ], ... ] },
# in the order in which it did them. $final: { stream => [ event, ... ] }. Gives what is wrong, as texts that begin with the anomaly's name.
sub anomalies
{
	my ($transactions, $final) = @_;
	my (@wrong, %writer, %place);
	foreach my $transaction (@$transactions)
	{
		$writer{ $_->[1] } = $transaction foreach @{ $transaction->{appends} };
	}
	foreach my $stream (sort keys %$final)
	{
		my $n = 0;
		foreach my $event (@{ $final->{$stream} })
		{
			push @wrong, "duplicate: $event is twice in $stream" if defined $place{$event};
			$place{$event} = [ $stream, $n++ ];
			my $writer = $writer{$event};
			push @wrong, "phantom: $event of $stream was appended by nobody" if !$writer;
			push @wrong, "aborted write: $event of $stream is of $writer->{name}, which was rolled back" if $writer && defined $writer->{committed} && !$writer->{committed};
		}
	}
	foreach my $transaction (grep { $_->{committed} } @$transactions)
	{
		foreach my $append (@{ $transaction->{appends} })
		{
			push @wrong, "lost: $append->[1] of $transaction->{name}, which was acknowledged, is not in $append->[0]" if !defined $place{ $append->[1] };
		}
	}

	# What reads saw.
	my %edges; # writer before whom
	my $edge = sub { my ($from, $to) = @_; $edges{ $from->{name} }{ $to->{name} } = 1 if $from != $to; };
	foreach my $reader (grep { !defined $_->{committed} || $_->{committed} } @$transactions)
	{
		foreach my $read (@{ $reader->{reads} })
		{
			my ($stream, $seen) = @$read;
			my %seen = map { $_ => 1 } @$seen;
			foreach my $i (0 .. $#$seen)
			{
				my $event = $seen->[$i];
				my $writer = $writer{$event};
				if (!$writer || (defined $writer->{committed} && !$writer->{committed}))
				{
					push @wrong, "G1a: $reader->{name} read $event of $stream, which was rolled back";
					next;
				}
				push @wrong, "incompatible order: $reader->{name} read $event at $i of $stream"
				  if !defined $place{$event} || $place{$event}[0] ne $stream || $place{$event}[1] != $i;
				$edge->($writer, $reader);
				next if $writer == $reader;
				foreach my $other (@{ $writer->{appends} })
				{
					push @wrong, "G1b: $reader->{name} read $event of $writer->{name} without $other->[1]" if $other->[0] eq $stream && !$seen{ $other->[1] };
				}
			}
		}
	}

	# The order of the writes.
	my %writes;
	foreach my $stream (keys %$final)
	{
		my @writers = grep { defined } map { $writer{$_} } @{ $final->{$stream} };
		foreach my $i (1 .. $#writers)
		{
			next if $writers[ $i - 1 ] == $writers[$i];
			$writes{ $writers[ $i - 1 ]{name} }{ $writers[$i]{name} } = 1;
			$edges{ $writers[ $i - 1 ]{name} }{ $writers[$i]{name} } = 1;
		}
	}
	my $cycle = cycle_of(\%writes);
	push @wrong, "G0: the writes of $cycle follow each other in a circle" if $cycle;
	$cycle ||= cycle_of(\%edges);
	push @wrong, "G1c: $cycle follow each other in a circle of writes and reads" if $cycle && $wrong[-1] !~ /^G0/;
	return @wrong;
}

# A circle in a graph, as names; nothing when there is none.
sub cycle_of
{
	my ($graph) = @_;
	my %state; # 1: on the way, 2: done
	foreach my $start (sort keys %$graph)
	{
		next if $state{$start};
		my @path = ([ $start, [ sort keys %{ $graph->{$start} } ] ]);
		$state{$start} = 1;
		while (@path)
		{
			my $next = shift @{ $path[-1][1] };
			if (!defined $next)
			{
				$state{ (pop @path)->[0] } = 2;
				next;
			}
			return join(' ', map { $_->[0] } @path) . " $next" if ($state{$next} // 0) == 1;
			next if $state{$next};
			$state{$next} = 1;
			push @path, [ $next, [ sort keys %{ $graph->{$next} // {} } ] ];
		}
	}
	return;
}

1;

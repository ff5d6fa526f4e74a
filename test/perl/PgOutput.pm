# Reads what the output plugin pgoutput says, protocol version 1: the messages of pg_logical_slot_get_binary_changes as changes with their columns.

package PgOutput;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(pgoutput_changes);

# pgoutput_changes HEX...: the changes of messages in hexadecimal, each { op, table, after => { column => text or undef }, at }. op is one of begin,
# commit, insert, update, delete, truncate.
sub pgoutput_changes
{
	my %relations;
	return map { change(\%relations, pack('H*', $_)) } @_;
}

sub change
{
	my ($relations, $message) = @_;
	my $kind = substr($message, 0, 1, '');
	return { op => 'begin', xid => unpack('x16 N', $message) } if $kind eq 'B';
	return { op => 'commit' } if $kind eq 'C';
	return truncated($relations, $message) if $kind eq 'T';
	if ($kind eq 'R')
	{
		my ($oid, $schema, $name, $identity, $columns) = unpack('N Z* Z* a n', $message);
		my @names = unpack("N Z* Z* a n (x Z* x4 x4)$columns", $message);
		$relations->{$oid} = { table => "$schema.$name", identity => $identity, columns => [ @names[ 5 .. $#names ] ] };
		return;
	}
	return () if $kind =~ /^[OYM]$/;    # an origin, a type, a message of somebody else
	my %ops = (I => 'insert', U => 'update', D => 'delete');
	my $op = $ops{$kind} or die "there is no message of kind $kind";
	my $relation = $relations->{ unpack('N', substr($message, 0, 4, '')) } or die 'a change of a table that was not described';
	my %change = (op => $op, table => $relation->{table}, identity => $relation->{identity});
	while ($message ne '')
	{
		my $part = substr($message, 0, 1, '');
		$change{ $part eq 'N' ? 'after' : 'before' } = row($relation->{columns}, \$message);
	}
	return \%change;
}

sub truncated
{
	my ($relations, $message) = @_;
	my ($count) = unpack('N', $message);
	my @oids = unpack("x5 N$count", $message);
	return { op => 'truncate', table => join(',', map { $relations->{$_}{table} } @oids) };
}

# Takes a row off a message.
sub row
{
	my ($names, $message) = @_;
	my $count = unpack('n', substr($$message, 0, 2, ''));
	my %row;
	foreach my $name (@{$names}[ 0 .. $count - 1 ])
	{
		my $kind = substr($$message, 0, 1, '');
		die "column $name was not sent" if $kind eq 'u';
		$row{$name} = undef;
		next if $kind eq 'n';
		my $length = unpack('N', substr($$message, 0, 4, ''));
		$row{$name} = substr($$message, 0, $length, '');
	}
	return \%row;
}

1;

# What Debezium's outbox event router makes of a change, by the rules of its documentation: which topic, key, headers and value the message has. Debezium
# itself is not run. It takes the options that a connector is configured with, as lines of Java properties.

package OutboxRouter;

use strict;
use warnings;

my %DEFAULTS = (
	'table.field.event.id' => 'id',
	'table.field.event.key' => 'aggregateid',
	'table.field.event.payload' => 'payload',
	'table.field.event.timestamp' => undef,
	'table.fields.additional.placement' => '',
	'table.op.invalid.behavior' => 'warn',
	'route.by.field' => 'aggregatetype',
	'route.topic.regex' => '(?<routedByValue>.*)',
	'route.topic.replacement' => 'outbox.event.${routedByValue}',
);

# Options that say how a value is written, not what it is.
my %WRITTEN = map { $_ => 1 } qw(table.expand.json.payload);

sub new
{
	my ($class, $properties) = @_;
	my %options = %DEFAULTS;
	foreach my $line (split /\n/, $properties)
	{
		next if $line !~ /^transforms\.outbox\.(?!type=)([a-z.]+)=(.*)$/;
		die "the router has no option $1\n" if !exists $DEFAULTS{$1} && !$WRITTEN{$1};
		$options{$1} = $2;
	}
	# a column of the type timestamptz reaches the router as a text, and it fails where it wants a number
	die "created_at cannot be the timestamp\n" if defined $options{'table.field.event.timestamp'};
	return bless \%options, $class;
}

# The message of a change { op, after }, nothing where the router drops it.
sub route
{
	my ($self, $change) = @_;
	return if $change->{op} eq 'delete';
	die "update of an outbox\n" if $change->{op} eq 'update' && $self->{'table.op.invalid.behavior'} eq 'fatal';
	return if $change->{op} ne 'insert';
	my %headers = (id => $self->field($change, $self->{'table.field.event.id'}));
	foreach my $placement (split /,/, $self->{'table.fields.additional.placement'})
	{
		my ($column, $place, $alias) = split /:/, $placement;
		die "$placement: an envelope is not what this page makes\n" if $place ne 'header';
		$headers{ $alias // $column } = $self->field($change, $column);
	}
	return {
		topic => $self->topic($self->field($change, $self->{'route.by.field'})),
		key => $self->field($change, $self->{'table.field.event.key'}),
		headers => \%headers,
		value => $self->field($change, $self->{'table.field.event.payload'}),
	};
}

sub field
{
	my ($self, $change, $column) = @_;
	die "there is no column $column\n" if !exists $change->{after}{$column};
	return $change->{after}{$column};
}

# A value that the expression does not match as a whole is the topic itself.
sub topic
{
	my ($self, $value) = @_;
	return $value if $value !~ /\A(?:$self->{'route.topic.regex'})\z/;
	my %groups = %+;
	return $self->{'route.topic.replacement'} =~ s/\$\{(\w+)\}/$groups{$1}/gr;
}

1;

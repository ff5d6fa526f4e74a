# Change data capture: what logical decoding says of events, through pgoutput and wal2json, while months come and go; what an outbox router makes of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use EventStore;
use JSON::PP;
use OutboxRouter;
use PgOutput;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $keys = "$folder/master_keys";
append_to_file($keys, 'first ' . '3f' x 32 . "\n");
chmod 0600, $keys;
my $node = new_store('cdc', init => { allows_streaming => 'logical' },
	conf => "timezone = 'UTC'\nautovacuum = off\nmax_prepared_transactions = 2\nauren_events.notifier = off\nauren_events.master_key_file = '$keys'\n");
my ($library) = run_command([ 'pg_config', '--pkglibdir' ]);
my $has_wal2json = -e "$library/wal2json.so";
die "wal2json is not installed, and CI must have it\n" if $ENV{CI} && !$has_wal2json;
# a server that asks which output plugins may be used
if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'}))
{
	$node->append_conf('postgresql.conf', q{output_plugin_libraries = 'pgoutput, test_decoding, wal2json'});
	$node->reload;
	wait_for('the plugin may be used', sub { $node->safe_psql('postgres', 'SHOW output_plugin_libraries') =~ /wal2json/ });
}

sub sql { return $node->safe_psql('postgres', join(";\n", @_)) }
sub append { my ($stream, $data) = @_; return sql("SELECT events.append_event('$stream', 'noted', '$data')") }

# The changes since the last call, as each of three readers gets them.
my %publications = (by_root => 'events_out', by_month => 'months_out');
sub changes
{
	my ($slot) = @_;
	my @lines = split /\n/, sql("SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('$slot', NULL, NULL, 'proto_version', '1', 'publication_names', '$publications{$slot}')");
	return grep { $_->{op} !~ /begin|commit/ } pgoutput_changes(@lines);
}
sub json_changes
{
	my ($options) = @_;
	return () if !$has_wal2json;
	my $lines = sql("SELECT data FROM pg_logical_slot_get_changes('by_json', NULL, NULL, 'format-version', '2', 'include-transaction', 'false'" . ($options // q{, 'add-tables', 'events.*'}) . ')');
	return map { JSON::PP->new->decode($_) } split /\n/, $lines;
}
sub json_row { my ($change) = @_; return { map { $_->{name} => $_->{value} } @{ $change->{columns} } } }
sub tables { return join(' ', map { "$_->{op} $_->{table}" } @_) }
sub json_tables { return join(' ', map { "$_->{action} $_->{schema}.$_->{table}" } @_) }
sub drain { changes($_) for sort keys %publications; json_changes(); return }
sub payloads { return join(',', map { $_->{after}{event_data} } @_) }

# ---- what a change says ----------------------------------------------------------------------------------------------

$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
sql('SELECT events.create_monthly_partitions(0)',
	q{CREATE PUBLICATION events_out FOR TABLE events.event_store WITH (publish = 'insert', publish_via_partition_root = true)},
	q{CREATE PUBLICATION months_out FOR TABLE events.event_store},
	q{SELECT pg_create_logical_replication_slot('by_root', 'pgoutput'), pg_create_logical_replication_slot('by_month', 'pgoutput')});
sql(q{SELECT pg_create_logical_replication_slot('by_json', 'wal2json')}) if $has_wal2json;
my $month = 'events.event_store_' . sql(q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});

sql(q{SELECT events.append_event('order:1', 'placed', '{"total": 0.10, "digits": 12345678901234567890.5, "text": "\"\\\\ \u00e4"}', 'shop', '{"traceparent": "x"}', p_tags => '{room:1,"a b"}')});
sql(q{SELECT count(*) FROM events.append_events('{order:1,order:2}', '{paid,placed}', '{1,"null"}', p_event_ids => ARRAY[gen_random_uuid(), NULL])});
sql(q{BEGIN}, q{SELECT events.append_event('order:3', 'placed', '"taken back"')}, q{ROLLBACK});
sql(q{SET app.tenant_id = 'other'}, q{SELECT events.append_event('order:1', 'placed', '"of another tenant"')});
sql(q{SELECT events.append_event('order:4', 'placed', to_jsonb(string_agg(md5(n::text), ''))) FROM generate_series(1, 3000) n});
my @changes = changes('by_root');
is(tables(@changes), join(' ', ('insert events.event_store') x 5), 'each committed event is an insert into the table of events');
my $rows = sql(q{SELECT string_agg(to_jsonb(e)::text, E'\n' ORDER BY global_position) FROM (SELECT event_id::text, stream_id, stream_version::text, event_type, event_data::text, metadata::text,
	created_at::text, created_by, tenant_id, global_position::text, tags::text FROM events.event_store) e});
my $json = JSON::PP->new->canonical;
is(join("\n", map { $json->encode($_->{after}) } @changes), join("\n", map { $json->encode($json->decode($_)) } split /\n/, $rows), 'with every column as the table has it');
is(tables(changes('by_month')), join(' ', ("insert $month") x 5), 'without publish_via_partition_root the table is the month');

SKIP:
{
	skip 'wal2json is not installed for this PostgreSQL', 3 if !$has_wal2json;
	my @lines = json_changes();
	is(json_tables(@lines), join(' ', ("I $month") x 5), 'wal2json names the month, too');
	my ($first) = map { json_row($_) } @lines;
	is($first->{event_data}, '{"text": "\\"\\\\ ä", "total": 0.10, "digits": 12345678901234567890.5}', 'its JSON is a text with every digit');
	is("$first->{stream_version} $first->{global_position} $first->{tags}", '1 1 {"a b",room:1}', 'numbers are numbers, tags an array as PostgreSQL writes it');
}

# ---- the order is that of commits -------------------------------------------------------------------------------------

sql(q{BEGIN}, q{SELECT events.append_event('order:5', 'noted', '"early, commits late"')}, q{PREPARE TRANSACTION 'late'});
append('order:6', '"late, commits early"');
is(payloads(changes('by_root')), '"late, commits early"', 'a change is told when its transaction commits');
is(sql(q{SELECT count(*) FROM events.outbox WHERE type = 'noted'}), 0, 'the view of the outbox waits for the lower position');
sql(q{COMMIT PREPARED 'late'});
is(payloads(changes('by_root')), '"early, commits late"', 'so a lower position may come after a higher one');
is(sql(q{SELECT string_agg(payload::text, ',' ORDER BY global_position) FROM events.outbox WHERE type = 'noted'}), '"early, commits late","late, commits early"', 'which the view and the feed never do');
drain();

# ---- months that come and go ------------------------------------------------------------------------------------------

sql(q{SELECT t.old_month('2024-01-01'), t.old_month('2024-02-01')});
sql(q{SELECT t.old_event('order:' || n % 3, 'noted', to_jsonb(n), '2024-01-05'::timestamptz + n * interval '1 hour') FROM generate_series(1, 200) n});
sql(q{SELECT t.old_event('order:1', 'noted', '"february"', '2024-02-05')});
@changes = changes('by_root');
is(scalar(@changes) . ' ' . $changes[-1]{table} . ' ' . $changes[-1]{after}{event_data}, '201 events.event_store "february"', 'a month that was made after the slot is decoded');
is(join(' ', map { $_->{table} } (changes('by_month'))[ 199, 200 ]), 'events.event_store_2024_01 events.event_store_2024_02', 'under its own name where months are published');
drain();
# months that appends make themselves
sql(q{SELECT count(*) FROM events.create_monthly_partitions(3)});
is(tables(changes('by_root'), changes('by_month')) . json_tables(json_changes()), '', 'a month that is made is no change');
append('order:7', '7');
is(payloads(changes('by_root')), '7', 'appends go on');
drain();

# settling rewrites months
sql(q{SELECT events.set_settle_policy('created_at', 'brin'), events.set_settle_policy('metadata_gin', 'none')});
sql($_) for split /\n/, sql(q{SELECT statement FROM events.maintenance_plan() ORDER BY step});
is(sql(q{SELECT state FROM events.months WHERE month = '2024-01-01'}), 'settled', 'a month is settled');
is(tables(changes('by_root'), changes('by_month')) . json_tables(json_changes()), '', 'of which nothing is told');

# a month that is archived and dropped is no flood of deletes
sql("SELECT events.archive_month('2024-01-01', '$folder/january.gz')");
sql(q{CALL events.drop_months_before('2024-02-01', '{unsealed:*}')});
is(sql(q{SELECT count(*) FROM pg_class WHERE relname = 'event_store_2024_01'}), 0, 'a month is dropped');
is(tables(changes('by_root'), changes('by_month')) . json_tables(json_changes()), '', 'of which nothing is told: readers keep its events');
append('order:8', '8');
is(payloads(changes('by_root')), '8', 'appends go on');
drain();

# an archive that is attached: its events were told when they were appended
is(sql("SELECT events.attach_archive('$folder/january.gz')"), 200, 'an archive is attached');
is(tables(changes('by_root')), '', 'of which a publication of the table of events tells nothing');
is(tables(changes('by_month')), '', 'by month or not');
SKIP:
{
	skip 'wal2json is not installed for this PostgreSQL', 1 if !$has_wal2json;
	my %of;
	$of{"$_->{action} $_->{schema}.$_->{table}"}++ for json_changes();
	is_deeply(\%of, { 'I events.event_store_2024_01' => 200 }, 'but a reader of all tables gets its rows again');
}

# ---- imports ----------------------------------------------------------------------------------------------------------

sql(q{SELECT count(*) FROM events.import_events('{moved:1}', '{moved}', '{"3"}', ARRAY[gen_random_uuid()], '{2024-03-01}')});
is(payloads(changes('by_root')), '3', 'an imported event is an insert');

# ---- replica identity -------------------------------------------------------------------------------------------------

is(sql(q{SELECT string_agg(DISTINCT relreplident::text, '') FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid OR i.inhparent = c.oid WHERE i.inhparent = 'events.event_store'::regclass}),
	'd', 'months have no replica identity: no event is updated or deleted, so a subscriber needs none');
drain();

# ---- pg_recvlogical ---------------------------------------------------------------------------------------------------

SKIP:
{
	skip 'wal2json is not installed for this PostgreSQL', 5 if !$has_wal2json;
	append('order:9', '"to a file"');
	my $end = sql('SELECT pg_current_wal_lsn()');
	my @receive = ('pg_recvlogical', '-d', $node->connstr('postgres'), '--slot', 'by_json', '--start', '-f', "$folder/changes.json", '--no-loop', '-o', 'format-version=2', '-o', 'add-tables=events.*',
		'-o', 'include-transaction=false');
	command_ok([ @receive, '--endpos', $end ], 'pg_recvlogical writes what came up to a position');
	my @lines = split /\n/, slurp_file("$folder/changes.json");
	is(scalar @lines, 1, 'a line a change');
	is(json_row(JSON::PP->new->decode($lines[0]))->{event_data}, '"to a file"', 'which is the event');
	append('order:9', '"after it"');
	command_ok([ @receive, '--endpos', sql('SELECT pg_current_wal_lsn()') ], 'and goes on where it stood');
	@lines = split /\n/, slurp_file("$folder/changes.json");
	is(json_row(JSON::PP->new->decode($lines[-1]))->{event_data} . ' ' . @lines, '"after it" 2', 'each change once');
}
drain();

# ---- an outbox router -------------------------------------------------------------------------------------------------

my ($properties) = slurp_file("$FindBin::RealBin/../../doc/cdc.md") =~ /```properties\n(.*?)```/s;
like($properties, qr/^table\.include\.list=events\.event_store$/m, 'the page configures a connector');
my ($publication) = $properties =~ /^publication\.name=(\S+)$/m;
is($publication, 'events_out', 'for the publication of this test');
my $router = OutboxRouter->new($properties);
my $id = sql(q{SELECT events.append_event('invoice:7:a', 'sent', '{"total": 0.10}', 'shop', '{"traceparent": "x"}')});
sql(q{SELECT events.append_event('alone', 'noted', '1')}, q{SET app.tenant_id = 'other'}, q{SELECT events.append_event('invoice:7:a', 'sent', '2')});
my @messages = map { $router->route($_) } changes('by_root');
is(join(' ', map { $_->{topic} } @messages), 'outbox.event.invoice outbox.event.alone outbox.event.invoice', 'the topic is that of the category');
is(join(' ', map { $_->{key} } @messages), 'invoice:7:a alone invoice:7:a', 'the key is the stream, so that its events stay in order');
is($messages[0]{value}, '{"total": 0.10}', 'the value is the data');
my $headers = $messages[0]{headers};
is($headers->{id}, $id, 'the id of the event is that of the message');
is("$headers->{type} $headers->{version} $headers->{tenant} $headers->{metadata}", 'sent 1 default {"traceparent": "x"}', 'the rest are headers');
is($messages[2]{headers}{tenant}, 'other', 'all tenants are in it: the header tells which');
is($router->route({ op => 'delete', after => {} }), undef, 'a delete is dropped');
is($router->topic("a:\x{85}b"), 'outbox.event.a', 'whatever is in an id');

# one tenant by a row filter
sql(q{CREATE PUBLICATION of_other FOR TABLE events.event_store WHERE (tenant_id = 'other') WITH (publish = 'insert', publish_via_partition_root = true)},
	q{SELECT pg_create_logical_replication_slot('filtered', 'pgoutput')});
$publications{filtered} = 'of_other';
append('order:1', '"of default"');
sql(q{SET app.tenant_id = 'other'}, q{SELECT events.append_event('order:1', 'noted', '"of other"')});
is(payloads(changes('filtered')), '"of other"', 'a row filter publishes one tenant');
sql(q{SELECT pg_drop_replication_slot('filtered')});
delete $publications{filtered};

# ---- what is personal -------------------------------------------------------------------------------------------------

drain();
sql(q{SELECT encrypted.add_rule('admitted', '{/name}', '/patient')}, q{SELECT events.append_event('stay:1', 'admitted', '{"patient": "p1", "name": "Ada"}')});
like(payloads(changes('by_root')), qr/"name": "phi1:/, 'an encrypted field is decoded as it is stored');
like(sql(q{SELECT cloudevent->'data'->>'name' FROM events.as_cloudevents(p_event_types => '{admitted}')}), qr/^phi1:/, 'a CloudEvent has it so');
like(sql(q{SELECT payload->>'name' FROM events.outbox WHERE type = 'admitted'}), qr/^phi1:/, 'and the outbox');
is(sql(q{SELECT events.as_cloudevent(event_id, 'stay:1', event_type, event_data)->'data'->>'name' FROM events.replay_stream_decrypted('stay:1')}), 'Ada',
	'whoever may decrypt, and asks for it, publishes it');

# ---- another encoding -------------------------------------------------------------------------------------------------

sql(q{CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'}, q{CREATE DATABASE bytes TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'});
foreach my $database (qw(latin bytes))
{
	$node->safe_psql($database, 'CREATE EXTENSION auren_events');
	is($node->safe_psql($database, qq{SET client_encoding = UTF8; SET app.tenant_id = 'caf\xc3\xa9';
		SELECT ce->>'subject', ce->'data'->>'drink', substring(ce->>'source' from '#.*') FROM (SELECT events.as_cloudevent(gen_random_uuid(), 't\xc3\xa9' || chr(10), 'poured', '{"drink": "t\xc3\xa9"}') AS ce) c}),
		"t\xc3\xa9%0A|t\xc3\xa9|#caf%C3%A9", "attributes and the source in $database");
}
is($node->safe_psql('latin', q{SELECT events.as_cloudevent(gen_random_uuid(), 'x' || chr(133), 'poured', '1')->>'subject'}), 'x%C2%85', 'a control character of Latin 1, too');

# ---- a subscriber -----------------------------------------------------------------------------------------------------

# Its months are its own: without the month of an event replication stops there, and goes on when it is made.
my $subscriber = new_store('subscriber', conf => "timezone = 'UTC'\nwal_retrieve_retry_interval = 100ms\n");
$subscriber->safe_psql('postgres', 'SELECT count(*) FROM events.create_monthly_partitions(0)');
sql(q{CREATE PUBLICATION copied FOR TABLE events.event_store WITH (publish = 'insert', publish_via_partition_root = true)});
$subscriber->safe_psql('postgres', 'CREATE SUBSCRIPTION copies CONNECTION ' . "'" . $node->connstr . " dbname=postgres' PUBLICATION copied WITH (copy_data = false)");
append('order:10', '10');
$node->wait_for_catchup('copies');
is($subscriber->safe_psql('postgres', 'SELECT string_agg(event_data::text, $$,$$) FROM events.event_store'), '10', 'a subscriber gets what is appended');
sql(q{SELECT t.old_month('2023-06-01'), t.old_event('order:1', 'noted', '"june"', '2023-06-01')});
append('order:10', '11');
wait_for('the month is missed', sub { slurp_file($subscriber->logfile) =~ /no partition of relation "event_store" found for row/ });
$subscriber->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $subscriber->connstr('postgres'), '-f', "$FindBin::RealBin/../sql/old_months.sql" ], 'helpers');
$subscriber->safe_psql('postgres', q{SELECT t.old_month('2023-06-01')});
$node->wait_for_catchup('copies');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(event_data::text, ',' ORDER BY global_position) FROM events.event_store}), '10,"june",11', 'once it is there nothing is lost');
# retention here and there is each server's own
sql(q{CALL events.drop_months_before('2023-07-01', '{unsealed:*}')});
append('order:10', '12');
$node->wait_for_catchup('copies');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(event_data::text, ',' ORDER BY global_position) FROM events.event_store}), '10,"june",11,12', 'a month that is dropped here stays there');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION copies');
$subscriber->stop;

# ---- a slot that nobody reads -----------------------------------------------------------------------------------------

is(sql(q{SELECT ok FROM events.verify_installation() WHERE "check" = 'replication slots'}), 't', 'slots that are read are well');
$node->append_conf('postgresql.conf', 'max_wal_size = 32MB');
$node->reload;
wait_for('max_wal_size is small', sub { sql('SHOW max_wal_size') eq '32MB' });
sql(q{SELECT pg_logical_emit_message(false, 'filler', n::text), pg_switch_wal() FROM generate_series(1, 4) n});
like(sql(q{SELECT message FROM events.verify_installation() WHERE "check" = 'replication slots' AND NOT ok}), qr/slot by_root keeps \d+ MB of WAL, and nobody reads it/, 'a slot that nobody reads is told');

$node->stop;
done_testing();

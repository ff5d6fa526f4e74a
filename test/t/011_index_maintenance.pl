# Indexes are built anew, added and dropped below a running load: every append is in every index that is there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use EventStore;
use Test::More;

my $node = new_bounded_store('maintenance');
$node->safe_psql('postgres', 'SELECT events.create_monthly_partitions()');
my $month = $node->safe_psql('postgres', q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')});

# Each line is a statement of its own: none of them may stop an append for good or make it miss an index.
my @statements = (
	"CREATE INDEX CONCURRENTLY added ON events.event_store_$month (created_by, stream_id)",
	"REINDEX INDEX CONCURRENTLY events.idx_event_store_stream_$month",
	"REINDEX INDEX CONCURRENTLY events.idx_event_store_event_data_gin_$month",
	"REINDEX TABLE CONCURRENTLY events.event_store_$month",
	'DROP INDEX CONCURRENTLY events.added',
	"CREATE INDEX added ON events.event_store_$month (lower(created_by)) WHERE event_type = 'e'",
	"REINDEX INDEX events.idx_event_store_position_$month",
	"REINDEX INDEX events.idx_event_store_metadata_gin_$month",
	"ALTER INDEX events.idx_event_store_event_data_gin_$month SET (fastupdate = off)",
	'REINDEX TABLE CONCURRENTLY auren.stream_rows',
	'REINDEX INDEX auren.stream_rows_pkey',
	'REINDEX TABLE CONCURRENTLY auren.supplied_ids',
	"ALTER INDEX events.idx_event_store_event_data_gin_$month RESET (fastupdate)",
	'DROP INDEX events.added',
	"VACUUM events.event_store_$month",
	'VACUUM FULL auren.stream_rows',
	"CLUSTER events.event_store_$month USING idx_event_store_stream_$month");

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/started/, "\\echo started\nSET client_min_messages = warning;\n" . join(";\n", @statements) . ";\n\\echo all done\n");
bench($node, 'appends below index maintenance', [
	"\\set s random(1, 50)\nSELECT events.append_event('maintained:' || :s, 'e', '{\"n\": 1}');\n",
	"\\set s random(1, 50)\n\\set t random(51, 100)\nSELECT count(*) FROM events.append_events(ARRAY['maintained:' || :s, 'maintained:' || :t], ARRAY['e', 'f'], ARRAY['{\"n\": 2}', '{\"n\": 3}']::jsonb[]);\n",
	"SELECT events.append_event('maintained:0', 'e', '{}', p_event_id => gen_random_uuid());\n",
	"\\set s random(1, 50)\nBEGIN;\nSELECT events.append_event('maintained:' || :s, 'e', '{}');\nSAVEPOINT a;\nSELECT events.append_event('maintained:' || :s, 'e', '{}');\nROLLBACK TO a;\nCOMMIT;\n"
	], clients => 6, count => 1500);
$session->query_until(qr/all done/, '');
is($session->{stderr}, '', 'the maintenance ends without an error');
$session->quit;
store_is_sound($node, 'postgres', 'after index maintenance');

done_testing();

// The module's magic, settings and callbacks.

#include "conditions/last_positions.hpp"
#include "counts/counts.hpp"
#include "encrypted/decrypt_audit.hpp"
#include "encrypted/key_ring.hpp"
#include "encrypted/personal_rules.hpp"
#include "metrics/event_readings.hpp"
#include "metrics/metrics_functions.hpp"
#include "metrics/readings.hpp"
#include "metrics/series.hpp"
#include "module/streaming.hpp"
#include "notify/announce.hpp"
#include "notify/notifier.hpp"
#include "server/compat.hpp"
#include "server/own_relation.hpp"
#include "server/settings.hpp"
#include "state/reducers.hpp"
#include "store/dropped_months.hpp"
#include "store/hidden_statistics.hpp"
#include "store/kept_objects.hpp"
#include "store/partitions.hpp"
#include "store/tag_months.hpp"
#include "store/tenant.hpp"
#include "tags/tag_rules.hpp"

extern "C" {
AUREN_MODULE_MAGIC(AUREN_VERSION);

PGDLLEXPORT void _PG_init(void); // NOLINT(bugprone-reserved-identifier): the server calls it so

// The mains of our background workers.

PGDLLEXPORT void auren_notifier_main(Datum database);
PGDLLEXPORT void auren_audit_main(Datum segment);

void
auren_notifier_main(Datum database) {
	auren::pg::RunNotifier(auren::pg::Server::Callback(), DatumGetObjectId(database));
}

void
auren_audit_main(Datum segment) {
	auren::pg::RunAuditWorker(auren::pg::Server::Callback(), segment);
}

void
_PG_init(void) { // NOLINT(bugprone-reserved-identifier)
	const auren::pg::Server server = auren::pg::Server::Callback();
	auren::pg::DefineSettings(server);
	auren::pg::RegisterCounts(server);
	auren::pg::OwnRelation::Register(server);
	auren::pg::RegisterPartitions(server);
	auren::pg::RegisterTagMonths(server);
	auren::pg::RegisterDroppedMonths(server);
	auren::pg::RegisterTenantCallbacks(server);
	auren::pg::RegisterTagRules(server);
	auren::pg::RegisterHiddenStatistics(server);
	auren::pg::RegisterKeptObjects(server);
	auren::pg::RegisterReducerCallbacks(server);
	auren::pg::RegisterAnnouncements(server);
	auren::pg::RegisterReadingCallbacks(server);
	auren::pg::RegisterSeriesCallbacks(server);
	auren::pg::RegisterEventReadingCallbacks(server);
	auren::RegisterMetricCallbacks(server);
	auren::pg::RegisterKeyRing(server);
	auren::pg::RegisterPersonalRules(server);
	auren::pg::RegisterLastPositions(server);
	auren::RegisterStreamingFunctions(server);
}
}

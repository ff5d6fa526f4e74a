// The module's magic, settings and callbacks.

#include "pg/announce.hpp"
#include "pg/compat.hpp"
#include "pg/decrypt_audit.hpp"
#include "pg/event_readings.hpp"
#include "pg/hidden_statistics.hpp"
#include "pg/kept_objects.hpp"
#include "pg/key_ring.hpp"
#include "pg/personal_rules.hpp"
#include "pg/readings.hpp"
#include "pg/reducers.hpp"
#include "pg/series.hpp"
#include "pg/settings.hpp"
#include "pg/store.hpp"
#include "pg/tenant.hpp"
#include "pg/waker.hpp"
#include "sql/metrics.hpp"
#include "sql/streaming.hpp"

extern "C" {
AUREN_MODULE_MAGIC(AUREN_VERSION);

PGDLLEXPORT void _PG_init(void);

// The mains of our background workers.

PGDLLEXPORT void auren_waker_main(Datum database);
PGDLLEXPORT void auren_audit_main(Datum segment);

void
auren_waker_main(Datum database) {
	auren::pg::RunWaker(auren::pg::Server::Callback(), DatumGetObjectId(database));
}

void
auren_audit_main(Datum segment) {
	auren::pg::RunAuditWorker(auren::pg::Server::Callback(), segment);
}

void
_PG_init(void) {
	const auren::pg::Server server = auren::pg::Server::Callback();
	auren::pg::DefineSettings(server);
	auren::pg::RegisterStoreCallbacks(server);
	auren::pg::RegisterTenantCallbacks(server);
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
	auren::RegisterStreamingFunctions(server);
}
}

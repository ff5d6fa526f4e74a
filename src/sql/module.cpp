// The module's magic, settings and callbacks.

#include "pg/announce.hpp"
#include "pg/compat.hpp"
#include "pg/decrypt_audit.hpp"
#include "pg/event_readings.hpp"
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
	auren::pg::RunWaker(DatumGetObjectId(database));
}

void
auren_audit_main(Datum segment) {
	auren::pg::RunAuditWorker(segment);
}

void
_PG_init(void) {
	auren::pg::DefineSettings();
	auren::pg::RegisterStoreCallbacks();
	auren::pg::RegisterTenantCallbacks();
	auren::pg::RegisterKeptObjects();
	auren::pg::RegisterReducerCallbacks();
	auren::pg::RegisterAnnouncements();
	auren::pg::RegisterReadingCallbacks();
	auren::pg::RegisterSeriesCallbacks();
	auren::pg::RegisterEventReadingCallbacks();
	auren::RegisterMetricCallbacks();
	auren::pg::RegisterKeyRing();
	auren::pg::RegisterPersonalRules();
	auren::RegisterStreamingFunctions();
}
}

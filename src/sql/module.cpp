// The module's magic, settings and callbacks.

#include "pg/announce.hpp"
#include "pg/compat.hpp"
#include "pg/key_ring.hpp"
#include "pg/personal_rules.hpp"
#include "pg/reducers.hpp"
#include "pg/settings.hpp"
#include "pg/store.hpp"
#include "pg/tenant.hpp"
#include "sql/streaming.hpp"

extern "C" {
AUREN_MODULE_MAGIC(AUREN_VERSION);

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void) {
	auren::pg::DefineSettings();
	auren::pg::RegisterStoreCallbacks();
	auren::pg::RegisterTenantCallbacks();
	auren::pg::RegisterReducerCallbacks();
	auren::pg::RegisterAnnouncements();
	auren::pg::RegisterKeyRing();
	auren::pg::RegisterPersonalRules();
	auren::RegisterStreamingFunctions();
}
}

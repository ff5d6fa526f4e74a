#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

// A row of analytics.sources, palloc'ed; names are nullptr where there is none.
struct Source {
	int32 id;
	Oid relation; // InvalidOid: events
	const char *event_type;
	const char *tenant;
	const char *user;
	const char *device;
	const char *metric;
	const char *value;
	const char *time;
	const char *tenant_column;
	Jsonb *metrics;
	bool detached; // what is left of it goes with the next refresh
	bool filled;   // the rollups hold it; else it is read as it is, until the next refresh
};

/*
 * Sources as a snapshot sees them, in the caller's memory context. Server side.
 */
struct Sources {
	Source *items;
	int count;
};
Sources ReadSources(Snapshot snapshot);

// Takes the rights of a relation's owner, on whose behalf something of ours is done that the caller need not be allowed. Server side.
struct AsOwner {
	Oid user;
	int context;
	int guc_level;
};
AsOwner BecomeOwner(Oid relid);
void BecomeAgain(const AsOwner &before);

} // namespace auren::pg

#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace auren::pg {

namespace {

int naming = static_cast<int>(Naming::kOff);
bool allow_drop = false;
int snapshot_after = 1000;
bool read_flushed = true;
bool waker = true;
double notify_below = 0.95;

const struct config_enum_entry kNamingValues[] = {{"off", static_cast<int>(Naming::kOff), false},
                                                  {"warn", static_cast<int>(Naming::kWarn), false},
                                                  {"error", static_cast<int>(Naming::kError), false},
                                                  {nullptr, 0, false}};

} // namespace

Naming
NamingMode() {
	return static_cast<Naming>(naming);
}

bool
AllowDrop() {
	return allow_drop;
}

int
SnapshotAfter() {
	return snapshot_after;
}

bool
ReadFlushed() {
	return read_flushed;
}

double
NotifyBelow() {
	return notify_below;
}

bool
WakerAllowed() {
	return waker;
}

void
DefineSettings() {
	DefineCustomEnumVariable("auren_events.naming", "How event types and stream ids that do not follow the naming practice are treated.",
	                         "Event types in snake_case, stream ids with a prefix before a colon.", &naming,
	                         static_cast<int>(Naming::kOff), kNamingValues, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.allow_drop", "Lets DROP EXTENSION auren_events take the events with it.", nullptr,
	                         &allow_drop, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("auren_events.snapshot_after", "Events after which reading a stream's state leaves a snapshot of it.",
	                        "0 takes none.", &snapshot_after, 1000, 0, INT_MAX, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.read_flushed", "Feed reads give only events that a crash cannot take back.",
	                         "An event whose commit is not on disk yet is flushed first. Off for readers within the database.",
	                         &read_flushed, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.waker", "Leaves notifications of appended events to a background worker.",
	                         "Off: a transaction notifies when it commits, which takes a lock of the whole cluster.", &waker, true,
	                         PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomRealVariable("auren_events.notify_below", "How full the queue of notifications may be for listeners to be told, 1 being full.",
	                         "A full queue would fail the commit that notifies.", &notify_below, 0.95, 0.0, 1.0, PGC_SUSET, 0, nullptr,
	                         nullptr, nullptr);
	MarkGUCPrefixReserved("auren_events");
}

} // namespace auren::pg

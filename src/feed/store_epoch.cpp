#include "feed/store_epoch.hpp"

#include <cstring>

#include "store/relations.hpp"

namespace auren::pg {

pg_uuid_t
StoreEpoch(Server server) {
	struct {
		uint64 system;
		uint64 timeline;
		uint64 database;
		uint64 table;
	} history;
	TimeLineID timeline;
	if (RecoveryInProgress()) {
		(void)GetXLogReplayRecPtr(&timeline);
	} else {
		timeline = GetWALInsertionTimeLine();
	}
	history = {GetSystemIdentifier(), timeline, MyDatabaseId, own::events.Get(server)};
	pg_uuid_t epoch;
	for (uint64 half = 0; half < 2; half++) {
		const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&history), sizeof history, half);
		std::memcpy(epoch.data + half * sizeof hash, &hash, sizeof hash);
	}
	return epoch;
}

} // namespace auren::pg

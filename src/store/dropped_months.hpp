#pragma once

#include <cstdint>
#include <string_view>

#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What a month leaves when retention drops it: a record of the month, the state of each of its streams as an opening balance, and what
 * repeated appends of its supplied ids are compared with. All of it came with 0.2.0: under the SQL objects of 0.1.0 nothing was ever dropped.
 */

// The opening balance of a stream: its state at the last version that is gone, or about to go.
struct OpeningState {
	int64 version;    // 0: the stream has none
	int64 event_time; // created_at of the event of that version
	Datum state;      // jsonb as stored, in the caller's memory context; 0 where it was not asked for
	Datum personal;   // what KeepState made of the state of the decrypted events (encrypted/kept_states.hpp); 0 likewise, and where there is none
};
enum class OpeningParts { kVersion, kState, kPersonal };
// As a snapshot sees it; nullptr: as it is committed now.
OpeningState ReadOpeningState(Server server, Datum tenant, Datum stream, Snapshot snapshot, OpeningParts parts);

// How many streams have an opening balance that reducers of another version made. Reads all of them.
int64 CountOpeningStatesOfOthers(Server server, const pg_uuid_t *reducers_version);

// Whether the month was dropped by retention, and not by somebody's DROP TABLE or DETACH.
bool MonthWasDropped(Server server, Month month);

// For a transaction that writes to months that are over: it waits for a drop that is under way, and none begins before the transaction ends.
void HoldOffDrops(Server server);

// The highest position of the months that were dropped, 0 where none was.
int64 LastDroppedPosition(Server server);
// The highest position of a tenant's events that were dropped and are not there of an archive, 0 where there are none. Costs a look at a flag where
// nothing was dropped after the position given; then it may say less than there is.
int64 LastDroppedPositionOf(std::string_view tenant, int64 after);
void RegisterDroppedMonths(Server server);

/*
 * What is kept of an event's content when its month is dropped: a digest of its stream, type, metadata, creator and tags, and one of its data.
 */
struct ContentDigest {
	std::uint8_t rest[PG_SHA256_DIGEST_LENGTH];
	std::uint8_t data[PG_SHA256_DIGEST_LENGTH];
};
struct DigestedContent {
	Datum stream_id;
	Datum event_type;
	Datum data;     // jsonb
	Datum metadata; // jsonb
	Datum created_by;
	Datum tags; // text[]
};
ContentDigest DigestOf(Server server, const DigestedContent &content);

// A supplied id whose month was dropped.
struct DroppedId {
	bool found;
	int64 version;
	ContentDigest content;
};
DroppedId FindDroppedId(Server server, Datum event_id, Datum tenant);

} // namespace auren::pg

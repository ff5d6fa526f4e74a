#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What somebody has done to what was sealed, or to the seals.
 */
struct Finding {
	const char *problem; // "changed", "removed" and so on: doc/seals.md has them all
	std::optional<Month> month;
	std::optional<int64> position;
	std::string event_id;  // of an event that is there; empty where there is none
	std::string stream_id; // likewise
	std::string detail;
};
using FindingSink = std::function<void(const Finding &)>;

// What is to be verified: the months from one to another (both included), and of it what comes after a seal.
struct VerifyPart {
	std::optional<Month> from;
	std::optional<Month> to;
	int64 since_seal;
};

struct Verified {
	int64 last_seal; // newest one that there is, 0 without any
	int64 seals;     // that were checked
	int64 events;    // likewise
	int64 up_to;     // position up to which events are sealed
	int64 findings;
};

/*
 * Verifies the seals, then the events under them by reading each month as it lies in its table, and tells what it finds. Its memory is work_mem and
 * some hundred kB, whatever the number of events. Takes ACCESS SHARE on events.event_store, its months and the tables of seals, by one snapshot;
 * works on a standby. Call it with the rights of the store's owner.
 */
Verified VerifySeals(const VerifyPart &part, const FindingSink &tell);

} // namespace auren::pg

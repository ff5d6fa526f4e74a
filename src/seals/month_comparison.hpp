#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seals/month_events.hpp"
#include "seals/month_leaves.hpp"
#include "seals/verification.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Events and digests that have nothing to match them, of all months: some hundred are kept until all were seen, since two that exchanged their
 * positions, or an event and the month that it left, explain each other. What comes beyond is told at once, as what it looks like by itself.
 */
class UnmatchedEvents {
  public:
	explicit UnmatchedEvents(const FindingSink &tell) : tell_(tell) {
	}
	// An event whose digest is not that of its position: "changed" where the position has one, else "inserted".
	void AddEvent(const char *problem, Month month, const FoundEvent &event, MonthEvents *events);
	// A digest that no event of its month has.
	enum class LeafEvent { kNone, kAnother }; // what there is at its position in the month
	void AddLeaf(Month month, const Leaf &leaf, LeafEvent there);
	void
	Tell(const Finding &finding) {
		tell_(finding);
	}
	const FindingSink &
	sink() const {
		return tell_;
	}
	void TellAll(Snapshot snapshot);

  private:
	struct Event {
		Finding finding;
		std::string line; // empty: too long to be kept
	};
	struct MissingLeaf {
		Month month;
		Leaf leaf;
		LeafEvent there;
		bool explained;
	};
	void Explain(Event *event);
	void TellRemoved(const MissingLeaf &leaf, Snapshot snapshot);

	const FindingSink &tell_;
	std::vector<Event> events_;
	std::vector<MissingLeaf> leaves_;
};

// Ranges of positions, after the first number and up to the second.
using SealedRanges = std::optional<std::vector<std::pair<int64, int64>>>;

// What of a month is compared: its seals after one, its events in a range of positions.
struct MonthPart {
	Month month;
	Oid partition;
	int64 since_seal;
	int64 after;
	int64 up_to;
	// Where the month was dropped and its archive is attached: what its seals cover. It may have events that went before a seal came to them.
	SealedRanges covered;
};

// Compares a month's events with the digests under its seals, and returns how many events there were.
int64 CompareMonth(const MonthPart &part, Snapshot snapshot, int64 done_before, UnmatchedEvents *unmatched);

} // namespace auren::pg

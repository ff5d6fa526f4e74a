#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/append/batch.hpp"
#include "core/borrowed.hpp"
#include "core/store/month.hpp"

namespace auren {

/*
 * What an import says of an event beyond what an append says.
 */
struct ImportedElement {
	std::int64_t created_at; // microseconds since 2000-01-01 00:00 UTC
	Borrowed created_by;
};

/*
 * The part of an append's plan that only an import has: when each event happened, and what its streams become. Made after
 * AppendPlan::ResolveRepeats.
 */
class ImportPlan {
  public:
	// The elements of a stream that repeat no other of the batch. In the order of AppendPlan::streams().
	struct Stream {
		std::int64_t first = 0; // created_at of the first and of the last of them
		std::int64_t last = 0;
		std::int64_t events = 0;
	};
	// A stream as the store has it.
	struct Found {
		std::int64_t imported_version; // up to which its events were imported
		std::int64_t last_created_at;  // of its newest event
	};

	// A batch writes to so many months at most: each costs some locks.
	static constexpr std::size_t kMostMonths = 120;

	/*
	 * Throws 22023, naming the element, for a time that is after `now`, is not finite or before the year 1, or is before that of an earlier
	 * element of its stream, and for a batch over more months than it may have; ZE002 for an id that is given again with another time or
	 * creator.
	 */
	ImportPlan(const AppendPlan &plan, const std::vector<ImportedElement> &elements, std::int64_t now);

	const std::vector<Stream> &
	streams() const {
		return streams_;
	}
	// The months of all elements, each once, in order.
	const std::vector<Month> &
	months() const {
		return months_;
	}

	/*
	 * With what was found of each stream, and with the versions that AppendPlan::AssignVersions gave. Throws 55000 where a stream that gets new
	 * events has some that were not imported, 22023 where a new event is older than the newest one of its stream.
	 */
	static void CheckStreams(const AppendPlan &plan, const std::vector<ImportedElement> &elements, const std::vector<Found> &found);

	// The elements in the order in which they are written: month by month, in each as they were given.
	std::vector<std::uint32_t> WriteOrder(const std::vector<ImportedElement> &elements) const;

  private:
	static void CheckRepeat(const AppendPlan &plan, const std::vector<ImportedElement> &elements, std::size_t element);
	void CollectMonths(const std::vector<ImportedElement> &elements);

	std::vector<Stream> streams_;
	std::vector<Month> months_;
};

// ZE002: the id of an import is in the store, with other content.
[[noreturn]] void ThrowImportReused(const EventId &id);

} // namespace auren

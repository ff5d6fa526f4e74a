#pragma once

#include <map>
#include <string>

#include "core/seals/digest.hpp"
#include "core/seals/tally.hpp"
#include "store/event_read.hpp"

namespace auren::pg {

/*
 * Counts and digests of events by tenant, each event by its canonical line at position 0 and without tags. Of an event with personal fields the data
 * stay out, since they are stored encrypted: `null` stands for them.
 */
class ImportTallies {
  public:
	// What it allocates is in the current memory context.
	void Add(const EventRow &row);

	const std::map<std::string, Tally> &
	tenants() const {
		return tenants_;
	}
	Tally All() const;

  private:
	Hasher hasher_;
	std::string line_;
	std::map<std::string, Tally> tenants_;
};

} // namespace auren::pg

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "conditions/breach.hpp"
#include "conditions/key_locks.hpp"
#include "core/conditions/query.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

/*
 * A condition of an append: no event after a position matches a query, and streams are at the versions that it names. Whoever appends locks what it
 * asks about first, and then has it checked: by then every append that could break it has ended, or waits.
 */
class Condition {
  public:
	// A stream that it asks about. The caller locks it and says what it found.
	struct Stream {
		std::string_view id;
		Datum text;
		std::int64_t version = 0; // 0: there is no such stream
		std::int64_t last_position = 0;
	};

	// What the query points to lives as long as this. after: 0 where no event at all may match. Throws 55000 for a position that is not final.
	Condition(const QueryView &query, std::int64_t after);

	/*
	 * Whether it is checked under a lock of the whole table of events (ShareRowExclusive, taken before any other lock of it but the weakest): it asks
	 * about events whatever their tags and stream, or about more keys than this transaction may lock.
	 */
	bool
	locks_store() const {
		return locks_store_;
	}
	// What is to be locked where it does not.
	void AddKeys(std::string_view tenant, KeyLocks *locks) const;
	// In the order of their ids' bytes. Their rows are to be locked; the keys of those without one where the condition does not lock the store.
	std::vector<Stream> &
	streams() {
		return streams_;
	}

	/*
	 * Throws ZE008 where it does not hold, 40001 where it does not for an event that this transaction's fixed snapshot does not see though its
	 * position is not after the one given. held: a month of tags that the caller has open, nullptr: none.
	 */
	void Check(const Tenant &tenant, const OpenTagMonth *held) const;

  private:
	void AddStreams();
	void CheckVersions() const;
	void CheckDroppedStreams() const;
	void CheckDroppedMonths(std::string_view tenant) const;
	const Stream *FindStream(std::string_view id) const;
	std::vector<ItemView> ItemsLeft(std::int64_t after) const;
	Breach CheckByType(const Tenant &tenant, std::vector<ItemView> *items) const;

	QueryView query_;
	std::int64_t after_;
	bool locks_store_ = false;
	std::vector<Stream> streams_;
	std::vector<std::string_view> tags_; // of each item that has some, the one that is locked
};

} // namespace auren::pg

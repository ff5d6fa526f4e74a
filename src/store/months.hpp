#pragma once

#include <string>

#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Makes the partitions of `count` months from `first` on that are missing, those of the index of tags too, as the store's owner, and returns
 * for how many of them it made anything. Others that need one wait for this transaction; appends to months that exist do not (ShareUpdateExclusive on
 * events.event_store and auren.event_tags). Throws 55006 where the session itself holds the table open. The caller must not hold
 * events.event_store open.
 */
int MakeMonths(Month first, int count);

/*
 * The same, but waits for nobody: false, and nothing made, while another transaction is making months. For one that holds
 * streams already: the maker may be waiting for one of them.
 */
bool MakeMonthsUnlessBusy(Month first, int count);

/*
 * A month that is filled first and attached then: its table and that of the index of tags, without index and trigger. Nobody else sees them before
 * the transaction ends. Throws 55006 where the session itself holds the table of events open, 55000 where a table of that name is there.
 */
struct UnattachedMonth {
	Oid events;
	Oid tags;
};
UnattachedMonth MakeUnattachedMonth(Month month);
/*
 * Makes its indexes and triggers, runs further statements as the store's owner, and attaches it. Every row is known to be of the month. Locks as
 * MakeMonths does, and those who make other months wait for the end of the transaction.
 */
void AttachFilledMonth(Month month, const std::string &more);

// What an append that needs a month makes beyond it, so that the appends of the next months wait for nobody.
inline constexpr int kMonthsAhead = 2;

} // namespace auren::pg

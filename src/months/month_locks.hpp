#pragma once

#include <string>

#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * How a month is taken out of the store: others wait for it for a moment only.
 */

// The tables that go: the month and its part of the index of tags (InvalidOid: it has none).
struct DroppedTables {
	Oid month;
	Oid tags;
};

// Between two tries.
inline constexpr long kPauseMilliseconds = 100;
// How long what is in the way is waited for, in microseconds: the session's lock_timeout, or a minute.
int64 DropPatience();

/*
 * Takes ACCESS EXCLUSIVE on them and on their parents, or nothing: waits for 40 ms, and for 40 ms, and so long does everybody wait who comes after
 * it. False where it did not get them.
 */
bool TryLockTables(Server server, const DroppedTables &tables);

// Who keeps the locks from being had, as a sentence.
std::string DescribeHolders(const DroppedTables &tables);

// Drops the tables of a month, whose quoted name with its schema is given, as the store's owner; they are locked.
void DropMonthTables(const std::string &partition, Month month, const DroppedTables &tables);

} // namespace auren::pg

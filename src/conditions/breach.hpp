#pragma once

#include "core/conditions/query.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

/*
 * An event that breaks a condition.
 */
struct Breach {
	bool found;
	bool lost_race; // not after the position given, and not seen by the transaction's fixed snapshot
	bool hidden;    // the caller may not see the event: no right to read, or policies that apply
	int64 position;
	Datum stream; // plain texts in the current memory context
	Datum type;
};

// Where breaches are looked for.
struct BreachSpan {
	int64 from;               // what StartOfBreaches gave
	int64 after;              // the position given
	const OpenTagMonth *held; // a month of tags that the caller has open; nullptr: none
};

// The position after which breaches of a condition may lie: the one given, or an earlier one where the transaction's fixed snapshot may not see every
// event up to it. What the transaction has read it read by that, so an event that it does not see was not read, wherever it is.
int64 StartOfBreaches(Server server, int64 after);

/*
 * The first event of a tenant in a span, in order of position, that matches a query and is after the position given, or is not seen by this
 * transaction's fixed snapshot. Every event that is committed or our own counts, whatever policies say.
 */
Breach FindBreach(Server server, const QueryView &query, Datum tenant, const BreachSpan &span);

// Whether an item is looked up by the months' indexes of types where every event counts: it names types, and neither tags nor a stream.
bool IsByType(const ItemView &item);
/*
 * The first event by time that matches such an item; false, and nothing said, where a month lacks that index.
 */
bool FindBreachByType(Server server, const ItemView &item, Datum tenant, Breach *breach);

} // namespace auren::pg

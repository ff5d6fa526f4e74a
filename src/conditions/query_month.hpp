#pragma once

#include "conditions/query_scan.hpp"

namespace auren::pg {

enum class MonthOpened {
	kHasCandidates,
	kEmpty,        // nothing is open, no lock is left
	kThroughQuery, // likewise: the month lacks what the store gave it
};

/*
 * Opens a month with its candidates in a span, the first of which is month->next.
 */
MonthOpened OpenQueryMonth(Server server, QueryScan *scan, QueryMonth *month, const PositionSpan &span);
// The candidate at month->next; to be taken before the month is moved.
Candidate CandidateOf(const QueryMonth &month);
// Moves to the next position that has a candidate; false after the last one.
bool AdvanceQueryMonth(Server server, QueryScan *scan, QueryMonth *month);
// The event of a candidate, in the month's slot; false where there is none that the reader sees.
bool FetchCandidate(Server server, QueryScan *scan, QueryMonth *month, const Candidate &candidate, EventRow *row);
// Closes it and gives up its locks.
void CloseQueryMonth(Server server, QueryMonth *month);

} // namespace auren::pg

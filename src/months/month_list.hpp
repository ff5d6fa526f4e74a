#pragma once

#include <string>
#include <vector>

#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A month that is there, as the ends of its index of positions show it. What holds it is named as events.drop_months_before takes it:
 * 'subscription:name (tenant)', 'source:3', 'unsealed:2026-01', and 'not closed' and 'not a calendar month', which nobody can override.
 */
struct MonthFigures {
	Month month;     // that in which it begins
	int64 start = 0; // its range, the end not included
	int64 end = 0;
	Oid relid = InvalidOid;
	std::string partition; // its name, with the schema and quoted
	bool has_events = false;
	int64 first_position = 0;
	int64 last_position = 0;
	int64 first_event_at = 0; // created_at of the events at these positions
	int64 last_event_at = 0;
	bool frozen = false;   // no vacuum has to read a page of it again
	bool closed = false;   // it is over, and no transaction in flight can write to it
	int64 last_seal = 0;   // of a month whose events are all sealed; else 0
	bool attached = false; // it was dropped, and is there again of its archive, to be read
	bool indexed = false;
	std::vector<std::string> held_by;
};

inline constexpr const char *kNotClosed = "not closed";
// A partition that somebody made by hand, of another range.
inline constexpr const char *kNotCalendarMonth = "not a calendar month";

// Its index of positions or of streams is missing or invalid, so that nobody knows what it holds.
inline constexpr const char *kNotIndexed = "not indexed";

// The months in their order. Reads an entry or two of each month's index, and keeps no lock on it.
std::vector<MonthFigures> ListMonths();

} // namespace auren::pg

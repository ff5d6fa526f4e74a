#pragma once

#include <string>
#include <vector>

#include "core/store/month.hpp"

namespace auren::pg {

/*
 * A month that gets no more events is made dense and cheap: every row frozen, so that no vacuum reads it again, indexes rebuilt without holes and
 * exchanged as auren.settled_indexes says. Most of that cannot run inside a function, so it is planned here and done by whoever runs the statements.
 */
struct PlannedStep {
	Month month;
	std::string statement;
	const char *reason;
};
// For the months that are closed and not settled, the oldest first.
std::vector<PlannedStep> PlanSettling();

/*
 * Counts a month and records that it is settled. Throws 42704 where there is none, 55000 where it is not closed, or something of the plan was not
 * done: DETAIL says what.
 */
void MarkSettled(Month month);

} // namespace auren::pg

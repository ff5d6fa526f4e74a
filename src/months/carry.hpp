#pragma once

#include "months/month_list.hpp"
#include "months/steps.hpp"

namespace auren::pg {

/*
 * Carries what must outlive a month that is about to be dropped, in committed steps that lock no stream: the state of each of its streams at its last
 * version there goes to auren.opening_states, what its supplied ids are compared with to auren.dropped_ids. What a call before has carried is passed
 * over. Reducers run as the caller; an event that cannot be applied is the error of events.get_stream_state.
 */
void CarryStates(Steps *steps, const MonthFigures &month);
void CarryIds(Steps *steps, const MonthFigures &month);
// Readings of its events, for sources of events: to auren.carried_readings, all of them anew.
void CarryReadings(Steps *steps, const MonthFigures &month);

// Counts a month and writes the figures to its row of auren.month_records.
void RecordMonth(const MonthFigures &month);

} // namespace auren::pg

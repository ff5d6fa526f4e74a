#pragma once

#include "metrics/event_readings.hpp"
#include "metrics/reading_sink.hpp"
#include "metrics/sources.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Readings of events whose month is dropped: before it goes, their summaries of five minutes are written to auren.carried_readings, which is data.
 * From the drop on, and while no archive of the month is attached, whoever scans the source is given them too, so that a rebuilt or a restored store
 * counts what it had counted.
 */

// Writes down what the events of a month have, of all sources of events; what the call before wrote of the same positions is not looked at.
void CarryReadingsIn(DateADT month, const EventRange &range);

// Gives a sink what dropped months left of a source. The events were scanned before, by this transaction: no month can go between the two.
void ScanCarried(const Source &source, ReadingSink *sink);

} // namespace auren::pg

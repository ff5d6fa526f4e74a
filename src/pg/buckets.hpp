#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * The zone of days and hours: analytics.set_time_zone's as a snapshot sees it, else UTC (nullptr). Server side, as all of this
 * header.
 */
pg_tz *MetricZone(Snapshot snapshot);

// The start of the hour and the day of a time, and the time at which a day begins. What is infinite stays so.
TimestampTz HourOf(TimestampTz time, pg_tz *zone);
DateADT DayOf(TimestampTz time, pg_tz *zone);
TimestampTz StartOfDay(DateADT day, pg_tz *zone);

} // namespace auren::pg

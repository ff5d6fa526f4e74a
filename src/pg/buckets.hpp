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

/*
 * Times that belong together, by the five minutes that they fall into. Where clocks are set back, an hour or a day of a zone is not all
 * times between its start and the next one's.
 */
struct Bucket {
	enum class Kind : int { kSpan, kHour, kDay };
	Kind kind;
	int64 start;  // of a day: its number
	int64 length; // of a span, in microseconds
	pg_tz *zone;
};
bool Holds(const Bucket &bucket, TimestampTz five_minutes);
// All its times are in [from, to], and others may be.
struct Bounds {
	TimestampTz from;
	TimestampTz to;
};
Bounds BoundsOf(const Bucket &bucket);

} // namespace auren::pg

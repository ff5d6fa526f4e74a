#pragma once

#include "core/metrics/steps.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The zone of days and hours: analytics.set_time_zone's as a server snapshot sees it, else UTC (nullptr).
 */
pg_tz *MetricZone(Server server, Snapshot snapshot);

// The start of the hour and the day of a time, and the time at which a day begins. What is infinite stays so.
TimestampTz HourOf(TimestampTz time, pg_tz *zone);
DateADT DayOf(TimestampTz time, pg_tz *zone);
TimestampTz StartOfDay(DateADT day, pg_tz *zone);

// The first time at which a zone's clock shows a time, or the one to which it was set forward over that.
TimestampTz FirstAt(Server server, int64 local, pg_tz *zone);

/*
 * The steps of a chart from a time up to another: those of whole days by the clock of a zone, others by that of UTC.
 */
class ChartSteps {
  public:
	ChartSteps() = default; // none
	ChartSteps(TimestampTz from, TimestampTz to, const Interval &step, pg_tz *zone);

	uint64
	count() const {
		return steps_.count();
	}

	// The step of the five minutes that begin then.
	uint64 At(TimestampTz five_minutes) const;
	TimestampTz Start(Server server, uint64 step) const;

	bool
	Holds(TimestampTz five_minutes) const {
		return five_minutes >= from_ && five_minutes < to_;
	}

	TimestampTz
	from() const {
		return from_;
	}

	TimestampTz
	to() const {
		return to_;
	}

  private:
	TimestampTz from_ = 0;
	TimestampTz to_ = 0;
	pg_tz *zone_ = nullptr; // UTC
	Steps steps_;
};

/*
 * Times that belong together, by the five minutes that they fall into. Where clocks are set back, an hour or a day of a zone is not all
 * times between its start and the next one's.
 */
struct Bucket {
	enum class Kind : int { kSpan, kHour, kDay, kStep };
	Kind kind;
	int64 start;  // of a day and a step: its number
	int64 length; // of a span, in microseconds
	pg_tz *zone;
	const ChartSteps *steps = nullptr; // of a step
};
bool Holds(const Bucket &bucket, TimestampTz five_minutes);
// All its times are in [from, to], and others may be.
struct Bounds {
	TimestampTz from;
	TimestampTz to;
};
Bounds BoundsOf(Server server, const Bucket &bucket);

} // namespace auren::pg

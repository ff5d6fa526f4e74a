#include "metrics/buckets.hpp"

#include <cstring>

#include "core/metrics/reading_time.hpp"
#include "metrics/relations.hpp"

namespace auren::pg {

namespace {

// The time in the zone, as if it were UTC. It raises nothing: before the calendar's first day, which no reading is, it is UTC itself.
int64
LocalTime(TimestampTz time, pg_tz *zone, int *offset) {
	*offset = 0;
	if (zone == nullptr) {
		return time;
	}
	struct pg_tm tm;
	fsec_t fraction;
	if (timestamp2tm(time, offset, &tm, &fraction, nullptr, zone) != 0) {
		*offset = 0;
		return time;
	}
	return time - static_cast<int64>(*offset) * USECS_PER_SEC;
}

int64
Floor(int64 value, int64 unit) {
	const int64 rest = value % unit;
	return value - (rest < 0 ? rest + unit : rest);
}

} // namespace

pg_tz *
MetricZone(Server server, Snapshot snapshot) {
	Relation settings = table_open(own::metric_settings.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(settings, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(settings, nullptr);
	pg_tz *zone = nullptr;
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		bool isnull;
		const char *name = TextDatumGetCString(slot_getattr(slot, 1, &isnull));
		zone = std::strcmp(name, "UTC") == 0 ? nullptr : pg_tzset(name);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(settings, NoLock);
	return zone;
}

TimestampTz
HourOf(TimestampTz time, pg_tz *zone) {
	if (TIMESTAMP_NOT_FINITE(time)) {
		return time;
	}
	int offset;
	const int64 local = LocalTime(time, zone, &offset);
	return Floor(local, USECS_PER_HOUR) + static_cast<int64>(offset) * USECS_PER_SEC;
}

DateADT
DayOf(TimestampTz time, pg_tz *zone) {
	if (TIMESTAMP_NOT_FINITE(time)) {
		return TIMESTAMP_IS_NOBEGIN(time) ? DATEVAL_NOBEGIN : DATEVAL_NOEND;
	}
	int offset;
	const int64 local = LocalTime(time, zone, &offset);
	return static_cast<DateADT>(Floor(local, USECS_PER_DAY) / USECS_PER_DAY);
}

TimestampTz
StartOfDay(DateADT day, pg_tz *zone) {
	if (DATE_NOT_FINITE(day)) {
		return DATE_IS_NOBEGIN(day) ? DT_NOBEGIN : DT_NOEND;
	}
	const TimestampTz utc = static_cast<int64>(day) * USECS_PER_DAY;
	if (zone == nullptr) {
		return utc;
	}
	struct pg_tm tm;
	std::memset(&tm, 0, sizeof tm);
	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	return utc + static_cast<int64>(DetermineTimeZoneOffset(&tm, zone)) * USECS_PER_SEC;
}

TimestampTz
FirstAt(Server, int64 local, pg_tz *zone) {
	struct pg_tm tm;
	fsec_t fraction;
	if (zone == nullptr) {
		return local;
	}
	if (timestamp2tm(local, nullptr, &tm, &fraction, nullptr, nullptr) != 0) {
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	}
	const TimestampTz time = local + static_cast<int64>(DetermineTimeZoneOffset(&tm, zone)) * USECS_PER_SEC;
	// of a time that the clock shows twice the server takes the second
	int offset;
	(void)LocalTime(time - USECS_PER_DAY, zone, &offset);
	const TimestampTz first = local + static_cast<int64>(offset) * USECS_PER_SEC;
	return first < time && LocalTime(first, zone, &offset) == local ? first : time;
}

namespace {

bool
IsOfDays(const Interval &step) {
	return step.time == 0;
}

int64
ClockOf(TimestampTz time, pg_tz *zone) {
	int offset;
	return LocalTime(time, zone, &offset);
}

} // namespace

ChartSteps::ChartSteps(TimestampTz from, TimestampTz to, const Interval &step, pg_tz *zone)
	: from_(from), to_(to), zone_(IsOfDays(step) ? zone : nullptr),
	  steps_(ClockOf(from, zone_), ClockOf(to, zone_), StepLength(step.day, step.time)) {
}

uint64
ChartSteps::At(TimestampTz five_minutes) const {
	return steps_.At(ClockOf(five_minutes, zone_));
}

TimestampTz
ChartSteps::Start(Server server, uint64 step) const {
	const int64 local = steps_.Start(step);
	return step == 0 ? from_ : local >= END_TIMESTAMP ? to_ : FirstAt(server, local, zone_);
}

bool
Holds(const Bucket &bucket, TimestampTz five_minutes) {
	switch (bucket.kind) {
	case Bucket::Kind::kHour:
		return HourOf(five_minutes, bucket.zone) == bucket.start;
	case Bucket::Kind::kDay:
		return DayOf(five_minutes, bucket.zone) == bucket.start;
	case Bucket::Kind::kStep:
		return bucket.steps->Holds(five_minutes) && static_cast<int64>(bucket.steps->At(five_minutes)) == bucket.start;
	default:
		if (TIMESTAMP_NOT_FINITE(bucket.start) || TIMESTAMP_NOT_FINITE(five_minutes)) {
			return five_minutes == bucket.start;
		}
		return five_minutes >= bucket.start && five_minutes < bucket.start + bucket.length;
	}
}

Bounds
BoundsOf(Server server, const Bucket &bucket) {
	constexpr int64 kFarthest = 16 * USECS_PER_HOUR; // of a zone from UTC
	if (bucket.kind == Bucket::Kind::kDay) {
		const auto day = static_cast<DateADT>(bucket.start);
		if (DATE_NOT_FINITE(day)) {
			const TimestampTz at = StartOfDay(day, nullptr);
			return {at, at};
		}
		const int64 more = bucket.zone == nullptr ? 0 : kFarthest;
		const TimestampTz start = StartOfDay(day, nullptr);
		return {start - more, start + USECS_PER_DAY + more};
	}
	if (bucket.kind == Bucket::Kind::kStep) {
		const TimestampTz start = bucket.steps->Start(server, static_cast<uint64>(bucket.start));
		const TimestampTz end = bucket.steps->Start(server, static_cast<uint64>(bucket.start) + 1);
		return {Max(start - kFarthest, bucket.steps->from()), Min(end + kFarthest, bucket.steps->to() + kFiveMinutes)};
	}
	if (TIMESTAMP_NOT_FINITE(bucket.start)) {
		return {bucket.start, bucket.start};
	}
	if (bucket.kind == Bucket::Kind::kHour) {
		return {bucket.start - USECS_PER_HOUR, bucket.start + 2 * USECS_PER_HOUR};
	}
	return {bucket.start, bucket.start + bucket.length};
}

} // namespace auren::pg

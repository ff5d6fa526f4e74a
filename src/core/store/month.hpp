#pragma once

#include <cstdint>
#include <string>

namespace auren {

/*
 * A calendar month in UTC, the unit in which events are partitioned. Times are microseconds and days are counted
 * since 2000-01-01 00:00 UTC, as PostgreSQL counts them.
 */
class Month {
  public:
	constexpr Month() = default;
	// months since January 2000; negative before
	static constexpr Month
	FromIndex(std::int32_t index) {
		return Month(index);
	}
	static Month FromMicros(std::int64_t micros);
	static Month FromDays(std::int32_t days);

	constexpr std::int32_t
	index() const {
		return index_;
	}
	// first day
	std::int32_t StartDays() const;
	// first microsecond
	std::int64_t StartMicros() const;
	constexpr Month
	Next() const {
		return Month(index_ + 1);
	}
	int Year() const;
	int MonthOfYear() const;
	// "2026_11", the end of a partition's name
	std::string Suffix() const;
	// "2026-11-01 00:00:00+00", a partition's bound
	std::string StartText() const;

	friend constexpr bool
	operator==(Month a, Month b) {
		return a.index_ == b.index_;
	}
	friend constexpr bool
	operator!=(Month a, Month b) {
		return a.index_ != b.index_;
	}
	friend constexpr bool
	operator<(Month a, Month b) {
		return a.index_ < b.index_;
	}
	friend constexpr bool
	operator<=(Month a, Month b) {
		return a.index_ <= b.index_;
	}

  private:
	explicit constexpr Month(std::int32_t index) : index_(index) {
	}
	std::int32_t index_ = 0;
};

} // namespace auren

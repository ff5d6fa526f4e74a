#pragma once

#include <cstdint>

namespace auren {

// Days and microseconds as one length: 0 where that is none, and the longest that there is where it is longer than all that a clock shows.
std::uint64_t StepLength(std::int32_t days, std::int64_t micros);

/*
 * Steps of the same length on a clock of microseconds: the first begins at `from`, and the last before `to`. Neither the times nor their
 * distance need be far from what 64 bits hold: the whole of the server's calendar is more than that long.
 */
class Steps {
  public:
	Steps() = default; // none
	Steps(std::int64_t from, std::int64_t to, std::uint64_t length);

	std::uint64_t count() const;
	// The step that holds a time: the first for one before it.
	std::uint64_t At(std::int64_t time) const;
	// When a step begins; the end of the clock for one that does not.
	std::int64_t Start(std::uint64_t step) const;

  private:
	std::int64_t from_ = 0;
	std::uint64_t span_ = 0;
	std::uint64_t length_ = 1;
};

} // namespace auren

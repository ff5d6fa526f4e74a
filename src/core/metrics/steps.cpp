#include "core/metrics/steps.hpp"

#include <limits>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

// How far it is from one time to another, which is not earlier.
std::uint64_t
Distance(std::int64_t from, std::int64_t to) {
	return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
}

} // namespace

std::uint64_t
StepLength(std::int32_t days, std::int64_t micros) {
	constexpr std::uint64_t kDay = UINT64_C(86400000000);
	constexpr std::uint64_t kLongest = std::numeric_limits<std::uint64_t>::max();
	// of what adds and what takes away, each without its sign
	std::uint64_t plus = 0;
	std::uint64_t minus = 0;
	const std::uint64_t distance = days < 0 ? 0 - static_cast<std::uint64_t>(days) : static_cast<std::uint64_t>(days);
	std::uint64_t whole_days;
	if (__builtin_mul_overflow(distance, kDay, &whole_days)) {
		return days < 0 ? 0 : kLongest;
	}
	(days < 0 ? minus : plus) = whole_days;
	std::uint64_t *side = micros < 0 ? &minus : &plus;
	if (__builtin_add_overflow(*side, micros < 0 ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros), side)) {
		return micros < 0 ? 0 : kLongest;
	}
	return plus > minus ? plus - minus : 0;
}

Steps::Steps(std::int64_t from, std::int64_t to, std::uint64_t length) : from_(from), span_(to > from ? Distance(from, to) : 0), length_(length) {
}

std::uint64_t
Steps::count() const {
	return span_ / length_ + (span_ % length_ != 0 ? 1 : 0);
}

std::uint64_t
Steps::At(std::int64_t time) const {
	return time > from_ ? Distance(from_, time) / length_ : 0;
}

std::int64_t
Steps::Start(std::uint64_t step) const {
	std::uint64_t past;
	if (__builtin_mul_overflow(step, length_, &past) || past > Distance(from_, kEnd)) {
		return kEnd;
	}
	return static_cast<std::int64_t>(static_cast<std::uint64_t>(from_) + past);
}

} // namespace auren

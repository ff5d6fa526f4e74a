#pragma once

#include <cstdint>
#include <limits>

namespace auren {

// From a time up to, but without, another, in microseconds since 2000-01-01 00:00 UTC. The ends of the type stand for "without a bound".
struct Span {
	static constexpr std::int64_t kUnboundedFrom = std::numeric_limits<std::int64_t>::min();
	static constexpr std::int64_t kUnboundedTo = std::numeric_limits<std::int64_t>::max();

	std::int64_t from = kUnboundedFrom;
	std::int64_t to = kUnboundedTo;
};

// Whether there is a moment that both hold. Neither is empty.
constexpr bool
Overlaps(const Span &a, const Span &b) noexcept {
	return a.from < b.to && b.from < a.to;
}

} // namespace auren

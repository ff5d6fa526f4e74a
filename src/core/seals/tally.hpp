#pragma once

#include <cstdint>

#include "core/seals/digest.hpp"

namespace auren {

/*
 * Events counted, with a digest of them all that does not ask in which order they were counted: the sum of their digests modulo 2^256, the first byte
 * being the highest. The line of an event holds its stream and version, so another order of the events of a stream gives another sum.
 */
class Tally {
  public:
	void Add(const Digest &digest);
	void Add(const Tally &other);

	std::int64_t
	events() const {
		return events_;
	}
	const Digest &
	sum() const {
		return sum_;
	}
	friend bool
	operator==(const Tally &a, const Tally &b) {
		return a.events_ == b.events_ && a.sum_ == b.sum_;
	}

  private:
	void AddSum(const Digest &digest);

	std::int64_t events_ = 0;
	Digest sum_{};
};

} // namespace auren

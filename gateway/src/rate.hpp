#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace auren::gateway {

// How many requests an address may make: as many at once as in a second, then as they come back. Times are in milliseconds.
class RateLimit {
  public:
	explicit RateLimit(int a_second) : a_second_(a_second) {
	}

	// Whether one more is within the limit; it counts then.
	bool Take(const std::string &address, int64_t now);
	// Forgets the addresses that may do everything again.
	void Forget(int64_t now);

  private:
	struct Bucket {
		double left;
		int64_t at;
	};

	const double a_second_;
	std::unordered_map<std::string, Bucket> buckets_;
};

} // namespace auren::gateway

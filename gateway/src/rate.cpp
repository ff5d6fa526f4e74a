#include "rate.hpp"

#include <algorithm>

namespace auren::gateway {

bool
RateLimit::Take(const std::string &address, int64_t now) {
	auto &bucket = buckets_.emplace(address, Bucket{a_second_, now}).first->second;
	bucket.left = std::min(a_second_, bucket.left + a_second_ * static_cast<double>(now - bucket.at) / 1000);
	bucket.at = now;
	if (bucket.left < 1) {
		return false;
	}
	bucket.left -= 1;
	return true;
}

void
RateLimit::Forget(int64_t now) {
	for (auto one = buckets_.begin(); one != buckets_.end();) {
		one = now - one->second.at > 1000 ? buckets_.erase(one) : std::next(one);
	}
}

} // namespace auren::gateway

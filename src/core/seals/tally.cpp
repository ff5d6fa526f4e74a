#include "core/seals/tally.hpp"

#include "core/no_postgres.hpp"

namespace auren {

void
Tally::AddSum(const Digest &digest) {
	unsigned carry = 0;
	for (std::size_t i = digest.size(); i-- > 0;) {
		const unsigned byte = sum_[i] + digest[i] + carry;
		sum_[i] = static_cast<std::uint8_t>(byte);
		carry = byte >> 8;
	}
}

void
Tally::Add(const Digest &digest) {
	AddSum(digest);
	events_++;
}

void
Tally::Add(const Tally &other) {
	AddSum(other.sum_);
	events_ += other.events_;
}

} // namespace auren

#include "ring.hpp"

#include <algorithm>

namespace auren::gateway {

void
Ring::Restart(int64_t floor) {
	begin_ = End();
	events_.clear();
	bytes_ = 0;
	floor_ = floor;
}

void
Ring::Push(EventPtr event) {
	bytes_ += event->Bytes();
	events_.push_back(std::move(event));
	Shrink();
}

void
Ring::Bound(size_t most_bytes) {
	most_bytes_ = most_bytes;
	Shrink();
}

void
Ring::Shrink() {
	while (bytes_ > most_bytes_ && events_.size() > 1) {
		bytes_ -= events_.front()->Bytes();
		floor_ = events_.front()->position;
		events_.pop_front();
		begin_++;
	}
}

uint64_t
Ring::FirstAfter(int64_t position) const {
	const auto found =
		std::upper_bound(events_.begin(), events_.end(), position, [](int64_t wanted, const EventPtr &event) { return wanted < event->position; });
	return begin_ + static_cast<uint64_t>(found - events_.begin());
}

} // namespace auren::gateway

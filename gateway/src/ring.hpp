#pragma once

#include <cstdint>
#include <deque>

#include "event.hpp"

namespace auren::gateway {

/*
 * The newest events of a log, in order of position, bounded by their bytes. Each has a number that stays the same while it is there.
 * All events of the log after Floor() are in the ring: so whoever has everything up to a position that is not below it misses nothing here.
 */
class Ring {
  public:
	// How many bytes the events may have from now on.
	void Bound(size_t most_bytes);
	// Forgets all events; what comes is after this position.
	void Restart(int64_t floor);
	// Events come in order of position. The oldest go until the bytes are within the bound; the newest stays, however large it is.
	void Push(EventPtr event);

	int64_t
	Floor() const {
		return floor_;
	}
	uint64_t
	Begin() const {
		return begin_;
	}
	uint64_t
	End() const {
		return begin_ + events_.size();
	}
	size_t
	Bytes() const {
		return bytes_;
	}
	const EventPtr &
	At(uint64_t number) const {
		return events_[number - begin_];
	}
	// The number of the first event after a position, End() when there is none.
	uint64_t FirstAfter(int64_t position) const;

  private:
	void Shrink();

	std::deque<EventPtr> events_;
	size_t most_bytes_ = 0;
	size_t bytes_ = 0;
	uint64_t begin_ = 0;
	int64_t floor_ = 0;
};

} // namespace auren::gateway

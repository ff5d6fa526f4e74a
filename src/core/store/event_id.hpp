#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace auren {

using EventId = std::array<std::uint8_t, 16>;

/*
 * Makes the store's own ids: UUIDv7 (RFC 9562, section 5.7) whose 48 bits of milliseconds are followed by the
 * microseconds of the event's time in the 12 bits of rand_a (method 3), so that the id alone says in which month and
 * at which created_at its event lies. Ids made one after the other for the same microsecond ascend (method 2),
 * which keeps a batch's index entries next to each other.
 */
class EventIdMaker {
  public:
	// `unix_micros`: time of the event, microseconds since 1970, not negative; `random`: 64 bits of a cryptographic source
	EventId Make(std::int64_t unix_micros, std::uint64_t random);

  private:
	std::int64_t last_micros_ = -1;
	std::uint64_t last_tail_ = 0;
};

// Microseconds since 1970 in a UUIDv7 as EventIdMaker makes it; nothing when the id is of another kind.
std::optional<std::int64_t> MicrosOfEventId(const EventId &id);

} // namespace auren

#include "core/store/event_id.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::uint64_t kTailBits = 62;
constexpr std::uint64_t kTailMask = (std::uint64_t{1} << kTailBits) - 1;

} // namespace

EventId
EventIdMaker::Make(std::int64_t unix_micros, std::uint64_t random) {
	std::uint64_t tail;
	if (unix_micros == last_micros_) {
		// a random step of at most 2^32: ascending, and still not to be guessed
		tail = (last_tail_ + 1 + (random & 0xFFFF'FFFFu)) & kTailMask;
	} else {
		// the top bit stays free for the steps
		tail = random & (kTailMask >> 1);
	}
	last_micros_ = unix_micros;
	last_tail_ = tail;

	const std::uint64_t millis = static_cast<std::uint64_t>(unix_micros / 1000);
	const std::uint64_t micros = static_cast<std::uint64_t>(unix_micros % 1000);
	const std::uint64_t head = (millis << 16) | (std::uint64_t{7} << 12) | micros;
	const std::uint64_t rest = (std::uint64_t{2} << kTailBits) | tail;
	EventId id;
	for (int i = 0; i < 8; i++) {
		id[i] = static_cast<std::uint8_t>(head >> (56 - 8 * i));
		id[8 + i] = static_cast<std::uint8_t>(rest >> (56 - 8 * i));
	}
	return id;
}

std::optional<std::int64_t>
MicrosOfEventId(const EventId &id) {
	std::uint64_t head = 0;
	for (int i = 0; i < 8; i++) {
		head = (head << 8) | id[i];
	}
	const std::uint64_t micros = head & 0xFFF;
	if (((head >> 12) & 0xF) != 7 || (id[8] >> 6) != 2 || micros > 999) {
		return std::nullopt;
	}
	return static_cast<std::int64_t>((head >> 16) * 1000 + micros);
}

} // namespace auren

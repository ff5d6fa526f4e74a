// An id says the time it was made for and ascends within it; of any 16 bytes only those laid out so are taken for ours.

#include "core/store/event_id.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;

namespace {

std::uint64_t
Number(Bytes *bytes, int count) {
	std::uint64_t number = 0;
	for (int i = 0; i < count; i++) {
		number = number << 8 | bytes->Byte();
	}
	return number;
}

void
CheckForeign(Bytes *bytes) {
	EventId id;
	for (std::uint8_t &byte : id) {
		byte = bytes->Byte();
	}
	// a third of the inputs gets the version and the variant, which are seldom guessed, and some a fraction near the
	// limit
	if (id[15] % 3 == 0) {
		id[6] = 0x70 | (id[6] & 0x0F);
		id[8] = 0x80 | (id[8] & 0x3F);
		if (id[14] % 2 == 0) {
			id[6] = 0x73;
			id[7] = static_cast<std::uint8_t>(0xE0 + id[7] % 16); // 992 to 1007
		}
	}
	const auto micros = MicrosOfEventId(id);
	const int fraction = (id[6] & 0x0F) * 256 + id[7];
	const bool ours = (id[6] & 0xF0) == 0x70 && (id[8] & 0xC0) == 0x80 && fraction < 1000;
	Require(micros.has_value() == ours);
	if (ours) {
		std::int64_t millis = 0;
		for (int i = 0; i < 6; i++) {
			millis = millis * 256 + id[i];
		}
		Require(*micros / 1000 == millis && *micros % 1000 == fraction);
	}
}

void
CheckMade(Bytes *bytes) {
	EventIdMaker maker;
	auto micros = static_cast<std::int64_t>(Number(bytes, 6));
	std::int64_t last_micros = -1;
	EventId last{};
	while (!bytes->empty()) {
		const std::uint8_t step = bytes->Byte();
		micros += step < 200 ? 0 : step;
		const EventId id = maker.Make(micros, Number(bytes, 8));
		Require((id[6] & 0xF0) == 0x70 && (id[8] & 0xC0) == 0x80);
		Require(MicrosOfEventId(id) == micros);
		Require(last_micros < 0 || last < id);
		last = id;
		last_micros = micros;
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	CheckForeign(&bytes);
	CheckMade(&bytes);
	return 0;
}

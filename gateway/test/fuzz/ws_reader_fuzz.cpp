// What a client sends on a WebSocket, in pieces of any size: the same messages come out as from one piece, and what is kept is bounded.
#include "bad_input.hpp"
#include "fuzz.hpp"
#include "text.hpp"
#include "ws_frame.hpp"

using namespace auren::gateway;

namespace {

// The messages up to the one that is refused.
std::string
Read(std::string_view bytes, size_t piece) {
	WsReader reader(256);
	std::string all;
	try {
		for (size_t i = 0; i < bytes.size(); i += piece) {
			for (const auto &message : reader.Take(bytes.substr(i, piece))) {
				REQUIRE(message.payload.size() <= 256);
				REQUIRE(message.opcode != WsOpcode::kText || IsUtf8(message.payload));
				all += std::to_string(static_cast<int>(message.opcode)) + message.payload;
			}
		}
	} catch (const BadInput &) {
		all += "refused";
	}
	return all;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const auto bytes = TextOf(data, size);
	const auto one_by_one = Read(bytes, 1);
	const auto by_three = Read(bytes, 3);
	// a piece that is refused takes the messages before it with it
	if (one_by_one.size() < 7 || one_by_one.compare(one_by_one.size() - 7, 7, "refused") != 0) {
		REQUIRE(one_by_one == by_three && one_by_one == Read(bytes, bytes.size() + 1));
	}
	JsonLine(bytes);
	return 0;
}

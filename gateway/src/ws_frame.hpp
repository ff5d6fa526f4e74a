#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace auren::gateway {

enum class WsOpcode : uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// The header of an unmasked, unfragmented frame, as a server sends it.
std::string WsHeader(WsOpcode opcode, size_t size);

// A whole frame.
std::string WsFrame(WsOpcode opcode, std::string_view payload);

// The payload of a close frame; the reason is cut to the 123 bytes that it may have.
std::string WsClosePayload(uint16_t code, std::string_view reason);

// What Sec-WebSocket-Accept must say to a client's key (RFC 6455, section 4.2.2). Throws BadInput when the key is not 16 bytes of base64.
std::string WsAccept(std::string_view key);

struct WsMessage {
	WsOpcode opcode = WsOpcode::kText;
	std::string payload;
};

// Puts together what a client sends. It holds at most the largest message and a header.
class WsReader {
  public:
	explicit WsReader(size_t most_bytes) : most_bytes_(most_bytes) {
	}

	// Takes bytes and gives the messages that are whole now, control frames included. Throws BadInput for what RFC 6455 forbids a client, and
	// for a message that is too large; after that the connection must be closed.
	std::vector<WsMessage> Take(std::string_view bytes);

  private:
	bool TakeFrame(std::vector<WsMessage> *messages);
	void TakePayload(uint8_t first, std::string payload, std::vector<WsMessage> *messages);

	size_t most_bytes_;
	std::string bytes_;
	std::string fragments_;
	WsOpcode fragmented_ = WsOpcode::kContinuation; // of what message; kContinuation: none is under way
};

} // namespace auren::gateway

#include "ws_frame.hpp"

#include <openssl/evp.h>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kMasked = 0x80;

struct FrameHeader {
	uint8_t first = 0;
	size_t header_size = 0;
	uint64_t payload_size = 0;
};

// The header at the beginning of the bytes, mask included; a header_size of 0 when it is not whole yet.
FrameHeader
ReadHeader(std::string_view bytes) {
	const auto at = [&](size_t i) {
		return static_cast<uint8_t>(bytes[i]);
	};
	FrameHeader header;
	if (bytes.size() < 2) {
		return header;
	}
	header.first = at(0);
	if ((at(1) & kMasked) == 0) {
		throw BadInput("a client's frame must be masked");
	}
	const uint8_t length = at(1) & 0x7F;
	const size_t more = length == 127 ? 8 : length == 126 ? 2 : 0;
	if (bytes.size() < 2 + more + 4) {
		return header;
	}
	header.payload_size = more == 0 ? length : 0;
	for (size_t i = 0; i < more; i++) {
		header.payload_size = header.payload_size << 8 | at(2 + i);
	}
	header.header_size = 2 + more + 4;
	return header;
}

void
CheckFrame(uint8_t first, uint64_t size) {
	const uint8_t opcode = first & 0x0F;
	if ((first & 0x70) != 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
		throw BadInput("the frame has bits or an opcode that nobody agreed on");
	}
	if (opcode >= 8 && (size > 125 || (first & kFinal) == 0)) {
		throw BadInput("a control frame must be whole and have at most 125 bytes");
	}
}

} // namespace

std::string
WsHeader(WsOpcode opcode, size_t size) {
	std::string header(1, static_cast<char>(kFinal | static_cast<uint8_t>(opcode)));
	const int bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
	header += static_cast<char>(bytes == 0 ? size : bytes == 2 ? 126 : 127);
	for (int i = bytes - 1; i >= 0; i--) {
		header += static_cast<char>(static_cast<uint64_t>(size) >> (8 * i) & 255);
	}
	return header;
}

std::string
WsFrame(WsOpcode opcode, std::string_view payload) {
	auto frame = WsHeader(opcode, payload.size());
	frame += payload;
	return frame;
}

std::string
WsClosePayload(uint16_t code, std::string_view reason) {
	std::string payload;
	payload += static_cast<char>(code >> 8);
	payload += static_cast<char>(code & 255);
	payload += reason.substr(0, 123);
	return payload;
}

std::string
WsAccept(std::string_view key) {
	if (key.size() != 24 || key.substr(22) != "==") {
		throw BadInput("Sec-WebSocket-Key must be 16 bytes in base64");
	}
	const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) != 1) {
		throw BadInput("the handshake cannot be answered: SHA-1 is not there");
	}
	return EncodeBase64({reinterpret_cast<const char *>(digest), size});
}

std::vector<WsMessage>
WsReader::Take(std::string_view bytes) {
	std::vector<WsMessage> messages;
	bytes_ += bytes;
	while (TakeFrame(&messages)) {
	}
	return messages;
}

bool
WsReader::TakeFrame(std::vector<WsMessage> *messages) {
	const FrameHeader header = ReadHeader(bytes_);
	if (header.header_size == 0) {
		return false;
	}
	CheckFrame(header.first, header.payload_size);
	if (header.payload_size > most_bytes_ || header.payload_size + fragments_.size() > most_bytes_) {
		throw BadInput("a message may have at most " + std::to_string(most_bytes_) + " bytes");
	}
	const size_t size = static_cast<size_t>(header.payload_size);
	if (bytes_.size() < header.header_size + size) {
		return false;
	}
	std::string payload = bytes_.substr(header.header_size, size);
	for (size_t i = 0; i < size; i++) {
		payload[i] = static_cast<char>(payload[i] ^ bytes_[header.header_size - 4 + i % 4]);
	}
	bytes_.erase(0, header.header_size + size);
	TakePayload(header.first, std::move(payload), messages);
	return true;
}

void
WsReader::TakePayload(uint8_t first, std::string payload, std::vector<WsMessage> *messages) {
	const auto opcode = static_cast<WsOpcode>(first & 0x0F);
	if (opcode >= WsOpcode::kClose) {
		messages->push_back({opcode, std::move(payload)});
		return;
	}
	if ((opcode == WsOpcode::kContinuation) == (fragmented_ == WsOpcode::kContinuation)) {
		throw BadInput("the fragments of a message are out of order");
	}
	if (opcode != WsOpcode::kContinuation) {
		fragmented_ = opcode;
	}
	fragments_ += payload;
	if ((first & kFinal) == 0) {
		return;
	}
	if (fragmented_ == WsOpcode::kText && !IsUtf8(fragments_)) {
		throw BadInput("a text message must be UTF-8");
	}
	messages->push_back({fragmented_, std::move(fragments_)});
	fragments_.clear();
	fragmented_ = WsOpcode::kContinuation;
}

} // namespace auren::gateway

#include "ws_frame.hpp"

#include "expect_bad.hpp"

namespace auren::gateway {
namespace {

// A frame as a client sends it, masked.
std::string
ClientFrame(unsigned char first, const std::string &payload) {
	std::string frame = WsHeader(WsOpcode::kText, payload.size());
	frame[0] = static_cast<char>(first);
	frame[1] = static_cast<char>(frame[1] | 0x80);
	const std::string mask = "\x01\x82\x03\xff";
	frame += mask;
	for (size_t i = 0; i < payload.size(); i++) {
		frame += static_cast<char>(payload[i] ^ mask[i % 4]);
	}
	return frame;
}

TEST(WsFrame, AcceptsAKeyAsTheStandardSays) {
	EXPECT_EQ(WsAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	EXPECT_THROW(WsAccept("short"), BadInput);
}

TEST(WsFrame, HeadersOfAllSizes) {
	EXPECT_EQ(WsHeader(WsOpcode::kText, 125), std::string("\x81\x7d", 2));
	EXPECT_EQ(WsHeader(WsOpcode::kText, 126), std::string("\x81\x7e\x00\x7e", 4));
	EXPECT_EQ(WsHeader(WsOpcode::kText, 65536), std::string("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
	EXPECT_EQ(WsClosePayload(1008, std::string(200, 'a')).size(), 125U);
}

TEST(WsReader, TakesMessagesByteByByte) {
	const std::string bytes = ClientFrame(0x81, "hello") + ClientFrame(0x89, "p") + ClientFrame(0x01, "wor") + ClientFrame(0x8A, "") +
	                          ClientFrame(0x80, "ld") + ClientFrame(0x82, std::string(300, 'b'));
	WsReader reader(1000);
	std::vector<WsMessage> all;
	for (const char c : bytes) {
		for (auto &message : reader.Take({&c, 1})) {
			all.push_back(std::move(message));
		}
	}
	ASSERT_EQ(all.size(), 5U);
	EXPECT_EQ(all[0].payload, "hello");
	EXPECT_EQ(all[1].opcode, WsOpcode::kPing);
	EXPECT_EQ(all[2].opcode, WsOpcode::kPong);
	EXPECT_EQ(all[3].payload, "world");
	EXPECT_EQ(all[3].opcode, WsOpcode::kText);
	EXPECT_EQ(all[4].opcode, WsOpcode::kBinary);
	EXPECT_EQ(all[4].payload.size(), 300U);
}

TEST(WsReader, RefusesWhatAClientMustNotSend) {
	const auto refuse = [](const std::string &bytes) {
		EXPECT_THROW(WsReader(1000).Take(bytes), BadInput);
	};
	refuse(WsFrame(WsOpcode::kText, "not masked"));
	refuse(ClientFrame(0xC1, "a bit that nobody agreed on"));
	refuse(ClientFrame(0x83, "an opcode that is reserved"));
	refuse(ClientFrame(0x09, "a ping in fragments"));
	refuse(ClientFrame(0x89, std::string(126, 'p')));
	refuse(ClientFrame(0x80, "a continuation of nothing"));
	refuse(ClientFrame(0x01, "a") + ClientFrame(0x81, "a message within another"));
	refuse(ClientFrame(0x81, std::string(1001, 'a')));
	refuse(ClientFrame(0x01, std::string(600, 'a')) + ClientFrame(0x80, std::string(600, 'a')));
	refuse(ClientFrame(0x81, "\xff"));
	refuse(std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 14));
}

} // namespace
} // namespace auren::gateway

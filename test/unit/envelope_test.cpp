#include "core/encrypted/envelope.hpp"

#include <gtest/gtest.h>

#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

namespace {

std::string
MakeEnvelope(const EnvelopeHeader &header, const std::string &rest) {
	std::string body(kEnvelopeHeaderBytes, '\0');
	WriteEnvelopeHeader(header, reinterpret_cast<std::uint8_t *>(&body[0]));
	body += rest;
	std::string text(EnvelopeLength(rest.size() - kEnvelopeTagBytes), '\0');
	WriteEnvelope(reinterpret_cast<const std::uint8_t *>(body.data()), body.size(), &text[0]);
	return text;
}

std::string
Associated(const EnvelopeHeader &header, std::string_view tenant, std::string_view user, std::string_view field) {
	std::string bytes;
	AppendAssociated(header, tenant, user, field, &bytes);
	return bytes;
}

} // namespace

TEST(Envelope, ComesBackAsItWas) {
	for (int flags = 0; flags < 4; flags++) {
		for (std::size_t plain = 0; plain < 20; plain++) {
			EnvelopeHeader header;
			header.key_id = 0xFEDCBA9876543210U + plain;
			header.json = (flags & 1) != 0;
			header.field_bound = (flags & 2) != 0;
			for (int i = 0; i < 12; i++) {
				header.nonce[i] = static_cast<std::uint8_t>(250 + i);
			}
			const std::string rest(plain + kEnvelopeTagBytes, '\xC7');
			const std::string text = MakeEnvelope(header, rest);
			std::string body;
			const EnvelopeHeader read = ReadEnvelope(text, &body);
			EXPECT_EQ(read.key_id, header.key_id);
			EXPECT_EQ(read.json, header.json);
			EXPECT_EQ(read.field_bound, header.field_bound);
			EXPECT_EQ(std::string(reinterpret_cast<const char *>(read.nonce), 12), std::string(reinterpret_cast<const char *>(header.nonce), 12));
			EXPECT_EQ(body.substr(kEnvelopeHeaderBytes), rest);
			EXPECT_TRUE(LooksLikeEnvelope(text));
			EXPECT_EQ(MakeEnvelope(read, body.substr(kEnvelopeHeaderBytes)), text);
		}
	}
}

// A changed bit makes another character: no envelope at all, or one of other bytes, which the tag refuses. Never the same bytes.
TEST(Envelope, NoTwoTextsForTheSameBytes) {
	for (std::size_t plain = 0; plain < 3; plain++) {
		std::string text = MakeEnvelope(EnvelopeHeader(), std::string(plain + kEnvelopeTagBytes, '\x5A'));
		std::string body;
		(void)ReadEnvelope(text, &body);
		for (std::size_t bit = 0; bit < text.size() * 8; bit++) {
			text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
			EnvelopeHeader header;
			std::string other;
			if (TryReadEnvelope(text, &header, &other)) {
				EXPECT_NE(other, body) << bit;
			}
			text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
		}
	}
}

TEST(Envelope, WhatIsNone) {
	std::string body;
	const std::string text = MakeEnvelope(EnvelopeHeader(), std::string(kEnvelopeTagBytes, 'x'));
	for (const std::string &bad :
	     {std::string(), std::string("72"), std::string("phi1:"), std::string("phi"), std::string("phi:"), text + "=", text + "AAA",
	      text.substr(0, text.size() - 1), text + "\n", " " + text, text.substr(0, 30) + "+" + text.substr(31), "PHI1" + text.substr(4)}) {
		ExpectError("22P02", [&] { (void)ReadEnvelope(bad, &body); });
	}
	ExpectError("0A000", [&] { (void)ReadEnvelope("phi2" + text.substr(4), &body); });
	ExpectError("0A000", [&] { (void)ReadEnvelope("phi1234567890123456789012345:x", &body); });
	// flags that mean nothing yet
	std::string unknown(kEnvelopeHeaderBytes + kEnvelopeTagBytes, '\4');
	std::string written(EnvelopeLength(0), '\0');
	WriteEnvelope(reinterpret_cast<const std::uint8_t *>(unknown.data()), unknown.size(), &written[0]);
	ExpectError("22P02", [&] { (void)ReadEnvelope(written, &body); });
	// what it is not must not be shown
	EXPECT_EQ(ExpectError("22P02", [&] { (void)ReadEnvelope("a secret", &body); }).detail().find("secret"), std::string::npos);
}

TEST(Envelope, BoundWithoutTwoMeanings) {
	EnvelopeHeader header;
	header.field_bound = true;
	const std::string wanted = Associated(header, "t", "user", "field");
	EXPECT_EQ(wanted, Associated(header, "t", "user", "field"));
	EXPECT_NE(wanted, Associated(header, "tu", "ser", "field"));
	EXPECT_NE(wanted, Associated(header, "t", "userf", "ield"));
	EXPECT_NE(wanted, Associated(header, "t", "user", ""));
	EXPECT_NE(wanted, Associated(header, "", "tuser", "field"));
	EnvelopeHeader unbound;
	EXPECT_NE(Associated(header, "t", "user", ""), Associated(unbound, "t", "user", ""));
	EXPECT_EQ(Associated(unbound, "t", "user", "a"), Associated(unbound, "t", "user", "b"));
	EnvelopeHeader other = header;
	other.key_id = 1;
	EXPECT_NE(wanted, Associated(other, "t", "user", "field"));
	other = header;
	other.json = true;
	EXPECT_NE(wanted, Associated(other, "t", "user", "field"));
	EXPECT_NE(AssociatedOfKey(1, "m", "t", "u"), AssociatedOfKey(2, "m", "t", "u"));
	EXPECT_NE(AssociatedOfKey(1, "m", "t", "u"), AssociatedOfKey(1, "mt", "", "u"));
}

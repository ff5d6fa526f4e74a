// core/notify/notification.hpp: payloads that are valid JSON, exact and never too long.

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/notify/notification.hpp"

namespace auren::test {
namespace {

using Kind = PayloadField::Kind;
using nlohmann::json;

TEST(Notification, FieldsKeepTheirOrderAndKinds) {
	EXPECT_EQ(ComposePayload({{"user_id", Kind::kText, "u1", true},
	                          {"from_mode", Kind::kNull, "", false},
	                          {"confidence", Kind::kLiteral, "0.870", false},
	                          {"on", Kind::kLiteral, "true", false}}),
	          R"({"user_id": "u1", "from_mode": null, "confidence": 0.870, "on": true})");
	EXPECT_EQ(ComposePayload({}), "{}");
}

TEST(Notification, NumbersKeepTheirDigits) {
	for (const std::string number : {"0.10", "12345678901234567890", "1e400", "-0.0"}) {
		EXPECT_EQ(ComposePayload({{"n", Kind::kLiteral, number, false}}), "{\"n\": " + number + "}");
	}
}

TEST(Notification, TextIsEscaped) {
	const std::string text = "\"\\\n\t\x01 \xC3\xBC \xF0\x9F\x98\x80";
	EXPECT_EQ(json::parse(ComposePayload({{"t", Kind::kText, text, false}})).at("t").get<std::string>(), text);
	// bytes that are no UTF-8 are replaced, not passed on
	EXPECT_EQ(json::parse(ComposePayload({{"t", Kind::kText,
	                                       "a\xFF"
	                                       "b",
	                                       false}}))
	              .at("t")
	              .get<std::string>(),
	          "a\xEF\xBF\xBD"
	          "b");
}

// A client may rename fields, and one that reads bytes must find its own: escapes are for what JSON demands only.
TEST(Notification, NamesAreEscapedAndUnicodeIsNot) {
	EXPECT_EQ(ComposePayload({{"a\"b\\", Kind::kText, "\xC3\xBC", false}}), "{\"a\\\"b\\\\\": \"\xC3\xBC\"}");
	EXPECT_EQ(ComposePayload({{"t", Kind::kText, "</script>\x7F", false}}), "{\"t\": \"</script>\x7F\"}");
}

TEST(Notification, EmptyTextIsNotNull) {
	EXPECT_EQ(ComposePayload({{"a", Kind::kText, "", false}, {"b", Kind::kNull, "ignored", false}}), R"({"a": "", "b": null})");
}

TEST(Notification, TooLongIsCutToItsIdentifyingFields) {
	const std::vector<PayloadField> fields = {
		{"user_id", Kind::kText, "u1", true}, {"memory_key", Kind::kText, "k", true}, {"from_tier", Kind::kText, std::string(9000, 'x'), false}};
	EXPECT_EQ(ComposePayload(fields), R"({"user_id": "u1", "memory_key": "k", "truncated": true})");
	EXPECT_EQ(ComposePayload({{"a", Kind::kText, std::string(9000, 'x'), false}}), R"({"truncated": true})");
}

TEST(Notification, TheLimitIsTheServers) {
	const auto of_length = [](std::size_t size) {
		return ComposePayload({{"user_id", Kind::kText, "u", true}, {"x", Kind::kText, std::string(size, 'x'), false}});
	};
	const std::size_t frame = of_length(0).size();
	EXPECT_EQ(of_length(7999 - frame).size(), 7999u);
	EXPECT_EQ(of_length(8000 - frame), R"({"user_id": "u", "truncated": true})");
}

TEST(Notification, AnIdentifyingTextIsCutBetweenCharacters) {
	for (const std::string character : {"x", "\xC3\xBC", "\xE2\x98\x83", "\xF0\x9F\x98\x80", "\x01", "\""}) {
		std::string text;
		while (text.size() < 20'000) {
			text += character;
		}
		const std::string payload = ComposePayload({{"user_id", Kind::kText, text, true}});
		EXPECT_LE(payload.size(), kMaxPayloadBytes);
		const json parsed = json::parse(payload);
		EXPECT_EQ(parsed.at("truncated"), true);
		const std::string kept = parsed.at("user_id").get<std::string>();
		EXPECT_GT(kept.size(), 500u);
		EXPECT_EQ(kept.size() % character.size(), 0u) << character;
		EXPECT_EQ(text.compare(0, kept.size(), kept), 0);
	}
}

// Who is meant must not suffer from what else is long.
TEST(Notification, ShortIdentifyingFieldsStayWholeBesideALongOne) {
	const std::string payload = ComposePayload({{"user_id", Kind::kLiteral, "12345678901234567890", true},
	                                            {"memory_key", Kind::kText, std::string(20'000, 'k'), true},
	                                            {"tenant", Kind::kNull, "", true},
	                                            {"from_tier", Kind::kText, "hot", false}});
	EXPECT_LE(payload.size(), kMaxPayloadBytes);
	EXPECT_EQ(payload.find("{\"user_id\": 12345678901234567890, \"memory_key\": \"kkk"), 0u) << payload.substr(0, 80);
	const std::string end = "\", \"tenant\": null, \"truncated\": true}";
	EXPECT_EQ(payload.substr(payload.size() - end.size()), end);
}

TEST(Notification, FieldsThatAreNotIdentifyingNeverOutliveOnesThatAre) {
	const std::string payload = ComposePayload({{"small", Kind::kText, "s", false}, {"user_id", Kind::kText, std::string(500, 'u'), true}}, 100);
	const json parsed = json::parse(payload);
	EXPECT_FALSE(parsed.contains("small")) << payload;
	EXPECT_TRUE(parsed.contains("user_id")) << payload;
	EXPECT_LE(payload.size(), 100u);
}

TEST(Notification, ANumberIsNeverCutToAnotherNumber) {
	const json parsed = json::parse(ComposePayload({{"user_id", Kind::kLiteral, std::string(20'000, '9'), true}}));
	EXPECT_TRUE(parsed.at("user_id").is_string());
}

TEST(Notification, NumbersOfJson) {
	for (const std::string good : {"0", "-0", "10", "0.10", "1e400", "1E+5", "-1.5e-7", "123456789012345678901234567890"}) {
		EXPECT_TRUE(IsJsonNumber(good)) << good;
	}
	EXPECT_TRUE(IsJsonNumber("1" + std::string(400, '0')));
	for (const std::string bad :
	     {"", "-", "+1", ".5", "5.", "01", "-01", "1e", "1e+", "1.e5", "NaN", "Infinity", "-Infinity", "1 ", " 1", "1\n", "0x1", "1,5", "1e5.5"}) {
		EXPECT_FALSE(IsJsonNumber(bad)) << bad;
	}
	EXPECT_FALSE(IsJsonNumber(std::string("1\0", 2)));
}

TEST(Notification, RandomFieldsMakeValidJsonWithinTheLimit) {
	std::mt19937 random(7);
	for (int round = 0; round < 3'000; round++) {
		std::vector<PayloadField> fields;
		for (unsigned n = random() % 5; n > 0; n--) {
			std::string text;
			for (unsigned length = random() % 400; length > 0; length--) {
				text += static_cast<char>(random() % 256);
			}
			fields.push_back({"f" + std::to_string(n), Kind::kText, text, random() % 2 == 0});
		}
		const std::string payload = ComposePayload(fields, 200);
		ASSERT_TRUE(json::accept(payload)) << payload;
		ASSERT_LE(payload.size(), 200u);
	}
}

} // namespace
} // namespace auren::test

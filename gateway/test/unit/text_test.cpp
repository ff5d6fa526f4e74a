#include "text.hpp"

#include "event.hpp"
#include "expect_bad.hpp"

namespace auren::gateway {
namespace {

TEST(Base64, DecodesWhatItEncodes) {
	for (const std::string &bytes : std::vector<std::string>{"", "a", "ab", "abc", std::string("\xff\xfe\x00\x01", 4)}) {
		EXPECT_EQ(DecodeBase64Url(EncodeBase64Url(bytes)), bytes);
	}
	EXPECT_EQ(EncodeBase64Url("\xfb\xff"), "-_8");
	EXPECT_EQ(EncodeBase64("ab"), "YWI=");
	EXPECT_EQ(EncodeBase64("abc"), "YWJj");
}

TEST(Base64, RefusesPaddingOtherLettersAndBitsLeftOver) {
	for (const char *text : {"YQ==", "Y", "Y Q", "YR", "Yw+/", "YWI\n"}) {
		EXPECT_THROW(DecodeBase64Url(text), BadInput) << text;
	}
}

TEST(Json, HasBounds) {
	EXPECT_EQ(ParseJson(R"({"a":[1,{"b":"]]]]{{{{\"[["}]})", {100, 3})["a"][0], 1);
	EXPECT_REFUSED(ParseJson(R"([[[[1]]]])", (JsonBounds{100, 3})), BadInput, "nested");
	EXPECT_REFUSED(ParseJson(std::string(200, ' '), (JsonBounds{100, 3})), BadInput, "bytes");
	EXPECT_REFUSED(ParseJson(R"({"a":1,"a":2})", (JsonBounds{100, 3})), BadInput, "twice");
	EXPECT_REFUSED(ParseJson(R"({"a":1)", (JsonBounds{100, 3})), BadInput, "not JSON");
	// the same key in two objects
	EXPECT_EQ(ParseJson(R"({"a":{"a":2}})", {100, 3})["a"]["a"], 2);
}

TEST(Json, APayloadBecomesOneLine) {
	EXPECT_EQ(JsonLine("{\"a\":\n1}"), "{\"a\": 1}");
	EXPECT_EQ(JsonLine("not JSON\n\"x\""), R"("not JSON\u000a\"x\"")");
	EXPECT_EQ(JsonLine(std::string(100, '[') + std::string(100, ']')).front(), '"');
	EXPECT_EQ(JsonLine("\xff"), R"("not UTF-8")");
}

TEST(Utf8, RefusesWhatIsNotWellFormed) {
	EXPECT_TRUE(IsUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	for (const char *text : {"\xc3", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82"}) {
		EXPECT_FALSE(IsUtf8(text));
	}
}

TEST(Event, IsOneTextForBothWires) {
	EventColumns columns;
	columns.position = "42";
	columns.event_id = "0190";
	columns.stream_id = "user:1";
	columns.stream_version = "3";
	columns.event_type = "mode\"switched";
	columns.event_data = R"({"a": 1})";
	columns.created_at = "2026-11-24 10:00:00.5+00";
	columns.tags = R"(["a","b,c"])";
	const auto event = MakeEvent("epoch", columns);
	EXPECT_EQ(event->position, 42);
	EXPECT_EQ(event->tags, (std::vector<std::string>{"a", "b,c"}));
	EXPECT_EQ(event->Id(), "epoch:42");
	EXPECT_EQ(event->Json(),
	          R"({"position":42,"event_id":"0190","stream_id":"user:1","stream_version":3,"event_type":"mode\"switched","event_data":{"a": 1},)"
	          R"("metadata":null,"created_at":"2026-11-24T10:00:00.5+00:00","created_by":null,"tags":["a","b,c"]})");
	EXPECT_EQ(event->text, "id: epoch:42\ndata: " + std::string(event->Json()) + "\n\n");
}

} // namespace
} // namespace auren::gateway

#include "core/seals/canonical_line.hpp"

#include <gtest/gtest.h>

#include "core/seals/digest.hpp"

using namespace auren;

namespace {

EventLine
Sample() {
	EventLine event = {};
	event.global_position = 7;
	event.event_id = {0x01, 0x9a, 0x2b, 0x3c, 0x4d, 0x5e, 0x70, 0x01, 0x80, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
	event.tenant_id = "default";
	event.stream_id = "user:1";
	event.stream_version = 1;
	event.event_type = "device_connected";
	event.event_data = "{\"device\": \"watch\", \"charge\": 0.10}";
	event.metadata = "{}";
	event.created_at = 849148555'123456; // 2026-11-28 02:35:55.123456
	event.created_by = "system";
	return event;
}

std::string
LineOf(const EventLine &event) {
	std::string line;
	AppendLine(&line, event);
	return line;
}

} // namespace

// doc/seals.md prints both.
TEST(CanonicalLine, IsThatOfTheDocument) {
	EventLine event = Sample();
	const std::string line = LineOf(event);
	EXPECT_EQ(line, "{\"global_position\":7,\"event_id\":\"019a2b3c-4d5e-7001-8002-030405060708\",\"tenant_id\":\"default\",\"stream_id\":\"user:1\","
	                "\"stream_version\":1,\"event_type\":\"device_connected\",\"event_data\":{\"device\": \"watch\", \"charge\": 0.10},"
	                "\"metadata\":{},\"created_at\":\"2026-11-28T02:35:55.123456Z\",\"created_by\":\"system\",\"tags\":[]}");
	Hasher hasher;
	EXPECT_EQ(Hex(BytesOf(hasher.Leaf(line))), "9e053437d502d7ec8c5ec29be46d67f364547550593fca84a6c13558bed55a26");
	const std::string_view tags[] = {"room:12", "student:ada"};
	event.global_position = 8;
	event.stream_version = 2;
	event.created_by = "a \"quoted\" name\\\n\x01";
	event.tags = tags;
	event.tag_count = 2;
	const std::string second = LineOf(event);
	EXPECT_EQ(second.substr(second.find("\"created_by\"")),
	          "\"created_by\":\"a \\\"quoted\\\" name\\\\\\n\\u0001\",\"tags\":[\"room:12\",\"student:ada\"]}");
	EXPECT_EQ(Hex(BytesOf(hasher.Leaf(second))), "569a7a0197102127de803b252cc5ec211ecee39409a02bdd0b5450b3d7f58cb3");
}

TEST(CanonicalLine, EscapesWhatItMustAndNothingElse) {
	EventLine event = Sample();
	event.created_by = "\b\f\n\r\t\x1f\"\\/\x7f\xc3\xa4";
	EXPECT_NE(LineOf(event).find("\"created_by\":\"\\b\\f\\n\\r\\t\\u001f\\\"\\\\/\x7f\xc3\xa4\","), std::string::npos);
}

TEST(CanonicalLine, TimesAreOfUtcToTheMicrosecond) {
	EXPECT_EQ(TimeText(0), "2000-01-01T00:00:00.000000Z");
	EXPECT_EQ(TimeText(-1), "1999-12-31T23:59:59.999999Z");
	EXPECT_EQ(TimeText(849148555'123456), "2026-11-28T02:35:55.123456Z");
	EXPECT_EQ(TimeText(5097600'000001), "2000-02-29T00:00:00.000001Z");
}

TEST(CanonicalLine, ItsPositionIsReadAndExchanged) {
	const std::string line = LineOf(Sample());
	EXPECT_EQ(PositionOfLine(line), 7);
	EventLine moved = Sample();
	moved.global_position = 1234567890123;
	EXPECT_EQ(LineAtPosition(line, 1234567890123), LineOf(moved));
	for (const char *other : {"", "{}", "{\"global_position\":", "{\"global_position\":7", "{\"global_position\":x,", "{ \"global_position\":7,"}) {
		EXPECT_FALSE(PositionOfLine(other)) << other;
	}
}

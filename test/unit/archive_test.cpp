// The lines of an archive: manifest, events, trailer.

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/archives/archive_format.hpp"
#include "core/archives/event_line_reader.hpp"

namespace auren {

namespace {

const std::string kLine = R"({"global_position":7,"event_id":"0195b2c4-8f00-7abc-8def-0123456789ab","tenant_id":"default",)"
						  R"("stream_id":"user:1","stream_version":3,"event_type":"said","event_data":{"a": [1, "}\",{"], "b": "ü\\"},)"
						  R"("metadata":{},"created_at":"2026-11-28T02:35:55.123456Z","created_by":"a \"b\" \\ \n\u0001 ü","tags":["room:12","x"]})";

// The line with one part exchanged.
std::string
With(const std::string &part, const std::string &other) {
	std::string line = kLine;
	const std::size_t at = line.find(part);
	EXPECT_NE(at, std::string::npos);
	return line.replace(at, part.size(), other);
}

std::string
DetailOf(const std::string &line) {
	EventOfLine event;
	try {
		ReadEventLine(line, &event);
	} catch (const DomainError &error) {
		EXPECT_EQ(error.sqlstate(), kBadArchive);
		return error.detail();
	}
	return "read";
}

ArchiveManifest
Sample() {
	ArchiveManifest manifest;
	manifest.month = Month::FromIndex(24 * 12);
	manifest.events = 3;
	manifest.first_position = 5;
	manifest.last_position = 9;
	manifest.store_epoch = "11111111-1111-4111-8111-111111111111";
	manifest.made_at = "2026-11-28T02:35:55.123456Z";
	manifest.extension_version = "0.2.0";
	manifest.seals.push_back({1, manifest.month, 0, 7, 6, 2, "aa", "bb", "cc", "key", "dd", "2026-11-28T02:35:55.123456Z", "ee"});
	manifest.seals.push_back({4, manifest.month, 7, 12, 9, 1, "ab", "bc", "cd", "key", "de", "2026-11-28T02:35:55.123456Z", "ee"});
	return manifest;
}

std::string
ManifestDetail(const std::string &line) {
	try {
		(void)ReadManifest(line);
	} catch (const DomainError &error) {
		EXPECT_EQ(error.sqlstate(), kBadArchive);
		return error.detail();
	}
	return "read";
}

} // namespace

TEST(EventLine, IsReadInAllItsParts) {
	EventOfLine event;
	event.tags = {"of", "the", "line", "before"};
	ReadEventLine(kLine, &event);
	EXPECT_EQ(event.global_position, 7);
	EXPECT_EQ(event.event_id[0], 0x01);
	EXPECT_EQ(event.event_id[15], 0xab);
	EXPECT_EQ(event.tenant_id, "default");
	EXPECT_EQ(event.stream_id, "user:1");
	EXPECT_EQ(event.stream_version, 3);
	EXPECT_EQ(event.event_type, "said");
	EXPECT_EQ(event.event_data, R"({"a": [1, "}\",{"], "b": "ü\\"})");
	EXPECT_EQ(event.metadata, "{}");
	EXPECT_EQ(Month::FromMicros(event.created_at).Suffix(), "2026_11");
	EXPECT_EQ(event.created_at % 1000000, 123456);
	EXPECT_EQ(event.created_by, "a \"b\" \\ \n\x01 ü");
	EXPECT_EQ(event.tags, (std::vector<std::string>{"room:12", "x"}));
}

TEST(EventLine, TakesScalarsAsData) {
	for (const std::string value : {"1e400", "\"a,b\"", "null", "[]", "true", "-0.10"}) {
		EventOfLine event;
		const std::string line = With("{\"a\": [1, \"}\\\",{\"], \"b\": \"ü\\\\\"}", value);
		ReadEventLine(line, &event);
		EXPECT_EQ(event.event_data, value);
	}
}

TEST(EventLine, IsRefusedWhereItIsAnother) {
	EXPECT_EQ(DetailOf(kLine), "read");
	EXPECT_NE(DetailOf(kLine + " "), "read");
	EXPECT_NE(DetailOf(With("\"global_position\":7", "\"global_position\": 7")), "read");
	EXPECT_NE(DetailOf(With("\"global_position\":7", "\"global_position\":-7")), "read");
	EXPECT_NE(DetailOf(With("\"global_position\":7", "\"global_position\":99999999999999999999")), "read");
	EXPECT_NE(DetailOf(With("0195b2c4-8f00", "0195b2c48f00")), "read");
	EXPECT_NE(DetailOf(With("0195b2c4-8f00", "0195B2C4-8f00")), "read");
	EXPECT_NE(DetailOf(With(".123456Z", ".123456+00")), "read");
	EXPECT_NE(DetailOf(With("2026-11-28T", "2026-13-28T")), "read");
	EXPECT_NE(DetailOf(With("\\u0001", "\\u0100")), "read");
	EXPECT_NE(DetailOf(With("\\u0001", "\\u00G1")), "read");
	EXPECT_NE(DetailOf(With("\\u0001", "\\x")), "read");
	EXPECT_NE(DetailOf(With("\"metadata\":{}", "\"metadata\":")), "read");
	EXPECT_NE(DetailOf(With("\"tags\":[", "\"tags\":[,")), "read");
	EXPECT_NE(DetailOf(With("]}", "]")), "read");
}

TEST(EventLine, IsRefusedWhereverItIsCut) {
	for (std::size_t length = 0; length < kLine.size(); length++) {
		EXPECT_NE(DetailOf(kLine.substr(0, length)), "read") << length;
	}
}

TEST(ArchiveManifest, IsReadAsItWasWritten) {
	const ArchiveManifest manifest = Sample();
	const std::string line = ManifestLine(manifest);
	EXPECT_EQ(line.find('\n'), std::string::npos);
	EXPECT_EQ(line.rfind(R"({"format":"auren_events archive 1","month":"2024-01-01","from":"2024-01-01T00:00:00.000000Z","to":"2024-02-01T)", 0), 0u);
	const ArchiveManifest read = ReadManifest(line);
	EXPECT_EQ(ManifestLine(read), line);
	EXPECT_EQ(read.month, manifest.month);
	EXPECT_EQ(read.last_position, 9);
	EXPECT_EQ(SealedEvents(read), 3);
	ASSERT_EQ(read.seals.size(), 2u);
	EXPECT_EQ(read.seals[1].seal, 4);
	EXPECT_EQ(read.seals[1].public_key, "ee");
}

TEST(ArchiveManifest, OfAMonthWithoutEventsHasNoPositions) {
	ArchiveManifest manifest = Sample();
	manifest.events = 0;
	manifest.seals.clear();
	const std::string line = ManifestLine(manifest);
	EXPECT_NE(line.find("\"first_position\":null,\"last_position\":null"), std::string::npos);
	EXPECT_EQ(ReadManifest(line).first_position, 0);
}

TEST(ArchiveManifest, SaysWhatIsWrongWithIt) {
	const std::string line = ManifestLine(Sample());
	const auto with = [&](const std::string &part, const std::string &other) {
		std::string changed = line;
		return changed.replace(changed.find(part), part.size(), other);
	};
	EXPECT_EQ(ManifestDetail("{}"), "Its member \"format\" is not \"auren_events archive 1\".");
	EXPECT_EQ(ManifestDetail("[1]"), "The line is not a JSON object.");
	EXPECT_EQ(ManifestDetail(line.substr(0, 40)), "The line is not a JSON object.");
	EXPECT_EQ(ManifestDetail(with("archive 1", "archive 2")), "Its member \"format\" is not \"auren_events archive 1\".");
	EXPECT_EQ(ManifestDetail(with("\"month\":\"2024-01-01\"", "\"month\":\"2024-01-02\"")), "Its member \"month\" is not the first day of a month.");
	EXPECT_EQ(ManifestDetail(with("\"events\":3", "\"events\":3.5")), "Its member \"events\" is not a whole number.");
	EXPECT_EQ(ManifestDetail(with("\"events\":3", "\"events\":18446744073709551615")), "Its member \"events\" is not a whole number.");
	EXPECT_EQ(ManifestDetail(with("\"root\"", "\"toor\"")), "It has no member \"root\".");
	EXPECT_EQ(ManifestDetail(with("\"store_epoch\":\"11111111-1111-4111-8111-111111111111\"", "\"store_epoch\":1")),
	          "Its member \"store_epoch\" is not a string.");
}

TEST(ArchiveTrailer, IsToldFromEvents) {
	const std::string line = TrailerLine({3, "abcd"});
	EXPECT_EQ(line, R"({"end":"auren_events archive 1","events":3,"sha256":"abcd"})");
	EXPECT_TRUE(IsTrailer(line));
	EXPECT_FALSE(IsTrailer(kLine));
	EXPECT_FALSE(IsTrailer(""));
	EXPECT_EQ(ReadTrailer(line).events, 3);
	EXPECT_EQ(ReadTrailer(line).sha256, "abcd");
	EXPECT_THROW((void)ReadTrailer(line.substr(0, line.size() - 1)), DomainError);
}

} // namespace auren

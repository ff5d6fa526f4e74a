#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/store/event_id.hpp"

namespace auren {
namespace {

// 2022-02-22 19:22:22 UTC, the moment of RFC 9562's examples, and 345 microseconds
constexpr std::int64_t kMoment = 1'645'557'742'000'345;

// reads the usual text of a UUID
EventId
Id(const std::string &text) {
	EventId id{};
	std::size_t digit = 0;
	for (const char c : text) {
		if (c != '-') {
			const int value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
			id.at(digit / 2) = static_cast<std::uint8_t>(id.at(digit / 2) << 4 | value);
			digit++;
		}
	}
	EXPECT_EQ(digit, 32u) << text;
	return id;
}

TEST(EventId, HasTheLayoutOfAVersion7) {
	EventIdMaker maker;
	const EventId id = maker.Make(kMoment, 0);
	// milliseconds as in the RFC's example, version 7, 345 in rand_a, variant 2, no random bit
	EXPECT_EQ(id, Id("017f22e2-79b0-7159-8000-000000000000"));
}

TEST(EventId, VersionAndVariantDoNotDependOnTheRandomBits) {
	for (const std::uint64_t random : {std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63}) {
		EventIdMaker maker;
		for (int i = 0; i < 3; i++) {
			const EventId id = maker.Make(kMoment, random);
			EXPECT_EQ(id[6] >> 4, 7);
			EXPECT_EQ(id[8] >> 6, 2);
		}
	}
}

TEST(EventId, RandomBitsReachTheId) {
	// 61 of the 62: the top one stays free, so that the ids of a long batch do not wrap around
	std::set<EventId> ids;
	for (int bit = 0; bit < 61; bit++) {
		EventIdMaker maker;
		ids.insert(maker.Make(kMoment, std::uint64_t{1} << bit));
	}
	EXPECT_EQ(ids.size(), 61u);
}

TEST(EventId, StepsWithinAMicrosecondAreRandom) {
	std::set<EventId> ids;
	for (int bit = 0; bit < 32; bit++) {
		EventIdMaker maker;
		maker.Make(kMoment, 0);
		ids.insert(maker.Make(kMoment, std::uint64_t{1} << bit));
	}
	EXPECT_EQ(ids.size(), 32u);
}

TEST(EventId, GivesItsMicrosecondsBack) {
	EventIdMaker maker;
	std::mt19937_64 random(20261101);
	for (std::int64_t offset = 0; offset < 3000; offset++) {
		ASSERT_EQ(MicrosOfEventId(maker.Make(kMoment + offset, random())), kMoment + offset);
	}
	for (int i = 0; i < 20000; i++) {
		// up to the year 10889, where 48 bits of milliseconds end
		const auto micros = static_cast<std::int64_t>(random() % (std::uint64_t{1000} << 48));
		ASSERT_EQ(MicrosOfEventId(maker.Make(micros, random())), micros);
	}
	EXPECT_EQ(MicrosOfEventId(maker.Make(0, 0)), 0);
	const std::int64_t last = (std::int64_t{1000} << 48) - 1;
	EXPECT_EQ(MicrosOfEventId(maker.Make(last, 0)), last);
}

TEST(EventId, AscendsWithinOneMicrosecond) {
	for (const std::uint64_t start : {std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()}) {
		EventIdMaker maker;
		std::mt19937_64 random(7);
		EventId before = maker.Make(kMoment, start);
		for (int i = 0; i < 100'000; i++) {
			// the largest and the smallest step are among them
			const std::uint64_t step = i % 3 == 0 ? 0 : i % 3 == 1 ? std::numeric_limits<std::uint64_t>::max() : random();
			const EventId id = maker.Make(kMoment, step);
			ASSERT_LT(before, id) << i;
			ASSERT_EQ(MicrosOfEventId(id), kMoment);
			before = id;
		}
	}
}

TEST(EventId, AscendsWithTime) {
	EventIdMaker maker;
	EventId before = maker.Make(kMoment, std::numeric_limits<std::uint64_t>::max());
	for (std::int64_t i = 1; i < 5000; i++) {
		const EventId id = maker.Make(kMoment + i, 0);
		ASSERT_LT(before, id) << i;
		before = maker.Make(kMoment + i, std::numeric_limits<std::uint64_t>::max());
		ASSERT_LT(id, before) << i;
	}
}

// The server's clock may step back; the id still says the time that was given.
TEST(EventId, TakesAClockThatGoesBack) {
	EventIdMaker maker;
	const EventId later = maker.Make(kMoment + 1, 5);
	const EventId earlier = maker.Make(kMoment, 5);
	EXPECT_LT(earlier, later);
	EXPECT_EQ(MicrosOfEventId(earlier), kMoment);
	EXPECT_EQ(MicrosOfEventId(later), kMoment + 1);
}

TEST(EventId, MakersWithOtherRandomBitsMakeOtherIds) {
	EventIdMaker one;
	EventIdMaker other;
	EXPECT_NE(one.Make(kMoment, 1), other.Make(kMoment, 2));
	EXPECT_NE(one.Make(kMoment, 1), other.Make(kMoment, 2));
}

TEST(EventId, IdsOfOtherVersionsHaveNoTime) {
	// RFC 9562's examples of versions 1, 3, 4, 5, 6, 8 and of a version 7 whose rand_a is random (0xcc3 is above 999)
	for (const char *text :
	     {"c232ab00-9414-11ec-b3c8-9f6bdeced846", "5df41881-3aed-3515-88a7-2f4a814cf09e", "919108f7-52d1-4320-9bac-f847db4148a8",
	      "2ed6657d-e927-568b-95e1-2665a8aea6a2", "1ec9414c-232a-6b00-b3c8-9f6bdeced846", "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
	      "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}) {
		EXPECT_FALSE(MicrosOfEventId(Id(text))) << text;
	}
}

TEST(EventId, OnlyVersion7AndVariant2AreTakenForOurs) {
	EventIdMaker maker;
	const EventId ours = maker.Make(kMoment, 1234567);
	for (int version = 0; version < 16; version++) {
		EventId id = ours;
		id[6] = static_cast<std::uint8_t>(version << 4 | (id[6] & 0x0F));
		EXPECT_EQ(MicrosOfEventId(id).has_value(), version == 7) << version;
	}
	for (int variant = 0; variant < 4; variant++) {
		EventId id = ours;
		id[8] = static_cast<std::uint8_t>(variant << 6 | (id[8] & 0x3F));
		EXPECT_EQ(MicrosOfEventId(id).has_value(), variant == 2) << variant;
	}
}

TEST(EventId, MicrosecondsAbove999AreNotOurs) {
	EXPECT_EQ(MicrosOfEventId(Id("017f22e2-79b0-73e7-8000-000000000000")), 1'645'557'742'000'999);
	EXPECT_FALSE(MicrosOfEventId(Id("017f22e2-79b0-73e8-8000-000000000000"))); // 1000
	EXPECT_FALSE(MicrosOfEventId(Id("017f22e2-79b0-7fff-8000-000000000000")));
}

} // namespace
} // namespace auren

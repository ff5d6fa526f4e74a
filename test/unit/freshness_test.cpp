#include "core/freshness.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace auren {
namespace {

// What is written somewhere, and what a reader keeps of it.
struct Reader {
	int written = 1;
	int kept = 0;
	int readings = 0;
	int changes_during_reading = 0;
	Freshness freshness;

	void
	Write() {
		written++;
		freshness.Forget();
	}

	int
	Look() {
		freshness.Refresh([&] {
			readings++;
			kept = written;
			if (changes_during_reading > 0) {
				changes_during_reading--;
				Write();
			}
		});
		return kept;
	}
};

TEST(Freshness, ReadsOnceUntilSomethingChanges) {
	Reader reader;
	EXPECT_FALSE(reader.freshness.IsFresh());
	EXPECT_EQ(reader.Look(), 1);
	EXPECT_EQ(reader.Look(), 1);
	EXPECT_EQ(reader.readings, 1);
	EXPECT_TRUE(reader.freshness.IsFresh());

	reader.Write();
	EXPECT_FALSE(reader.freshness.IsFresh());
	EXPECT_EQ(reader.Look(), 2);
	EXPECT_EQ(reader.readings, 2);
}

TEST(Freshness, AChangeDuringTheReadingIsNotLost) {
	Reader reader;
	reader.changes_during_reading = 1;
	EXPECT_EQ(reader.Look(), 1);
	EXPECT_FALSE(reader.freshness.IsFresh());
	EXPECT_EQ(reader.Look(), 2);
	EXPECT_TRUE(reader.freshness.IsFresh());
}

TEST(Freshness, ChangesWithoutEndAreReadOnceALookAndNotKept) {
	Reader reader;
	reader.changes_during_reading = 1000;
	for (int look = 1; look <= 10; look++) {
		EXPECT_EQ(reader.Look(), look);
		EXPECT_EQ(reader.readings, look);
		EXPECT_FALSE(reader.freshness.IsFresh());
	}
}

TEST(Freshness, AReadingThatFailsLeavesTheValueStale) {
	Reader reader;
	EXPECT_THROW(reader.freshness.Refresh([] { throw std::runtime_error("no"); }), std::runtime_error);
	EXPECT_FALSE(reader.freshness.IsFresh());
	EXPECT_EQ(reader.Look(), 1);
}

TEST(Freshness, AReadingWithinAReadingKeepsNoChangeFromTheOuterOne) {
	Reader reader;
	bool inner = false;
	reader.freshness.Refresh([&] {
		reader.kept = reader.written;
		if (!inner) {
			inner = true;
			reader.Write();
			reader.Look();
			reader.Write();
		}
	});
	EXPECT_EQ(reader.Look(), 3);
	EXPECT_TRUE(reader.freshness.IsFresh());
}

} // namespace
} // namespace auren

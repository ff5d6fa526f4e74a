#include "core/tags/tag_hash.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace auren {
namespace {

// Numbers of a program of its own: what is in the index of a store must be found by every later version.
TEST(TagHash, IsTheSameInEveryVersion) {
	EXPECT_EQ(TagHash("").Of(""), -5115162479779449349);
	EXPECT_EQ(TagHash("").Of("a"), 6980058099257063764);
	EXPECT_EQ(TagHash("a").Of(""), -8720045283170308635);
	EXPECT_EQ(TagHash("default").Of("room:12"), 469358186391102585);
	EXPECT_EQ(TagHash("default").Of("student:ada"), 1391567544368527600);
	EXPECT_EQ(TagHash("acme").Of("room:12"), -1289850115853742069);
	EXPECT_EQ(TagHash("default").Of("\xC3\xBC:\xE2\x98\x83"), 5209287190998694553);
}

TEST(TagHash, TellsWhereTheTenantEnds) {
	EXPECT_NE(TagHash("a").Of("bc"), TagHash("ab").Of("c"));
}

TEST(TagHash, SpreadsTagsThatDifferAtTheirEnd) {
	std::set<std::int64_t> hashes;
	std::set<std::int64_t> upper;
	const TagHash hash("default");
	for (int i = 0; i < 100000; i++) {
		const std::int64_t of_tag = hash.Of("room:" + std::to_string(i));
		hashes.insert(of_tag);
		upper.insert(of_tag >> 48);
	}
	EXPECT_EQ(hashes.size(), 100000U);
	// of 65,536 values 78 % are expected to be met
	EXPECT_GT(upper.size(), 50000U);
}

} // namespace
} // namespace auren

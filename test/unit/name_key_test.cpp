#include "core/tags/name_key.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace auren {
namespace {

// Numbers of a program of its own: what is in the index of a store must be found by every later version.
TEST(NameKey, IsTheSameInEveryVersion) {
	EXPECT_EQ(NameKey(""), -1166397803181037274);
	EXPECT_EQ(NameKey("a"), -9033471704281723301);
	EXPECT_EQ(NameKey("room:12"), -302598986083331980);
	EXPECT_EQ(NameKey("student:ada"), -1023747976758114274);
	EXPECT_EQ(NameKey("\xC3\xBC:\xE2\x98\x83"), 218259889270262017);
	EXPECT_EQ(NameKey("default"), -3138862838512757331);
}

TEST(NameKey, SpreadsNamesThatDifferAtTheirEnd) {
	std::set<std::int64_t> keys;
	std::set<std::int64_t> upper;
	for (int i = 0; i < 100000; i++) {
		const std::int64_t key = NameKey("room:" + std::to_string(i));
		keys.insert(key);
		upper.insert(key >> 48);
	}
	EXPECT_EQ(keys.size(), 100000U);
	// of 65,536 values 78 % are expected to be met
	EXPECT_GT(upper.size(), 50000U);
}

} // namespace
} // namespace auren

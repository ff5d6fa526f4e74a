#include "core/bytes.hpp"

#include <string>

#include <gtest/gtest.h>

using namespace auren;

TEST(SameBytes, EveryByteCounts) {
	for (std::size_t size = 0; size < 40; size++) {
		const std::string text(size, 'a');
		EXPECT_TRUE(SameBytes(text, std::string(text)));
		EXPECT_FALSE(SameBytes(text, text + 'a'));
		for (std::size_t at = 0; at < size; at++) {
			std::string other = text;
			other[at] = 'b';
			EXPECT_FALSE(SameBytes(text, other)) << size << " " << at;
		}
	}
	EXPECT_TRUE(SameBytes({}, ""));
}

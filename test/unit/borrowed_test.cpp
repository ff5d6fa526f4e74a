#include "core/borrowed.hpp"

#include <string>
#include <string_view>
#include <type_traits>

#include <gtest/gtest.h>

#include "core/append/batch.hpp"
#include "core/metrics/delta_pack.hpp"

namespace auren {
namespace {

// A string that ends with the statement would leave bytes that are nobody's.
static_assert(!std::is_constructible_v<Borrowed, std::string>);
static_assert(!std::is_constructible_v<Borrowed, const std::string>);
static_assert(!std::is_assignable_v<Borrowed &, std::string>);
static_assert(!std::is_assignable_v<decltype(BatchElement::stream_id) &, std::string>);
static_assert(!std::is_assignable_v<decltype(BatchElement::data) &, std::string>);
static_assert(!std::is_constructible_v<DeltaPackReader, std::string>);

// What somebody keeps can be lent, and plain data it stays: it passes a guard.
static_assert(std::is_constructible_v<Borrowed, std::string &>);
static_assert(std::is_constructible_v<Borrowed, const std::string &>);
static_assert(std::is_constructible_v<DeltaPackReader, const std::string &>);
static_assert(std::is_constructible_v<DeltaPackReader, std::string_view>);
static_assert(std::is_trivially_copyable_v<Borrowed> && std::is_trivially_destructible_v<Borrowed>);

TEST(Borrowed, IsTheBytesOfTheOther) {
	std::string owner("a\0b", 3);
	const Borrowed bytes = owner;
	EXPECT_EQ(bytes.data(), owner.data());
	EXPECT_EQ(bytes, owner);
	owner[0] = 'c';
	EXPECT_EQ(bytes[0], 'c');
	EXPECT_TRUE(Borrowed().empty());
}

} // namespace
} // namespace auren

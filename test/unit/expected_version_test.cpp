#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/append/expected_version.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ErrorOf;
using test::ExpectError;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

TEST(ExpectedVersion, AnyMatchesEveryVersion) {
	const ExpectedVersion any;
	EXPECT_TRUE(any.IsAny());
	for (const std::int64_t actual : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, kLargest}) {
		EXPECT_TRUE(any.Matches(actual)) << actual;
	}
}

TEST(ExpectedVersion, ZeroMatchesOnlyANewStream) {
	const auto none = ExpectedVersion::FromNumber(0);
	EXPECT_FALSE(none.IsAny());
	EXPECT_TRUE(none.Matches(0));
	EXPECT_FALSE(none.Matches(1));
	EXPECT_FALSE(none.Matches(kLargest));
}

TEST(ExpectedVersion, MinusOneMatchesEveryExistingStream) {
	const auto exists = ExpectedVersion::FromNumber(-1);
	EXPECT_FALSE(exists.IsAny());
	EXPECT_FALSE(exists.Matches(0));
	EXPECT_TRUE(exists.Matches(1));
	EXPECT_TRUE(exists.Matches(2));
	EXPECT_TRUE(exists.Matches(kLargest));
}

TEST(ExpectedVersion, ANumberMatchesItselfOnly) {
	for (const std::int64_t number : {std::int64_t{1}, std::int64_t{2}, std::int64_t{1} << 32, kLargest}) {
		const auto exact = ExpectedVersion::FromNumber(number);
		EXPECT_FALSE(exact.IsAny());
		EXPECT_TRUE(exact.Matches(number)) << number;
		EXPECT_FALSE(exact.Matches(number - 1)) << number;
		EXPECT_FALSE(exact.Matches(0)) << number;
		if (number < kLargest) {
			EXPECT_FALSE(exact.Matches(number + 1)) << number;
		}
	}
	// the low half alone must not decide
	EXPECT_FALSE(ExpectedVersion::FromNumber(1).Matches((std::int64_t{1} << 32) + 1));
}

TEST(ExpectedVersion, NumbersBelowMinusOneAreRefused) {
	for (const std::int64_t number : {std::int64_t{-2}, std::int64_t{-7}, std::numeric_limits<std::int64_t>::min()}) {
		const auto error = ExpectError("22023", [number] { ExpectedVersion::FromNumber(number); });
		EXPECT_TRUE(Contains(error.message(), "expected version")) << error.message();
		EXPECT_TRUE(Contains(error.detail(), std::to_string(number))) << error.detail();
		EXPECT_FALSE(error.hint().empty());
	}
}

TEST(ExpectedVersion, KindsAreToldApart) {
	const ExpectedVersion all[] = {ExpectedVersion(), ExpectedVersion::FromNumber(-1), ExpectedVersion::FromNumber(0), ExpectedVersion::FromNumber(1),
	                               ExpectedVersion::FromNumber(2)};
	for (const ExpectedVersion &a : all) {
		for (const ExpectedVersion &b : all) {
			EXPECT_EQ(a == b, &a == &b) << a.Text() << " and " << b.Text();
		}
	}
	EXPECT_TRUE(ExpectedVersion::FromNumber(7) == ExpectedVersion::FromNumber(7));
	EXPECT_TRUE(ExpectedVersion() == ExpectedVersion());
}

TEST(ExpectedVersion, TextSaysTheNumberAndItsMeaning) {
	EXPECT_EQ(ExpectedVersion().Text(), "any");
	EXPECT_EQ(ExpectedVersion::FromNumber(-1).Text(), "-1 (an existing stream)");
	EXPECT_EQ(ExpectedVersion::FromNumber(0).Text(), "0 (a new stream)");
	EXPECT_EQ(ExpectedVersion::FromNumber(12).Text(), "12");
	EXPECT_EQ(ExpectedVersion::FromNumber(kLargest).Text(), "9223372036854775807");
}

TEST(CheckExpectedVersion, IsSilentWhenTheStreamIsAsExpected) {
	EXPECT_FALSE(ErrorOf([] { CheckExpectedVersion("user:1", ExpectedVersion(), 3); }));
	EXPECT_FALSE(ErrorOf([] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(3), 3); }));
	EXPECT_FALSE(ErrorOf([] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(-1), 3); }));
	EXPECT_FALSE(ErrorOf([] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(0), 0); }));
}

// A client reads both versions from DETAIL.
TEST(CheckExpectedVersion, ConflictTellsStreamAndBothVersions) {
	const auto error = ExpectError("ZE001", [] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(3), 5); });
	EXPECT_TRUE(Contains(error.message(), "\"user:1\"")) << error.message();
	EXPECT_EQ(error.detail(), "Expected version 3, actual version 5.");
	EXPECT_FALSE(error.hint().empty());
}

TEST(CheckExpectedVersion, ConflictTellsWhatKindWasExpected) {
	const auto existing = ExpectError("ZE001", [] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(-1), 0); });
	EXPECT_EQ(existing.detail(), "Expected version -1 (an existing stream), actual version 0.");
	const auto fresh = ExpectError("ZE001", [] { CheckExpectedVersion("user:1", ExpectedVersion::FromNumber(0), 1); });
	EXPECT_EQ(fresh.detail(), "Expected version 0 (a new stream), actual version 1.");
}

} // namespace
} // namespace auren

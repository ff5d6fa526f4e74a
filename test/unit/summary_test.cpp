#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/metrics/summary.hpp"

namespace auren {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

__extension__ typedef __int128 Exact;

// Values are multiples of 2^-20 below 2^21, so that the sums of a million squares fit 128 bits exactly.
constexpr double kUnit = 1.0 / (1 << 20);

struct ExactSums {
	Exact n = 0;
	Exact sum = 0;
	Exact squares = 0;

	void
	Count(std::int64_t units, int times) {
		n += times;
		sum += Exact{units} * times;
		squares += Exact{units} * units * times;
	}

	long double
	Deviation() const {
		// n * squares - sum^2 needs more than 128 bits: shift by the mean's whole part first
		const Exact shift = sum / n;
		const Exact shifted_sum = sum - shift * n;
		const Exact shifted_squares = squares - 2 * shift * sum + n * shift * shift;
		const long double m2 = static_cast<long double>(shifted_squares) -
		                       static_cast<long double>(shifted_sum) * static_cast<long double>(shifted_sum) / static_cast<long double>(n);
		return std::sqrt(m2 / static_cast<long double>(n - 1)) * kUnit;
	}

	long double
	Average() const {
		return static_cast<long double>(sum) / static_cast<long double>(n) * kUnit;
	}
};

TEST(Summary, AMillionValuesOfMeanAMillionInAnyMix) {
	std::mt19937_64 random(5);
	std::normal_distribution<double> spread(0, 1);
	ExactSums exact;
	std::vector<std::int64_t> present;
	Summary whole;
	Summary part;
	const auto value_of = [](std::int64_t units) {
		return static_cast<double>(units) * kUnit;
	};
	for (int i = 0; i < 1000000; i++) {
		const auto units = static_cast<std::int64_t>((1e6 + spread(random)) / kUnit);
		part.Add(value_of(units));
		exact.Count(units, 1);
		present.push_back(units);
		if (random() % 3 == 0) {
			const std::size_t victim = random() % present.size();
			part.Take(value_of(present[victim]));
			exact.Count(present[victim], -1);
			present[victim] = present.back();
			present.pop_back();
		}
		if (random() % 50 == 0) {
			whole.Merge(Summary::FromBytes(part.Bytes()));
			part = Summary();
		}
	}
	whole.Merge(part);
	ASSERT_EQ(whole.values(), static_cast<std::int64_t>(present.size()));
	EXPECT_NEAR(static_cast<double>(*whole.Deviation() / exact.Deviation()), 1, 1e-12);
	EXPECT_NEAR(static_cast<double>(*whole.Average() / exact.Average()), 1, 1e-15);
	// all but three go again: what is left is as exact
	while (present.size() > 3) {
		whole.Take(value_of(present.back()));
		exact.Count(present.back(), -1);
		present.pop_back();
	}
	EXPECT_NEAR(static_cast<double>(*whole.Deviation() / exact.Deviation()), 1, 1e-9);
	EXPECT_TRUE(whole.IsUnsure()) << "least and greatest were taken";
}

TEST(Summary, FewValuesAreKeptAsTheyAre) {
	Summary s;
	s.Add(3);
	s.Add(1);
	s.Add(2);
	s.Take(1);
	EXPECT_EQ(*s.Least(), 2);
	EXPECT_EQ(*s.Greatest(), 3);
	EXPECT_EQ(*s.Average(), 2.5);
	EXPECT_NEAR(*s.Deviation(), std::sqrt(0.5), 1e-15);
	EXPECT_FALSE(s.IsUnsure());
	s.Take(3);
	EXPECT_FALSE(s.Deviation());
	s.Take(2);
	EXPECT_TRUE(s.IsEmpty());
	EXPECT_FALSE(s.Average());
}

TEST(Summary, TakenBeforeAdded) {
	Summary change;
	change.Take(5);
	EXPECT_TRUE(change.IsUnsure());
	EXPECT_EQ(change.readings(), -1);
	Summary bucket;
	bucket.Add(5);
	bucket.Add(7);
	bucket.Merge(Summary::FromBytes(change.Bytes()));
	EXPECT_FALSE(bucket.IsUnsure());
	EXPECT_EQ(*bucket.Least(), 7);
}

TEST(Summary, APartThatTookAsManyAsItAddedIsNotNothing) {
	Summary change;
	Summary bucket;
	for (int i = 0; i < 20; i++) {
		change.Take(1000000);
		change.Add(1000001 + i / 100.0);
		bucket.Add(1000000);
	}
	EXPECT_FALSE(change.ChangesNothing());
	bucket.Merge(Summary::FromBytes(change.Bytes()));
	EXPECT_NEAR(*bucket.Average(), 1000001.095, 1e-9);
	EXPECT_TRUE(Summary().ChangesNothing());
}

TEST(Summary, WhatIsBeyondTheRangeIsUnsure) {
	Summary s;
	for (int i = 0; i < 100; i++) {
		s.Add(i);
	}
	s.Take(50);
	s.ResolveRange();
	EXPECT_FALSE(s.IsUnsure());
	s.Take(99);
	s.ResolveRange();
	EXPECT_TRUE(s.IsUnsure());
	s = Summary();
	for (int i = 0; i < 100; i++) {
		s.Add(i);
	}
	for (int i = 0; i < 100; i++) {
		s.Take(i);
	}
	EXPECT_TRUE(s.IsEmpty());
	s.ResolveRange();
	EXPECT_FALSE(s.IsUnsure());
	s.Add(4);
	EXPECT_EQ(*s.Least(), 4);
	EXPECT_EQ(*s.Greatest(), 4);
}

TEST(Summary, RoundingOfSomethingHugeThatWasTakenIsUnsure) {
	Summary s;
	for (int i = 0; i < 100; i++) {
		s.Add(i % 10);
	}
	s.Add(1e200);
	s.Take(1e200);
	s.Add(100);
	s.Add(-1);
	s.ResolveRange();
	EXPECT_TRUE(s.IsUnsure());
}

TEST(Summary, SpecialValuesFollowSql) {
	for (const int filler : {0, 40}) {
		SCOPED_TRACE(filler);
		Summary s;
		for (int i = 0; i < filler; i++) {
			s.Add(i);
		}
		s.AddNull();
		EXPECT_EQ(s.readings(), filler + 1);
		EXPECT_EQ(s.values(), filler);
		s.Add(kInfinity);
		s.Add(1);
		EXPECT_EQ(*s.Average(), kInfinity);
		EXPECT_TRUE(std::isnan(*s.Deviation()));
		EXPECT_EQ(*s.Greatest(), kInfinity);
		s.Add(-kInfinity);
		EXPECT_TRUE(std::isnan(*s.Average()));
		EXPECT_EQ(*s.Least(), -kInfinity);
		s.Add(kNaN);
		EXPECT_TRUE(std::isnan(*s.Greatest()));
		EXPECT_TRUE(std::isnan(*s.Quantile(1)));
		EXPECT_EQ(*s.Quantile(0), -kInfinity);
		s.Take(kNaN);
		s.Take(kInfinity);
		s.Take(-kInfinity);
		s.TakeNull();
		EXPECT_EQ(s.readings(), filler + 1);
		EXPECT_EQ(*s.Greatest(), filler == 0 ? 1 : filler - 1);
		EXPECT_FALSE(std::isnan(*s.Average()));
		EXPECT_EQ(s.Deviation().has_value(), filler > 0);
	}
}

TEST(Summary, OnlySpecialValues) {
	Summary s;
	for (int i = 0; i < 20; i++) {
		s.Add(kNaN);
	}
	EXPECT_TRUE(std::isnan(*s.Least()));
	EXPECT_TRUE(std::isnan(*s.Average()));
	for (int i = 0; i < 20; i++) {
		s.Take(kNaN);
	}
	s.ResolveRange();
	EXPECT_TRUE(s.IsEmpty());
	EXPECT_FALSE(s.Least());
}

TEST(Summary, QuantilesAreWithinTheirError) {
	std::mt19937_64 random(7);
	for (int shape = 0; shape < 4; shape++) {
		SCOPED_TRACE(shape);
		std::vector<double> values;
		Summary s;
		Summary part;
		for (int i = 0; i < 20000; i++) {
			const double uniform = static_cast<double>(random() % 1000000) / 1000000;
			double value = 40 + 140 * uniform;
			value = shape == 1 ? std::exp(40 * (uniform - 0.5)) : value;
			value = shape == 2 ? 2000 * (uniform - 0.5) : value;
			value = shape == 3 ? std::floor(uniform * 3) : value;
			part.Add(value);
			if (i % 7 == 0) {
				part.Add(12345);
				part.Take(12345);
			}
			values.push_back(value);
			if (i % 100 == 0) {
				s.Merge(part);
				part = Summary();
			}
		}
		s.Merge(part);
		std::sort(values.begin(), values.end());
		for (const double fraction : {0.0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0}) {
			const double rank = std::max(std::ceil(fraction * static_cast<double>(values.size())) - 1, 0.0);
			const double exact = values[static_cast<std::size_t>(rank)];
			EXPECT_NEAR(*s.Quantile(fraction), exact, std::fabs(exact) * Summary::kSketchError * (1 + 1e-9)) << fraction;
		}
	}
}

TEST(Summary, BytesComeBack) {
	std::mt19937_64 random(11);
	for (int turn = 0; turn < 500; turn++) {
		Summary s;
		const auto count = static_cast<int>(random() % 60);
		for (int i = 0; i < count; i++) {
			const double value = static_cast<double>(static_cast<std::int64_t>(random() % 2001) - 1000) / 8;
			if (random() % 4 == 0) {
				s.Take(value);
			} else {
				s.Add(random() % 20 == 0 ? kInfinity : value);
			}
			if (random() % 5 == 0) {
				s.AddNull();
			}
		}
		const std::string bytes = s.Bytes();
		EXPECT_EQ(Summary::FromBytes(bytes).Bytes(), bytes);
		for (std::size_t length = 0; length < bytes.size(); length++) {
			EXPECT_THROW(Summary::FromBytes(bytes.substr(0, length)), DomainError);
		}
		EXPECT_THROW(Summary::FromBytes(bytes + "x"), DomainError);
	}
	char one[Summary::kOneValueBytes];
	Summary::WriteOneValue(72.5, one);
	EXPECT_EQ(*Summary::FromBytes({one, sizeof one}).Average(), 72.5);
}

TEST(Summary, ValuesOfTheGreatestSize) {
	Summary s;
	s.Add(1e308);
	s.Add(-1e308);
	EXPECT_NEAR(*s.Deviation() / (std::sqrt(2.0) * 1e308), 1, 1e-12);
	s = Summary();
	s.Add(5e-324);
	s.Add(5e-324);
	EXPECT_EQ(*s.Deviation(), 0);
}

} // namespace
} // namespace auren

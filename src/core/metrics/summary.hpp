#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace auren {

/*
 * A sum of doubles kept in two of them (some 106 bits), so that values can be taken out again: what is left is as exact as if
 * they had never been there. The additions are Knuth's two-sum and Dekker's product.
 */
struct WideSum {
	double high = 0;
	double low = 0;

	void Add(double value);
	void Add(const WideSum &other);
	void Subtract(const WideSum &other);
	static WideSum Product(double a, double b);
};

/*
 * What is kept of the readings of one bucket: how many, their sum and sum of squares, least and greatest, and a sketch of their
 * distribution. Summaries of parts merge to that of the whole, and a part may take readings back: a change of a row is a summary
 * that takes the old value and adds the new one.
 *
 * A few values are kept as they are, so that nothing is lost by taking some back. Beyond that the least and the greatest are
 * unsure once a value at or beyond them was taken: IsUnsure() says that only the readings themselves know.
 *
 * The distribution beyond a few values is a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch
 * with relative-error guarantees", VLDB 2019): counts of values by the logarithm of their magnitude. A quantile that it gives is
 * within kSketchError of a value of that rank, relative to it.
 *
 * NULL, NaN and infinities are counted apart, and the answers are those of the SQL aggregates over the same values.
 */
class Summary {
  public:
	static constexpr int kFewValues = 16;
	static constexpr double kSketchError = 0.01;

	// of a reading that is there, or one that is no longer there
	void Add(double value);
	void AddNull();
	void Take(double value);
	void TakeNull();
	void Merge(const Summary &other);

	// Whether this part of a bucket changes nothing. (One that took as many as it added may well change their sum.)
	bool ChangesNothing() const;
	// Whether no reading is left of this whole bucket.
	bool IsEmpty() const;
	/*
	 * For the summary of a whole bucket, with everything added and taken that there is: forgets what the values taken mean for
	 * least and greatest where that is plain. IsUnsure() asks for it.
	 */
	void ResolveRange();
	// Whether what is left can only be found out from the readings.
	bool IsUnsure() const;

	std::int64_t readings() const; // NULLs included
	std::int64_t values() const;
	std::optional<double> Sum() const;
	std::optional<double> Average() const;
	std::optional<double> Least() const;
	std::optional<double> Greatest() const;
	// of the sample; none for less than two values
	std::optional<double> Deviation() const;
	// as percentile_disc gives it: the first value, NaN last, up to which there is that fraction of all
	std::optional<double> Quantile(double fraction) const;

	// The bytes of a summary are the same on every machine.
	std::string Bytes() const;
	static Summary FromBytes(std::string_view bytes); // those of DistinctReadings too
	// The bytes of one value, quickly: appends them to a buffer of kOneValueBytes.
	static constexpr int kOneValueBytes = 12;
	static void WriteOneValue(double value, char *bytes);

  private:
	void Widen();
	void CountFinite(double value, std::int64_t times);
	void Count(double value, std::int64_t times);
	double SquaredDeviations() const;

	std::int64_t nulls_ = 0;
	bool wide_ = false;
	// few values, as they are
	std::vector<double> added_;
	std::vector<double> taken_;
	// many
	std::int64_t finite_ = 0;
	std::int64_t nan_ = 0;
	std::int64_t infinite_ = 0;
	std::int64_t minus_infinite_ = 0;
	WideSum sum_;
	WideSum squares_;
	double peak_ = 0; // the greatest that the sum of squares has been
	std::optional<double> least_;
	std::optional<double> greatest_;
	std::optional<double> least_taken_;
	std::optional<double> greatest_taken_;
	bool took_ = false;
	std::map<std::int32_t, std::int64_t> sketch_;
};

} // namespace auren

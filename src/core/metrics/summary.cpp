#include "core/metrics/summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "core/metrics/distinct.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

// Bytes

constexpr unsigned char kFew = 1;
constexpr unsigned char kMany = 2;
constexpr unsigned char kHasRange = 1;
constexpr unsigned char kHasTaken = 2;
constexpr unsigned char kTook = 4;

void
PutCount(std::string *bytes, std::int64_t count) {
	// the sign in the lowest bit, then seven bits a byte
	auto left = (static_cast<std::uint64_t>(count) << 1) ^ static_cast<std::uint64_t>(count >> 63);
	while (left >= 0x80) {
		bytes->push_back(static_cast<char>(left | 0x80));
		left >>= 7;
	}
	bytes->push_back(static_cast<char>(left));
}

void
WriteDouble(double value, char *bytes) {
	std::uint64_t bits;
	std::memcpy(&bits, &value, sizeof bits);
	for (int i = 0; i < 8; i++) {
		bytes[i] = static_cast<char>(bits >> (8 * i));
	}
}

void
PutDouble(std::string *bytes, double value) {
	char written[8];
	WriteDouble(value, written);
	bytes->append(written, sizeof written);
}

class Reader {
  public:
	explicit Reader(std::string_view bytes) : bytes_(bytes) {
	}

	unsigned char
	Byte() {
		if (at_ >= bytes_.size()) {
			Refuse();
		}
		return static_cast<unsigned char>(bytes_[at_++]);
	}

	std::int64_t
	Count() {
		std::uint64_t value = 0;
		for (int shift = 0; shift < 64; shift += 7) {
			const unsigned char byte = Byte();
			value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
			if ((byte & 0x80) == 0) {
				return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
			}
		}
		Refuse();
	}

	double
	Double() {
		std::uint64_t bits = 0;
		for (int i = 0; i < 8; i++) {
			bits |= static_cast<std::uint64_t>(Byte()) << (8 * i);
		}
		double value;
		std::memcpy(&value, &bits, sizeof value);
		return value;
	}

	std::size_t
	left() const {
		return bytes_.size() - at_;
	}

	[[noreturn]] static void
	Refuse() {
		throw DomainError("22P03", "these bytes are not a summary of readings", "They end early or say what no summary says.",
		                  "Summaries are made by the extension and read by auren.metric_values.");
	}

  private:
	std::string_view bytes_;
	std::size_t at_ = 0;
};

// The sketch: a value's place is the power of gamma that it rounds up to, twice, plus one for a negative one.

const double kGamma = (1 + Summary::kSketchError) / (1 - Summary::kSketchError);
const double kLogGamma = std::log(kGamma);
constexpr std::int32_t kZeroPlace = std::numeric_limits<std::int32_t>::min();

std::int32_t
PlaceOf(double value) {
	if (value == 0) {
		return kZeroPlace;
	}
	const auto power = static_cast<std::int32_t>(std::ceil(std::log(std::fabs(value)) / kLogGamma));
	return 2 * power + (value < 0 ? 1 : 0);
}

bool
IsNegativePlace(std::int32_t place) {
	return place != kZeroPlace && (place & 1) != 0;
}

double
ValueAt(std::int32_t place) {
	if (place == kZeroPlace) {
		return 0;
	}
	const bool negative = IsNegativePlace(place);
	const std::int32_t power = (place - (negative ? 1 : 0)) / 2;
	const double magnitude = std::exp(power * kLogGamma) * 2 / (1 + kGamma);
	return negative ? -magnitude : magnitude;
}

// SQL's order: NaN after everything, and equal to itself.
bool
SqlLess(double a, double b) {
	if (std::isnan(a) || std::isnan(b)) {
		return !std::isnan(a);
	}
	return a < b;
}

bool
SqlEqual(double a, double b) {
	return a == b || (std::isnan(a) && std::isnan(b));
}

void
KeepLess(std::optional<double> *kept, double value) {
	if (!*kept || value < **kept) {
		*kept = value;
	}
}

void
KeepGreater(std::optional<double> *kept, double value) {
	if (!*kept || value > **kept) {
		*kept = value;
	}
}

// Takes one such value out of a list.
bool
RemoveOne(std::vector<double> *list, double value) {
	const auto found = std::find_if(list->begin(), list->end(), [&](double v) { return SqlEqual(v, value); });
	if (found == list->end()) {
		return false;
	}
	*found = list->back();
	list->pop_back();
	return true;
}

} // namespace

void
WideSum::Add(double value) {
	Add(WideSum{value, 0});
}

void
WideSum::Add(const WideSum &other) {
	const double s = high + other.high;
	if (!std::isfinite(s)) {
		high = s;
		low = 0;
		return;
	}
	const double b = s - high;
	double error = (high - (s - b)) + (other.high - b);
	const double t = low + other.low;
	const double c = t - low;
	const double error_low = (low - (t - c)) + (other.low - c);
	error += t;
	double h = s + error;
	double l = error - (h - s);
	l += error_low;
	high = h + l;
	low = l - (high - h);
}

void
WideSum::Subtract(const WideSum &other) {
	Add(WideSum{-other.high, -other.low});
}

WideSum
WideSum::Product(double a, double b) {
	const double product = a * b;
	return {product, std::isfinite(product) ? std::fma(a, b, -product) : 0};
}

void
Summary::Add(double value) {
	if (wide_) {
		Count(value, 1);
		return;
	}
	if (!RemoveOne(&taken_, value)) {
		added_.push_back(value);
		if (added_.size() + taken_.size() > kFewValues) {
			Widen();
		}
	}
}

void
Summary::Take(double value) {
	if (wide_) {
		Count(value, -1);
		return;
	}
	if (!RemoveOne(&added_, value)) {
		taken_.push_back(value);
		if (added_.size() + taken_.size() > kFewValues) {
			Widen();
		}
	}
}

void
Summary::AddNull() {
	nulls_++;
}

void
Summary::TakeNull() {
	nulls_--;
}

void
Summary::Widen() {
	wide_ = true;
	for (const double value : added_) {
		Count(value, 1);
	}
	for (const double value : taken_) {
		Count(value, -1);
	}
	added_.clear();
	taken_.clear();
}

void
Summary::Count(double value, std::int64_t times) {
	if (std::isnan(value)) {
		nan_ += times;
	} else if (std::isinf(value)) {
		(value > 0 ? infinite_ : minus_infinite_) += times;
	} else {
		CountFinite(value, times);
	}
}

void
Summary::CountFinite(double value, std::int64_t times) {
	finite_ += times;
	const WideSum square = WideSum::Product(value, value);
	if (times > 0) {
		sum_.Add(value);
		squares_.Add(square);
		KeepLess(&least_, value);
		KeepGreater(&greatest_, value);
	} else {
		sum_.Add(-value);
		squares_.Subtract(square);
		KeepLess(&least_taken_, value);
		KeepGreater(&greatest_taken_, value);
		took_ = true;
	}
	peak_ = std::max({peak_, std::fabs(squares_.high), square.high});
	const std::int32_t place = PlaceOf(value);
	if ((sketch_[place] += times) == 0) {
		sketch_.erase(place);
	}
}

void
Summary::Merge(const Summary &other) {
	nulls_ += other.nulls_;
	if (!other.wide_) {
		for (const double value : other.added_) {
			Add(value);
		}
		for (const double value : other.taken_) {
			Take(value);
		}
		return;
	}
	if (!wide_) {
		Widen();
	}
	finite_ += other.finite_;
	nan_ += other.nan_;
	infinite_ += other.infinite_;
	minus_infinite_ += other.minus_infinite_;
	sum_.Add(other.sum_);
	squares_.Add(other.squares_);
	peak_ = std::max({peak_, other.peak_, std::fabs(squares_.high)});
	took_ |= other.took_;
	if (other.least_) {
		KeepLess(&least_, *other.least_);
		KeepGreater(&greatest_, *other.greatest_);
	}
	if (other.least_taken_) {
		KeepLess(&least_taken_, *other.least_taken_);
		KeepGreater(&greatest_taken_, *other.greatest_taken_);
	}
	for (const auto &[place, count] : other.sketch_) {
		if ((sketch_[place] += count) == 0) {
			sketch_.erase(place);
		}
	}
}

bool
Summary::ChangesNothing() const {
	return nulls_ == 0 && !wide_ && added_.empty() && taken_.empty();
}

bool
Summary::IsEmpty() const {
	if (nulls_ != 0) {
		return false;
	}
	return wide_ ? finite_ == 0 && nan_ == 0 && infinite_ == 0 && minus_infinite_ == 0 && sketch_.empty() : added_.empty() && taken_.empty();
}

void
Summary::ResolveRange() {
	if (!wide_) {
		return;
	}
	if (finite_ == 0 && sketch_.empty()) {
		const std::int64_t nan = nan_;
		const std::int64_t infinite = infinite_;
		const std::int64_t minus_infinite = minus_infinite_;
		const std::int64_t nulls = nulls_;
		*this = Summary();
		wide_ = nan != 0 || infinite != 0 || minus_infinite != 0;
		nan_ = nan;
		infinite_ = infinite;
		minus_infinite_ = minus_infinite;
		nulls_ = nulls;
		return;
	}
	if (least_taken_ && least_ && *least_ < *least_taken_ && *greatest_taken_ < *greatest_) {
		least_taken_.reset();
		greatest_taken_.reset();
	}
}

bool
Summary::IsUnsure() const {
	if (!wide_) {
		return !taken_.empty();
	}
	if (least_taken_) {
		return true;
	}
	if (!took_ || finite_ < 2) {
		return false;
	}
	// What was taken was so much greater than what is left that its rounding shows.
	return !std::isfinite(squares_.high) || (peak_ > 1e4 * std::fabs(squares_.high) && SquaredDeviations() < peak_ * 1e-16);
}

std::int64_t
Summary::readings() const {
	return nulls_ + values();
}

std::int64_t
Summary::values() const {
	return wide_ ? finite_ + nan_ + infinite_ + minus_infinite_ : static_cast<std::int64_t>(added_.size()) - static_cast<std::int64_t>(taken_.size());
}

std::optional<double>
Summary::Sum() const {
	if (!wide_) {
		Summary wide = *this;
		wide.Widen();
		return wide.Sum();
	}
	if (values() == 0) {
		return std::nullopt;
	}
	constexpr double kInfinity = std::numeric_limits<double>::infinity();
	if (nan_ != 0 || (infinite_ != 0 && minus_infinite_ != 0)) {
		return std::numeric_limits<double>::quiet_NaN();
	}
	if (infinite_ != 0 || minus_infinite_ != 0) {
		return infinite_ != 0 ? kInfinity : -kInfinity;
	}
	return sum_.high;
}

std::optional<double>
Summary::Average() const {
	const std::optional<double> sum = Sum();
	return sum && std::isfinite(*sum) ? *sum / static_cast<double>(values()) : sum;
}

std::optional<double>
Summary::Least() const {
	if (!wide_) {
		const auto found = std::min_element(added_.begin(), added_.end(), SqlLess);
		return found == added_.end() ? std::nullopt : std::optional<double>(*found);
	}
	if (minus_infinite_ != 0) {
		return -std::numeric_limits<double>::infinity();
	}
	if (finite_ != 0) {
		return least_;
	}
	if (infinite_ != 0) {
		return std::numeric_limits<double>::infinity();
	}
	return nan_ != 0 ? std::optional<double>(std::numeric_limits<double>::quiet_NaN()) : std::nullopt;
}

std::optional<double>
Summary::Greatest() const {
	if (!wide_) {
		const auto found = std::max_element(added_.begin(), added_.end(), SqlLess);
		return found == added_.end() ? std::nullopt : std::optional<double>(*found);
	}
	if (nan_ != 0) {
		return std::numeric_limits<double>::quiet_NaN();
	}
	if (infinite_ != 0) {
		return std::numeric_limits<double>::infinity();
	}
	if (finite_ != 0) {
		return greatest_;
	}
	return minus_infinite_ != 0 ? std::optional<double>(-std::numeric_limits<double>::infinity()) : std::nullopt;
}

// The sum of squares less the square of the sum over n: in some 106 bits, so that a great mean costs no digit that counts.
double
Summary::SquaredDeviations() const {
	const auto n = static_cast<double>(finite_);
	// sum / n in two parts, then times sum
	const double quotient = sum_.high / n;
	WideSum rest = sum_;
	rest.Subtract(WideSum::Product(quotient, n));
	const double quotient_low = (rest.high + rest.low) / n;
	WideSum result = squares_;
	result.Subtract(WideSum::Product(quotient, sum_.high));
	result.Subtract(WideSum::Product(quotient, sum_.low));
	result.Subtract(WideSum::Product(quotient_low, sum_.high));
	return std::max(result.high + result.low, 0.0);
}

std::optional<double>
Summary::Deviation() const {
	if (values() < 2) {
		return std::nullopt;
	}
	if (!wide_) {
		// of the values themselves: their mean first, so that nothing depends on its size
		double scale = 0;
		for (const double value : added_) {
			if (!std::isfinite(value)) {
				return std::numeric_limits<double>::quiet_NaN();
			}
			scale = std::max(scale, std::fabs(value));
		}
		if (scale == 0) {
			return 0;
		}
		scale = std::ldexp(1.0, std::min(std::ilogb(scale), 1000));
		const auto n = static_cast<double>(added_.size());
		WideSum sum;
		for (const double value : added_) {
			sum.Add(value / scale);
		}
		const double mean = sum.high / n;
		WideSum squares;
		WideSum drift;
		for (const double value : added_) {
			const double deviation = value / scale - mean;
			squares.Add(WideSum::Product(deviation, deviation));
			drift.Add(deviation);
		}
		return std::sqrt(std::max(squares.high - drift.high * drift.high / n, 0.0) / (n - 1)) * scale;
	}
	if (nan_ != 0 || infinite_ != 0 || minus_infinite_ != 0) {
		return std::numeric_limits<double>::quiet_NaN();
	}
	return std::sqrt(SquaredDeviations() / static_cast<double>(finite_ - 1));
}

std::optional<double>
Summary::Quantile(double fraction) const {
	if (values() <= 0) {
		return std::nullopt;
	}
	auto rank = std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(fraction * static_cast<double>(values()))) - 1, 0);
	if (!wide_) {
		std::vector<double> sorted = added_;
		std::sort(sorted.begin(), sorted.end(), SqlLess);
		return sorted[static_cast<std::size_t>(std::min<std::int64_t>(rank, static_cast<std::int64_t>(sorted.size()) - 1))];
	}
	if (rank < minus_infinite_) {
		return -std::numeric_limits<double>::infinity();
	}
	rank -= minus_infinite_;
	if (rank < finite_) {
		std::vector<std::pair<double, std::int64_t>> bins;
		for (const auto &[place, count] : sketch_) {
			bins.emplace_back(ValueAt(place), count);
		}
		std::sort(bins.begin(), bins.end());
		double value = bins.empty() ? 0 : bins.back().first;
		for (const auto &[at, count] : bins) {
			if (rank < count) {
				value = at;
				break;
			}
			rank -= count;
		}
		return least_ ? std::min(std::max(value, *least_), *greatest_) : value;
	}
	rank -= finite_;
	return rank < infinite_ ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
}

std::string
Summary::Bytes() const {
	std::string bytes;
	bytes.push_back(static_cast<char>(wide_ ? kMany : kFew));
	PutCount(&bytes, nulls_);
	if (!wide_) {
		bytes.push_back(static_cast<char>(added_.size()));
		bytes.push_back(static_cast<char>(taken_.size()));
		for (const double value : added_) {
			PutDouble(&bytes, value);
		}
		for (const double value : taken_) {
			PutDouble(&bytes, value);
		}
		return bytes;
	}
	bytes.push_back(static_cast<char>((least_ ? kHasRange : 0) | (least_taken_ ? kHasTaken : 0) | (took_ ? kTook : 0)));
	for (const std::int64_t count : {finite_, nan_, infinite_, minus_infinite_}) {
		PutCount(&bytes, count);
	}
	for (const double value : {sum_.high, sum_.low, squares_.high, squares_.low, peak_}) {
		PutDouble(&bytes, value);
	}
	if (least_) {
		PutDouble(&bytes, *least_);
		PutDouble(&bytes, *greatest_);
	}
	if (least_taken_) {
		PutDouble(&bytes, *least_taken_);
		PutDouble(&bytes, *greatest_taken_);
	}
	PutCount(&bytes, static_cast<std::int64_t>(sketch_.size()));
	std::int64_t before = 0;
	for (const auto &[place, count] : sketch_) {
		PutCount(&bytes, place - before);
		PutCount(&bytes, count);
		before = place;
	}
	return bytes;
}

namespace {

// The counts of a sketch, by their places.
std::map<std::int32_t, std::int64_t>
ReadSketch(Reader *reader) {
	std::map<std::int32_t, std::int64_t> sketch;
	const std::int64_t bins = reader->Count();
	std::int64_t place = 0;
	for (std::int64_t i = 0; i < bins; i++) {
		place += reader->Count();
		if (place < std::numeric_limits<std::int32_t>::min() || place > std::numeric_limits<std::int32_t>::max()) {
			Reader::Refuse();
		}
		const std::int64_t count = reader->Count();
		sketch.emplace_hint(sketch.end(), static_cast<std::int32_t>(place), count);
	}
	return sketch;
}

} // namespace

Summary
Summary::FromBytes(std::string_view bytes) {
	Reader reader(bytes);
	Summary summary;
	if (DistinctReadings::IsSet(bytes)) {
		const DistinctReadings set = DistinctReadings::FromBytes(bytes);
		for (std::size_t i = 0; i < set.size(); i++) {
			summary.Add(set.Value(i));
		}
		return summary;
	}
	const unsigned char form = reader.Byte();
	if (form != kFew && form != kMany) {
		Reader::Refuse();
	}
	summary.nulls_ = reader.Count();
	if (form == kFew) {
		const unsigned char added = reader.Byte();
		const unsigned char taken = reader.Byte();
		if (added + taken > kFewValues || reader.left() != 8U * static_cast<unsigned>(added + taken)) {
			Reader::Refuse();
		}
		summary.added_.reserve(added);
		for (int i = 0; i < added; i++) {
			summary.added_.push_back(reader.Double());
		}
		for (int i = 0; i < taken; i++) {
			summary.taken_.push_back(reader.Double());
		}
		return summary;
	}
	summary.wide_ = true;
	const unsigned char flags = reader.Byte();
	for (std::int64_t *count : {&summary.finite_, &summary.nan_, &summary.infinite_, &summary.minus_infinite_}) {
		*count = reader.Count();
	}
	for (double *value : {&summary.sum_.high, &summary.sum_.low, &summary.squares_.high, &summary.squares_.low, &summary.peak_}) {
		*value = reader.Double();
	}
	if ((flags & kHasRange) != 0) {
		summary.least_ = reader.Double();
		summary.greatest_ = reader.Double();
	}
	if ((flags & kHasTaken) != 0) {
		summary.least_taken_ = reader.Double();
		summary.greatest_taken_ = reader.Double();
	}
	summary.took_ = (flags & kTook) != 0;
	summary.sketch_ = ReadSketch(&reader);
	if (reader.left() != 0) {
		Reader::Refuse();
	}
	return summary;
}

void
Summary::WriteOneValue(double value, char *bytes) {
	bytes[0] = static_cast<char>(kFew);
	bytes[1] = 0;
	bytes[2] = 1;
	bytes[3] = 0;
	WriteDouble(value, bytes + 4);
}

} // namespace auren

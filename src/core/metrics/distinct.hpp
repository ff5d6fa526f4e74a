#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace auren {

/*
 * Readings of one series in five minutes, of which those of the same moment and value count once: a set of moments and values. Sets of
 * parts merge to that of the whole in whatever order they come, so that a writer does not have to know what is there already.
 *
 * Its bytes are those of a summary of a third form: Summary::FromBytes reads them as the summary of what is in the set.
 */
class DistinctReadings {
  public:
	struct Place {
		std::int32_t source = 0;
		std::int64_t series = 0;
		std::int64_t bucket = 0;

		bool
		operator<(const Place &other) const {
			return std::tie(source, series, bucket) < std::tie(other.source, other.series, other.bucket);
		}
	};

	DistinctReadings() = default;
	explicit DistinctReadings(const Place &place) : place_(place) {
	}

	const Place &
	place() const {
		return place_;
	}

	std::size_t
	size() const {
		return members_.size();
	}

	// Microseconds after the start of the five minutes, and a value. Sort() makes a set of what was put.
	void Put(std::uint32_t offset, double value);
	void Sort();

	void Merge(const DistinctReadings &other);
	void TakeOut(const DistinctReadings &other);
	double Value(std::size_t i) const;

	static bool IsSet(std::string_view bytes);
	std::string Bytes() const;
	// Throws 22P03 where the bytes are not a set.
	static DistinctReadings FromBytes(std::string_view bytes);

  private:
	Place place_;
	std::vector<std::pair<std::uint32_t, std::uint64_t>> members_; // moment, bits of the value
};

} // namespace auren

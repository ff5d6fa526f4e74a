#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/borrowed.hpp"

namespace auren {

/*
 * Many deltas in one, which a statement with many readings writes, in the order of series and bucket, so that one series' are found
 * by halving. Layout, least byte first: how many there are (4 bytes); for each its series (8), its bucket (8) and where the bytes of
 * its summary end (4), counted from the first summary's; then the summaries.
 */
class DeltaPack {
  public:
	// Bytes beyond which a row would be moved out of its table's pages.
	static constexpr std::size_t kMostBytes = 1900;

	void Add(std::int64_t series, std::int64_t bucket, std::string_view summary);
	void Clear();

	bool
	empty() const {
		return count() == 0;
	}

	std::size_t
	count() const {
		return heads_.size() / kHeadBytes;
	}

	// Whether another summary of that many bytes makes it too large.
	bool IsFullFor(std::size_t summary_bytes) const;
	std::int64_t first_series() const;
	std::int64_t last_series() const;
	// How large Write's bytes are.
	std::size_t size() const;
	void Write(char *bytes) const;

	static constexpr std::size_t kHeadBytes = 20;

  private:
	std::string heads_;
	std::string summaries_;
};

// Reads a pack's bytes. Refuses other bytes with 22P03.
class DeltaPackReader {
  public:
	struct Delta {
		std::int64_t series;
		std::int64_t bucket;
		std::string_view summary;
	};

	explicit DeltaPackReader(Borrowed bytes);

	std::size_t
	count() const {
		return count_;
	}

	Delta At(std::size_t i) const;
	// The first delta of that series or a later one; count() where there is none.
	std::size_t FirstOf(std::int64_t series) const;

  private:
	std::int64_t SeriesAt(std::size_t i) const;

	Borrowed bytes_;
	std::size_t count_;
};

/*
 * Packs of a statement are split by the leading bits of the series' number, more of them the more deltas it has. A **lot** is such a
 * share: it says how many bits and which. Each series has one lot of each size, so its deltas are in the packs of few lots.
 */
constexpr int kLotSizes = 4;
int LotOf(std::int64_t series, std::size_t deltas);
std::array<int, kLotSizes> LotsOf(std::int64_t series);

} // namespace auren

#pragma once

#include <cstdint>

namespace auren {

/*
 * Whether a value that was read from somewhere is still what is written there. Whoever hears of a change calls Forget(), at
 * any time, also while the value is being read. Changes are counted: the count is taken before a reading and compared
 * after it, so that a change during the reading is never lost. A reading that fails leaves the value stale.
 *
 * It is plain data: an error of the server may jump out of a reading.
 */
class Freshness {
public:
	// How often one call reads at most. Where changes are told at every chance, no reading ends before the next change.
	static constexpr int kMostReadings = 3;

	bool
	IsFresh() const noexcept {
		return read_at_ == changes_;
	}

	void
	Forget() noexcept {
		changes_++;
	}

	/*
	 * Calls read() unless the value is fresh, and again when a change was told meanwhile, up to kMostReadings times. Where
	 * changes went on to the end the caller uses what the last reading gave, which is no older than the call, and the value
	 * stays stale: the next call reads again.
	 */
	template <typename Read>
	void
	Refresh(Read &&read) {
		for (int reading = 0; reading < kMostReadings && !IsFresh(); reading++) {
			ReadOnce(read);
		}
	}

	// The same for a value that the caller can use without a second reading.
	template <typename Read>
	void
	ReadOnce(Read &&read) {
		const std::uint64_t before = changes_;
		read();
		read_at_ = before;
	}

private:
	std::uint64_t changes_ = 1;
	std::uint64_t read_at_ = 0;
};

} // namespace auren

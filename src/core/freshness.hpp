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
	bool
	IsFresh() const noexcept {
		return read_at_ == changes_;
	}

	void
	Forget() noexcept {
		changes_++;
	}

	/*
	 * Calls read() unless the value is fresh. Where a change was told meanwhile the caller uses what was read, which is no
	 * older than the call, and the next one reads again. So a reading ends where changes are told at every chance, too.
	 */
	template <typename Read>
	void
	Refresh(Read &&read) {
		if (!IsFresh()) {
			const std::uint64_t before = changes_;
			read();
			read_at_ = before;
		}
	}

  private:
	std::uint64_t changes_ = 1;
	std::uint64_t read_at_ = 0;
};

} // namespace auren

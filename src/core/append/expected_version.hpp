#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auren {

/*
 * What an append expects of its stream: anything, an existing stream (-1), or an exact version (0: no stream yet).
 */
class ExpectedVersion {
  public:
	static constexpr std::int64_t kExists = -1;

	// any version
	constexpr ExpectedVersion() = default;
	// throws 22023 for a number below -1
	static ExpectedVersion FromNumber(std::int64_t number);

	constexpr bool
	IsAny() const {
		return any_;
	}
	bool Matches(std::int64_t actual) const;
	// "any", "-1 (an existing stream)", "0 (a new stream)" or the number
	std::string Text() const;

	friend constexpr bool
	operator==(const ExpectedVersion &a, const ExpectedVersion &b) {
		return a.any_ == b.any_ && a.number_ == b.number_;
	}

  private:
	bool any_ = true;
	std::int64_t number_ = 0;
};

// throws ZE001 with both versions in DETAIL unless the stream is as expected
void CheckExpectedVersion(std::string_view stream_id, const ExpectedVersion &expected, std::int64_t actual);

} // namespace auren

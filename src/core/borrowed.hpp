#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace auren {

/*
 * Bytes of somebody else, which must live as long as whoever keeps this. So it is not made of a string that ends with the
 * statement; otherwise it is a std::string_view.
 */
class Borrowed : public std::string_view {
  public:
	constexpr Borrowed() = default;
	constexpr Borrowed(std::string_view bytes) : std::string_view(bytes) {
	}
	constexpr Borrowed(const char *text) : std::string_view(text) {
	}
	constexpr Borrowed(const char *bytes, std::size_t size) : std::string_view(bytes, size) {
	}
	Borrowed(const std::string &bytes) : std::string_view(bytes) {
	}
	Borrowed(std::string &&) = delete;
	Borrowed(const std::string &&) = delete;
};

} // namespace auren

#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace auren {

// a == b for what is mostly short, equal, and compared for every value: without the call that memcmp is.
inline bool
SameBytes(std::string_view a, std::string_view b) {
	if (a.size() != b.size()) {
		return false;
	}
	const auto differ = [&](std::size_t at) {
		std::uint64_t left;
		std::uint64_t right;
		std::memcpy(&left, a.data() + at, sizeof left);
		std::memcpy(&right, b.data() + at, sizeof right);
		return left ^ right;
	};
	const std::size_t size = a.size();
	if (size < 8) {
		for (std::size_t i = 0; i < size; i++) {
			if (a[i] != b[i]) {
				return false;
			}
		}
		return true;
	}
	std::uint64_t difference = differ(size - 8);
	for (std::size_t at = 0; at + 8 < size; at += 8) {
		difference |= differ(at);
	}
	return difference == 0;
}

} // namespace auren

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// A promise that must hold for every input.
#define REQUIRE(condition)                                                                                                                           \
	if (!(condition)) {                                                                                                                              \
		std::abort();                                                                                                                                \
	}

inline std::string_view
TextOf(const uint8_t *data, size_t size) {
	return {reinterpret_cast<const char *>(data), size};
}

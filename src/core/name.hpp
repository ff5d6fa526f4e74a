#pragma once

#include <cstddef>
#include <string_view>

namespace auren {

/*
 * A name as the caller gave it: its bytes in the server's encoding and how many characters they are.
 */
struct Name {
	std::string_view bytes;
	std::size_t characters;
};

} // namespace auren

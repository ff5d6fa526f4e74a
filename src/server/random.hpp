#pragma once

#include <cstddef>
#include <cstdint>

namespace auren::pg {

namespace internal {

struct Drawn {
	std::uint64_t bits[512];
	std::size_t left = 0;
};
extern Drawn drawn;
void Draw();

} // namespace internal

// 64 bits of the server's cryptographic source, drawn a page at a time: a call for each event would cost as much as two
// index inserts.
inline std::uint64_t
RandomBits() {
	internal::Drawn &drawn = internal::drawn;
	if (drawn.left == 0) {
		internal::Draw();
	}
	const std::uint64_t bits = drawn.bits[--drawn.left];
	drawn.bits[drawn.left] = 0;
	return bits;
}

} // namespace auren::pg

#pragma once

#include <cstdint>

namespace auren::pg {

// 64 bits of the server's cryptographic source, drawn a page at a time: a call for each event would cost as much as two
// index inserts.
std::uint64_t RandomBits();

} // namespace auren::pg

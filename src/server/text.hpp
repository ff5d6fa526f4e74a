#pragma once

#include <string_view>

#include "server/postgres.hpp"

namespace auren::pg {

// The bytes of a text or jsonb that is neither compressed nor stored out of line; they live as long as the datum. Either side.
inline std::string_view
TextBytes(Datum datum) {
	const auto *bytes = DatumGetPointer(datum);
	return {VARDATA_ANY(bytes), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(bytes))};
}

// Whether TextBytes may read it. The server may compress any text of a wide row, short names too.
inline bool
IsPlainText(Datum datum) {
	const auto *bytes = DatumGetPointer(datum);
	return !VARATT_IS_COMPRESSED(bytes) && !VARATT_IS_EXTERNAL(bytes);
}

// Two plain texts, byte by byte.
inline bool
SameText(Datum a, Datum b) {
	return TextBytes(a) == TextBytes(b);
}

} // namespace auren::pg

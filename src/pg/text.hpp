#pragma once

#include <new>
#include <string_view>

#include "pg/guard.hpp"
#include "pg/postgres.hpp"

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

// A text of so many bytes, still to be written, in the caller's memory context. C++ side.
inline text *
NewText(std::size_t bytes) {
	constexpr std::size_t kSmall = 8192;
	const Size size = VARHDRSZ + bytes;
	void *room;
	if (size <= kSmall) {
		// unguarded: with this flag a size that is allowed raises nothing, and a guard costs as much as the memory
		room = MemoryContextAllocExtended(CurrentMemoryContext, size, MCXT_ALLOC_NO_OOM);
		if (room == nullptr) {
			throw std::bad_alloc();
		}
	} else {
		room = Call([&] { return palloc(size); });
	}
	SET_VARSIZE(room, size);
	return static_cast<text *>(room);
}

// Two plain texts, byte by byte.
inline bool
SameText(Datum a, Datum b) {
	return TextBytes(a) == TextBytes(b);
}

} // namespace auren::pg

#pragma once

#include <new>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Where a text is written: gives the place for so many bytes, which the caller then fills.
class TextSink {
  public:
	virtual char *Reserve(std::size_t bytes) = 0;

  protected:
	~TextSink() = default;
};

// One text datum, in the caller's memory context.
class TextValue final : public TextSink {
  public:
	char *
	Reserve(std::size_t bytes) override {
		constexpr std::size_t kSmall = 8192;
		const Size size = VARHDRSZ + bytes;
		if (size <= kSmall) {
			// unguarded: with this flag a size that is allowed raises nothing, and a guard costs as much as the memory
			text_ = static_cast<text *>(MemoryContextAllocExtended(CurrentMemoryContext, size, MCXT_ALLOC_NO_OOM));
			if (text_ == nullptr) {
				throw std::bad_alloc();
			}
		} else {
			text_ = Call([&] { return static_cast<text *>(palloc(size)); });
		}
		SET_VARSIZE(text_, size);
		return VARDATA(text_);
	}
	Datum
	datum() const {
		return PointerGetDatum(text_);
	}

  private:
	text *text_ = nullptr;
};

} // namespace auren::pg

#pragma once

#include <cstring>
#include <string_view>

#include "server/postgres.hpp"
#include "server/text.hpp"
#include "server/text_sink.hpp"

namespace auren::pg {

// The elements of a text array of any dimensions, one after the other.
class TextArrayReader {
  public:
	// An array argument, flat or expanded; it is not copied where it is in memory already.
	explicit TextArrayReader(Datum array);

	// Elements, nulls too.
	int
	count() const {
		return count_;
	}
	int
	left() const {
		return count_ - next_;
	}
	Size
	bytes() const {
		return bytes_;
	}
	// The next one, false where it is null. Its bytes live as long as the array.
	bool
	Next(std::string_view *element) {
		bool isnull;
		Datum datum = array_iter_next(&at_, &isnull, next_++, -1, false, TYPALIGN_INT);
		if (isnull) {
			return false;
		}
		*element = TextBytes(IsPlainText(datum) ? datum : Plain(datum));
		return true;
	}

  private:
	friend class TextArrayWriter;
	static Datum Plain(Datum datum);

	AnyArrayType *array_;
	array_iter at_;
	int count_;
	int next_ = 0;
	Size bytes_;
};

/*
 * An array of the form of another: dimensions, bounds and nulls. The texts come in the other's order, as many as it has elements
 * that are not null. In the caller's memory context.
 */
class TextArrayWriter final : public TextSink {
  public:
	// `bytes`: how much its texts with their headers will need, as far as it is known.
	TextArrayWriter(const TextArrayReader &like, Size bytes);

	char *
	Reserve(std::size_t bytes) override {
		const Size needed = VARHDRSZ + static_cast<Size>(bytes);
		// sums of sizes, never differences: what is used may have passed capacity_ - kPadding, and a difference would wrap
		if (used_ + needed + kPadding > capacity_) {
			Grow(needed);
		}
		char *element = array_ + used_;
		const Size aligned = INTALIGN(needed);
		std::memset(element + aligned - sizeof(int32), 0, sizeof(int32)); // what aligns it
		SET_VARSIZE(element, needed);
		used_ += aligned;
		return element + VARHDRSZ;
	}
	Size
	size() const {
		return used_;
	}
	// Takes back what was written since it had that size.
	void
	Truncate(Size size) {
		used_ = size;
	}
	Datum Done();

  private:
	static constexpr Size kPadding = 8;
	void Grow(Size needed);

	char *array_;
	Size used_;
	Size capacity_;
};

} // namespace auren::pg

#include "server/text_array.hpp"

#include <string>

#include "core/error.hpp"
#include "server/guard.hpp"

namespace auren::pg {

namespace {

[[noreturn]] void
ThrowTooLarge() {
	throw DomainError("54000", "the array is too large", "It would have more than " + std::to_string(MaxAllocSize) + " bytes.",
	                  "Give fewer values at a time.");
}

} // namespace

TextArrayReader::TextArrayReader(Datum array) {
	array_ = Call([array] { return DatumGetAnyArrayP(array); });
	array_iter_setup(&at_, array_);
	count_ = Call([this] { return ArrayGetNItems(AARR_NDIM(array_), AARR_DIMS(array_)); });
	if (VARATT_IS_EXPANDED_HEADER(array_)) {
		bytes_ = Call([this] { return EOH_get_flat_size(&array_->xpn.hdr); });
	} else {
		bytes_ = ARR_SIZE(&array_->flt);
	}
}

// Elements are plain where the server made the array.
Datum
TextArrayReader::Plain(Datum datum) {
	return Call([datum] { return PointerGetDatum(PG_DETOAST_DATUM_PACKED(datum)); });
}

TextArrayWriter::TextArrayWriter(const TextArrayReader &like, Size bytes) {
	AnyArrayType *model = like.array_;
	const int dimensions = AARR_NDIM(model);
	const bool nulls = AARR_HASNULL(model);
	used_ = nulls ? ARR_OVERHEAD_WITHNULLS(dimensions, like.count()) : ARR_OVERHEAD_NONULLS(dimensions);
	capacity_ = used_ + bytes + kPadding;
	if (capacity_ > MaxAllocSize) {
		capacity_ = MaxAllocSize; // it was a guess
	}
	const Size head = used_;
	array_ = Call([&] { return static_cast<char *>(palloc(capacity_)); });
	std::memset(array_, 0, head);
	auto *array = reinterpret_cast<ArrayType *>(array_);
	array->ndim = dimensions;
	array->dataoffset = nulls ? static_cast<int32>(head) : 0;
	array->elemtype = TEXTOID;
	std::memcpy(ARR_DIMS(array), AARR_DIMS(model), sizeof(int) * static_cast<Size>(dimensions));
	std::memcpy(ARR_LBOUND(array), AARR_LBOUND(model), sizeof(int) * static_cast<Size>(dimensions));
	if (nulls) {
		TextArrayReader elements(like);
		std::string_view element;
		bits8 *bitmap = ARR_NULLBITMAP(array);
		for (int i = 0; i < like.count(); i++) {
			if (elements.Next(&element)) {
				bitmap[i / 8] = static_cast<bits8>(bitmap[i / 8] | 1 << i % 8);
			}
		}
	}
}

void
TextArrayWriter::Grow(Size needed) {
	if (needed > MaxAllocSize || used_ + needed + kPadding > MaxAllocSize) {
		ThrowTooLarge();
	}
	capacity_ = Min(MaxAllocSize, Max(capacity_ * 2, used_ + needed + kPadding));
	array_ = Call([&] { return static_cast<char *>(repalloc(array_, capacity_)); });
}

Datum
TextArrayWriter::Done() {
	SET_VARSIZE(array_, used_);
	return PointerGetDatum(array_);
}

} // namespace auren::pg

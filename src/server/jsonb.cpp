#include "server/jsonb.hpp"

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "server/guard.hpp"

namespace auren::pg {

namespace {

Datum
NumericOf(std::string_view bytes) {
	return PointerGetDatum(bytes.data());
}

} // namespace

void
JsonbView::StoreDocument(Json *target) const {
	// the container after a length word of its own is a jsonb
	char header[VARHDRSZ];
	SET_VARSIZE(header, length_ + VARHDRSZ);
	std::string bytes;
	bytes.reserve(length_ + VARHDRSZ);
	bytes.append(header, VARHDRSZ).append(data_, length_);
	*target = Json(Json::Document{std::move(bytes)});
}

bool
ServerJson::Equal(std::string_view number, std::string_view other) const {
	return Call([&] { return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericOf(number), NumericOf(other))); });
}

std::string
ServerJson::Sum(std::string_view number, std::string_view other) const {
	char *sum = Call([&] { return DatumGetPointer(DirectFunctionCall2(numeric_add, NumericOf(number), NumericOf(other))); });
	std::string bytes(sum, VARSIZE_ANY(sum));
	pfree(sum);
	return bytes;
}

Json
ServerJson::Expand(std::string_view document) const {
	const char *bytes = document.data();
	auto *jsonb = Call([&] { return DatumGetJsonbP(PointerGetDatum(bytes)); });
	const JsonbView view(jsonb);
	Json value;
	if (view.kind() == Json::Kind::kObject) {
		Json::Object &object = value.SetObject();
		view.ForEachMember([&](std::string_view key, const JsonbView &member) { Store(&object.emplace(key, Json()).first->second, member); });
	} else if (view.kind() == Json::Kind::kArray) {
		Json::Array &array = value.SetArray();
		view.ForEachElement([&](const JsonbView &element) { Store(&array.emplace_back(), element); });
	} else {
		Store(&value, view);
	}
	if (reinterpret_cast<const char *>(jsonb) != bytes) {
		pfree(jsonb);
	}
	return value;
}

void
ServerJson::CheckStack() const {
	if (stack_is_too_deep()) {
		throw DomainError("54001", "stack depth limit exceeded", "A state or an event is nested too deeply.");
	}
}

Json
JsonOf(Datum jsonb) {
	const auto *bytes = reinterpret_cast<const char *>(DatumGetPointer(jsonb));
	return Json(Json::Document{std::string(bytes, VARSIZE_ANY(bytes))});
}

} // namespace auren::pg

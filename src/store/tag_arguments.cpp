#include "store/tag_arguments.hpp"

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/tags/tag.hpp"
#include "server/arguments.hpp"
#include "server/guard.hpp"
#include "server/jsonb.hpp"
#include "store/event_read.hpp"

namespace auren::pg {

namespace {

std::size_t
CharactersOf(std::string_view bytes) {
	const char *data = bytes.data();
	const int size = static_cast<int>(bytes.size());
	return static_cast<std::size_t>(Call([&] { return pg_mbstrlen_with_len(data, size); }));
}

TagSet
MakeSet(const std::vector<Name> &given) {
	const std::vector<std::string_view> tags = GivenTags(given);
	if (tags.empty()) {
		return {NoTags(), {nullptr, 0}};
	}
	return Call([&] {
		const int count = static_cast<int>(tags.size());
		auto *items = static_cast<Datum *>(palloc(sizeof(Datum) * tags.size()));
		for (int i = 0; i < count; i++) {
			const std::string_view tag = tags[static_cast<std::size_t>(i)];
			items[i] = PointerGetDatum(cstring_to_text_with_len(tag.data(), static_cast<int>(tag.size())));
		}
		return TagSet{PointerGetDatum(construct_array(items, count, TEXTOID, -1, false, TYPALIGN_INT)), {items, count}};
	});
}

[[noreturn]] void
ThrowNotTags() {
	throw DomainError(sqlstate::kInvalidParameter, "the tags of an event must be a JSON array of texts", "Another JSON value was given.",
	                  "Give '[\"room:12\", \"student:ada\"]', say, or NULL for an event without tags.");
}

} // namespace

TagSet
TagsOfArray(const ArrayType *array) {
	if (ARR_NDIM(array) > 1) {
		throw DomainError(sqlstate::kInvalidParameter, "p_tags must have one dimension", "It has " + std::to_string(ARR_NDIM(array)) + " dimensions.",
		                  "Give the tags of the event one after the other.");
	}
	Elements elements;
	Call([&] {
		deconstruct_array(const_cast<ArrayType *>(array), TEXTOID, -1, false, TYPALIGN_INT, &elements.values, &elements.isnull, &elements.count);
	});
	std::vector<Name> tags;
	for (int i = 0; i < elements.count; i++) {
		if (elements.isnull[i]) {
			throw DomainError(sqlstate::kNullNotAllowed, "p_tags must not contain NULL", "Element " + std::to_string(i + 1) + " is NULL.",
			                  "Leave it out.");
		}
		tags.push_back(TextOf(elements.values[i]).name);
	}
	return MakeSet(tags);
}

TagSet
TagsArgument(FunctionCallInfo fcinfo, int argument) {
	if (argument >= PG_NARGS() || PG_ARGISNULL(argument)) {
		return {NoTags(), {nullptr, 0}};
	}
	return TagsOfArray(Call([&] { return PG_GETARG_ARRAYTYPE_P(argument); }));
}

TagSet
TagsOfJson(Datum jsonb) {
	const JsonbView root(DatumGetJsonbP(JsonbOf(jsonb)));
	if (root.kind() == Json::Kind::kNull) {
		return {NoTags(), {nullptr, 0}};
	}
	if (root.kind() != Json::Kind::kArray) {
		ThrowNotTags();
	}
	std::vector<Name> tags;
	root.ForEachElement([&](const JsonbView &element) {
		if (element.kind() != Json::Kind::kString) {
			ThrowNotTags();
		}
		tags.push_back({element.bytes(), CharactersOf(element.bytes())});
	});
	return MakeSet(tags);
}

} // namespace auren::pg

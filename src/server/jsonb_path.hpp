#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/json/json_pointer.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// What is at a place in a jsonb. What it leads to lives as long as the jsonb and the memory context.
struct JsonbPlace {
	bool there;
	JsonbValue value;
};

// A jsonb as a value to look into: a plain one where it lies, else a copy of it in the current memory context.
inline JsonbValue
RootOf(Server, Datum jsonb) {
	JsonbValue root;
	JsonbToJsonbValue(DatumGetJsonbP(jsonb), &root);
	return root;
}

/*
 * Goes a path of keys of objects and places in arrays; its tokens are what a std::string_view is made of. A null is there as little as what is
 * missing.
 */
template <typename Path>
JsonbPlace
FindAtPath(Server, const JsonbValue &root, const Path &path) {
	JsonbPlace found = {true, root};
	for (const std::string_view token : path) {
		JsonbContainer *container = found.value.type == jbvBinary ? found.value.val.binary.data : nullptr;
		const JsonbValue *value = nullptr;
		if (container != nullptr && JsonContainerIsObject(container)) {
			value = getKeyJsonValueFromContainer(container, token.data(), static_cast<int>(token.size()), &found.value);
		} else if (container != nullptr) {
			const std::optional<std::size_t> index = ArrayIndex(token);
			value = index && *index < JsonContainerSize(container) ? getIthJsonbValueFromContainer(container, static_cast<uint32>(*index)) : nullptr;
		}
		if (value == nullptr) {
			return {};
		}
		if (value != &found.value) {
			found.value = *value;
		}
	}
	found.there = found.value.type != jbvNull;
	return found;
}

} // namespace auren::pg

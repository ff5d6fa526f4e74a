#pragma once

#include <string>
#include <string_view>

#include "core/json/json.hpp"
#include "core/json/json_view.hpp"

namespace auren {

/*
 * Changes *target as RFC 7396 says: members of an object are merged, null removes one, anything else takes the place of
 * what was there. Every patch is valid. The patch is any view (core/json/json_view.hpp). Where the host throws, a part of the
 * merge has been made.
 */
template <typename View>
void
MergeView(Json *target, const View &patch, const JsonHost &host) {
	if (patch.kind() != Json::Kind::kObject) {
		Store(target, patch);
		return;
	}
	host.CheckStack();
	ExpandInPlace(target, host);
	Json::Object &object = target->is(Json::Kind::kObject) ? target->object() : target->SetObject();
	patch.ForEachMember([&](std::string_view key, const auto &value) {
		auto member = object.lower_bound(key);
		const bool found = member != object.end() && member->first == key;
		if (value.kind() == Json::Kind::kNull) {
			if (found) {
				object.erase(member);
			}
			return;
		}
		if (!found) {
			// merged into null, so that no null of the patch stays in it
			member = object.emplace_hint(member, std::string(key), Json());
		}
		MergeView(&member->second, value, host);
	});
}

// The same with a patch that is a Json.
void MergePatch(Json *target, const Json &patch, const JsonHost &host);

} // namespace auren

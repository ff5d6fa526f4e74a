#include "encrypted/kept_states.hpp"

#include <vector>

#include "core/json/json_pointer.hpp"
#include "encrypted/field_cipher.hpp"
#include "server/jsonb_writer.hpp"

namespace auren::pg {

namespace {

constexpr std::string_view kPersons = "persons";
constexpr std::string_view kState = "state";

// The only field of the document that is encrypted. Its name is what the envelope is bound to.
std::string
NameOf(const KeptState &of) {
	return "state of " + std::string(of.stream) + " at version " + std::to_string(of.version);
}

Json *
Member(Json *object, std::string_view name) {
	const auto found = object->object().find(name);
	return found == object->object().end() ? nullptr : &found->second;
}

} // namespace

Datum
KeepState(const KeptState &of, const std::set<std::string> &persons, Datum state) {
	const ServerJson json;
	const std::string name = NameOf(of);
	const std::vector<JsonPointer> paths = {JsonPointer{{name}}};
	Json document;
	document.SetObject()[name] = JsonOf(state);
	Json::Array names;
	for (const std::string &person : persons) {
		SealDocument({of.tenant, person, paths}, &document, json);
		names.emplace_back(person);
	}
	Json kept;
	kept.SetObject()[std::string(kState)] = Json(Member(&document, name)->string());
	kept.object()[std::string(kPersons)] = Json(std::move(names));
	return WriteJsonb(kept);
}

OpenedState
OpenKeptState(const KeptState &of, Datum kept, Audited audited) {
	const ServerJson json;
	OpenedState opened = {0, {}};
	Json document = json.Expand(JsonOf(kept).document().bytes);
	Json *persons = Member(&document, kPersons);
	const Json *envelope = Member(&document, kState);
	if (persons == nullptr || envelope == nullptr) {
		return opened;
	}
	ExpandInPlace(persons, json);
	std::vector<std::string> names;
	for (const Json &person : persons->array()) {
		names.push_back(person.string());
	}
	const std::string name = NameOf(of);
	const std::vector<JsonPointer> paths = {JsonPointer{{name}}};
	Json opening;
	opening.SetObject()[name] = *envelope;
	Json *state = Member(&opening, name);
	// the last one that it was encrypted for first
	for (std::size_t i = names.size(); i-- > 0;) {
		OpenDocument({of.tenant, names[i], paths}, &opening, json, Unreadable::kStays, audited);
		ExpandInPlace(state, json);
	}
	if (!state->is(Json::Kind::kString)) {
		opened.state = WriteJsonb(*state);
		opened.persons.insert(names.begin(), names.end());
	}
	return opened;
}

} // namespace auren::pg

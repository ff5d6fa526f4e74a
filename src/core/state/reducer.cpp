#include "core/state/reducer.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::size_t kMaxLimit = 1000000;

struct KindEntry {
	std::string_view name;
	ReducerKind kind;
	std::vector<std::string_view> options; // beside category
};

const std::array<KindEntry, 8> &
Kinds() {
	static const std::array<KindEntry, 8> kinds = {{
		{"latest", ReducerKind::kLatest, {"into"}},
		{"merge", ReducerKind::kMerge, {"into"}},
		{"patch", ReducerKind::kPatch, {"into", "on_error"}},
		{"sum", ReducerKind::kSum, {"into", "fields"}},
		{"count", ReducerKind::kCount, {"into"}},
		{"append", ReducerKind::kAppend, {"into", "limit"}},
		{"ignore", ReducerKind::kIgnore, {}},
		{"function", ReducerKind::kFunction, {"function", "on_error"}},
	}};
	return kinds;
}

const KindEntry &
KindOf(std::string_view name) {
	for (const KindEntry &entry : Kinds()) {
		if (entry.name == name) {
			return entry;
		}
	}
	throw DomainError(sqlstate::kInvalidParameter, "there is no reducer of kind \"" + std::string(name) + "\"",
	                  "The kind says how an event changes the state.",
	                  "The kinds are latest, merge, patch, sum, count, append, ignore and function.");
}

[[noreturn]] void
Refuse(const std::string &option, const nlohmann::json &value, const std::string &what, const std::string &hint) {
	throw DomainError(sqlstate::kInvalidParameter, "option \"" + option + "\" of a reducer " + what,
	                  "The value given is " + value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + ".", hint);
}

std::string
StringOf(const std::string &option, const nlohmann::json &value) {
	if (!value.is_string()) {
		Refuse(option, value, "must be a string", "Leave it out for the default.");
	}
	auto text = value.get<std::string>();
	if (text.empty()) {
		Refuse(option, value, "must not be empty", "Leave it out for the default.");
	}
	return text;
}

std::vector<std::string>
FieldsOf(const nlohmann::json &value) {
	if (!value.is_array() || value.empty()) {
		Refuse("fields", value, "must be an array of field names", "Leave it out to add every numeric field.");
	}
	std::vector<std::string> fields;
	for (const nlohmann::json &field : value) {
		if (!field.is_string()) {
			Refuse("fields", value, "must be an array of field names", "Leave it out to add every numeric field.");
		}
		fields.push_back(field.get<std::string>());
	}
	return fields;
}

std::size_t
LimitOf(const nlohmann::json &value) {
	if (value.is_number()) {
		const auto limit = value.get<double>(); // exact for what it may be; 100.0 is 100
		if (limit >= 1 && limit <= static_cast<double>(kMaxLimit) && limit == static_cast<double>(static_cast<std::size_t>(limit))) {
			return static_cast<std::size_t>(limit);
		}
	}
	Refuse("limit", value, "must be a whole number from 1 to " + std::to_string(kMaxLimit), "Leave it out for 1000.");
}

void
ReadOption(const std::string &option, const nlohmann::json &value, ReducerOptions *result) {
	Reducer &reducer = result->reducer;
	if (option == "category") {
		result->category = StringOf(option, value);
		if (result->category.find(':') != std::string::npos) {
			Refuse(option, value, "must not hold a colon", "A category is the part of a stream id before its first colon.");
		}
	} else if (option == "into") {
		reducer.into = StringOf(option, value);
	} else if (option == "fields") {
		reducer.fields = FieldsOf(value);
	} else if (option == "limit") {
		reducer.limit = LimitOf(value);
	} else if (option == "function") {
		reducer.function = StringOf(option, value);
	} else if (option == "on_error") {
		const std::string policy = StringOf(option, value);
		if (policy != "error" && policy != "skip") {
			Refuse(option, value, "must be \"error\" or \"skip\"", "Leave it out for error.");
		}
		reducer.skip_errors = policy == "skip";
	}
}

} // namespace

ReducerOptions
ParseReducer(std::string_view event_type, std::string_view kind, std::string_view options) {
	const KindEntry &entry = KindOf(kind);
	const nlohmann::json object = nlohmann::json::parse(options, nullptr, false);
	if (!object.is_object()) {
		throw DomainError(sqlstate::kInvalidParameter, "the options of a reducer must be a JSON object", "Another JSON value was given.",
		                  "Give '{}' where there are none.");
	}
	ReducerOptions result;
	result.reducer.kind = entry.kind;
	for (const auto &[option, value] : object.items()) {
		const bool known = option == "category" || std::find(entry.options.begin(), entry.options.end(), option) != entry.options.end();
		if (!known) {
			std::string hint = "Options of this kind: category";
			for (const std::string_view each : entry.options) {
				hint += ", " + std::string(each);
			}
			throw DomainError(sqlstate::kInvalidParameter, "a reducer of kind " + std::string(kind) + " has no option \"" + option + "\"",
			                  "An option that is not known is refused rather than ignored.", hint + ".");
		}
		ReadOption(option, value, &result);
	}
	Reducer &reducer = result.reducer;
	if (entry.kind == ReducerKind::kFunction && reducer.function.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, "a reducer of kind function needs the option \"function\"",
		                  "Nothing says which function makes the new state.", "Give the name of a function (jsonb, text, jsonb) that returns jsonb.");
	}
	const bool whole = entry.kind == ReducerKind::kMerge || entry.kind == ReducerKind::kPatch || entry.kind == ReducerKind::kIgnore ||
	                   entry.kind == ReducerKind::kFunction;
	if (!reducer.into && !whole) {
		reducer.into = std::string(event_type);
	}
	return result;
}

void
ReducerSet::Declare(const std::string &event_type, const std::string &category, Reducer reducer) {
	reducers_[{event_type, category}] = std::move(reducer);
}

bool
ReducerSet::HasFunction() const {
	for (const auto &entry : reducers_) {
		if (entry.second.kind == ReducerKind::kFunction) {
			return true;
		}
	}
	return false;
}

const Reducer *
ReducerSet::Find(std::string_view event_type, std::string_view category) const {
	const std::string type(event_type);
	auto found = reducers_.find({type, std::string(category)});
	if (found == reducers_.end()) {
		found = reducers_.find({type, std::string()});
	}
	return found == reducers_.end() ? nullptr : &found->second;
}

} // namespace auren

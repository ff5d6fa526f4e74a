#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace auren::test {

/*
 * What a fold does, said a second time without any of its code: a state is a value that is copied, and each event makes
 * a new one. Only for texts without characters to escape and numbers of up to 15 digits without exponents.
 */
struct ModelValue {
	enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };
	// the order that texts have members in
	struct KeyLess {
		bool operator()(const std::string &a, const std::string &b) const;
	};

	Kind kind = Kind::kNull;
	bool boolean = false;
	std::string text; // of a number or a string
	std::vector<ModelValue> elements;
	std::map<std::string, ModelValue, KeyLess> members;

	bool
	is(Kind other) const {
		return kind == other;
	}
	static ModelValue Number(const std::string &text);
	static ModelValue String(const std::string &text);
	static ModelValue Array(std::vector<ModelValue> elements = {});
	static ModelValue Object();
};

std::string TextOf(const ModelValue &value);

// A reducer, and its options as set_reducer takes them.
struct ModelReducer {
	std::string event_type;
	std::string kind;
	std::string category;
	std::optional<std::string> into;
	std::vector<std::string> fields;
	std::optional<std::size_t> limit;
	bool skip = false;

	std::string OptionsText() const;
};

struct ModelEvent {
	std::string type;
	ModelValue data;
};

// The function of the model: what it makes of a state, or nothing when it fails.
std::optional<ModelValue> ModelFunction(const ModelValue &state, const ModelEvent &event);

// The state after an event; nothing when the event is an error.
std::optional<ModelValue> ModelApply(const std::vector<ModelReducer> &reducers, const std::string &category, const ModelValue &state,
                                     const ModelEvent &event);

} // namespace auren::test

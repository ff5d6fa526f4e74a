#include "unit/fold_model.hpp"

#include <algorithm>
#include <cstdlib>

namespace auren::test {

using Kind = ModelValue::Kind;

bool
ModelValue::KeyLess::operator()(const std::string &a, const std::string &b) const {
	return a.size() != b.size() ? a.size() < b.size() : a < b;
}

ModelValue
ModelValue::Number(const std::string &text) {
	ModelValue value;
	value.kind = Kind::kNumber;
	value.text = text;
	return value;
}

ModelValue
ModelValue::String(const std::string &text) {
	ModelValue value;
	value.kind = Kind::kString;
	value.text = text;
	return value;
}

ModelValue
ModelValue::Array(std::vector<ModelValue> elements) {
	ModelValue value;
	value.kind = Kind::kArray;
	value.elements = std::move(elements);
	return value;
}

ModelValue
ModelValue::Object() {
	ModelValue value;
	value.kind = Kind::kObject;
	return value;
}

std::string
TextOf(const ModelValue &value) {
	std::string text;
	switch (value.kind) {
	case Kind::kNull:
		return "null";
	case Kind::kBool:
		return value.boolean ? "true" : "false";
	case Kind::kNumber:
		return value.text;
	case Kind::kString:
		return '"' + value.text + '"';
	case Kind::kArray:
		for (const ModelValue &element : value.elements) {
			text += (text.empty() ? "" : ",") + TextOf(element);
		}
		return "[" + text + "]";
	case Kind::kObject:
		for (const auto &[key, member] : value.members) {
			text += (text.empty() ? "\"" : ",\"") + key + "\":" + TextOf(member);
		}
		return "{" + text + "}";
	}
	return text;
}

std::string
ModelReducer::OptionsText() const {
	ModelValue options = ModelValue::Object();
	if (!category.empty()) {
		options.members["category"] = ModelValue::String(category);
	}
	if (into) {
		options.members["into"] = ModelValue::String(*into);
	}
	if (!fields.empty()) {
		options.members["fields"] = ModelValue::Array();
		for (const std::string &field : fields) {
			options.members["fields"].elements.push_back(ModelValue::String(field));
		}
	}
	if (limit) {
		options.members["limit"] = ModelValue::Number(std::to_string(*limit));
	}
	if (skip) {
		options.members["on_error"] = ModelValue::String("skip");
	}
	if (kind == "function") {
		options.members["function"] = ModelValue::String("f");
	}
	return TextOf(options);
}

namespace {

// ---- numbers --------------------------------------------------------------------------------------------------------

std::size_t
Places(const std::string &number) {
	const std::size_t point = number.find('.');
	return point == std::string::npos ? 0 : number.size() - point - 1;
}

// as a whole number of the unit of so many decimal places
long long
Units(const std::string &number, std::size_t places) {
	std::string digits = number;
	digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
	return std::atoll((digits + std::string(places - Places(number), '0')).c_str());
}

std::string
Added(const std::string &a, const std::string &b) {
	const std::size_t places = std::max(Places(a), Places(b));
	const long long sum = Units(a, places) + Units(b, places);
	std::string digits = std::to_string(std::llabs(sum));
	if (places > 0) {
		digits.insert(0, digits.size() > places ? 0 : places + 1 - digits.size(), '0');
		digits.insert(digits.size() - places, 1, '.');
	}
	return (sum < 0 ? "-" : "") + digits;
}

bool
Same(const ModelValue &a, const ModelValue &b) {
	if (a.is(Kind::kNumber) && b.is(Kind::kNumber)) {
		const std::size_t places = std::max(Places(a.text), Places(b.text));
		return Units(a.text, places) == Units(b.text, places);
	}
	return a.kind == b.kind && a.boolean == b.boolean && a.text == b.text && a.elements.size() == b.elements.size() &&
	       a.members.size() == b.members.size() && std::equal(a.elements.begin(), a.elements.end(), b.elements.begin(), Same) &&
	       std::equal(a.members.begin(), a.members.end(), b.members.begin(),
	                  [](const auto &x, const auto &y) { return x.first == y.first && Same(x.second, y.second); });
}

// ---- merge and patch ------------------------------------------------------------------------------------------------

// As RFC 7396 writes it down.
ModelValue
Merged(const ModelValue &target, const ModelValue &patch) {
	if (!patch.is(Kind::kObject)) {
		return patch;
	}
	ModelValue result = target.is(Kind::kObject) ? target : ModelValue::Object();
	for (const auto &[key, value] : patch.members) {
		if (value.is(Kind::kNull)) {
			result.members.erase(key);
		} else {
			const auto old = result.members.find(key);
			result.members[key] = Merged(old == result.members.end() ? ModelValue() : old->second, value);
		}
	}
	return result;
}

using Tokens = std::vector<std::string>;

std::optional<Tokens>
TokensOf(const std::string &pointer) {
	Tokens tokens;
	for (std::size_t i = 0; i < pointer.size(); i++) {
		if (pointer[i] == '/') {
			tokens.emplace_back();
		} else if (tokens.empty()) {
			return std::nullopt;
		} else if (pointer[i] != '~') {
			tokens.back() += pointer[i];
		} else if (++i < pointer.size() && (pointer[i] == '0' || pointer[i] == '1')) {
			tokens.back() += pointer[i] == '0' ? '~' : '/';
		} else {
			return std::nullopt;
		}
	}
	return tokens;
}

// An element's place, below or at a size.
std::optional<std::size_t>
IndexOf(const std::string &token, std::size_t size) {
	for (std::size_t i = 0; i <= size; i++) {
		if (token == std::to_string(i)) {
			return i;
		}
	}
	return std::nullopt;
}

ModelValue *
PlaceOf(ModelValue *value, const Tokens &tokens, std::size_t count) {
	for (std::size_t i = 0; i < count; i++) {
		if (value->is(Kind::kObject) && value->members.count(tokens[i]) != 0) {
			value = &value->members[tokens[i]];
		} else if (value->is(Kind::kArray) && !value->elements.empty() && IndexOf(tokens[i], value->elements.size() - 1)) {
			value = &value->elements[*IndexOf(tokens[i], value->elements.size() - 1)];
		} else {
			return nullptr;
		}
	}
	return value;
}

bool
Remove(ModelValue *target, const Tokens &path) {
	if (PlaceOf(target, path, path.size()) == nullptr) {
		return false;
	}
	if (path.empty()) {
		*target = ModelValue();
		return true;
	}
	ModelValue *parent = PlaceOf(target, path, path.size() - 1);
	if (parent->is(Kind::kObject)) {
		parent->members.erase(path.back());
	} else {
		parent->elements.erase(parent->elements.begin() + std::atol(path.back().c_str()));
	}
	return true;
}

bool
Add(ModelValue *target, const Tokens &path, const ModelValue &value) {
	if (path.empty()) {
		*target = value;
		return true;
	}
	ModelValue *parent = PlaceOf(target, path, path.size() - 1);
	if (parent != nullptr && parent->is(Kind::kObject)) {
		parent->members[path.back()] = value;
		return true;
	}
	if (parent != nullptr && parent->is(Kind::kArray)) {
		const std::size_t size = parent->elements.size();
		const std::optional<std::size_t> index = path.back() == "-" ? size : IndexOf(path.back(), size);
		if (index) {
			parent->elements.insert(parent->elements.begin() + static_cast<std::ptrdiff_t>(*index), value);
			return true;
		}
	}
	return false;
}

bool
Operate(ModelValue *target, const ModelValue &operation) {
	const auto member = [&operation](const char *name) {
		const auto found = operation.members.find(name);
		return found == operation.members.end() ? std::nullopt : std::optional<ModelValue>(found->second);
	};
	const auto tokens = [&member](const char *name) {
		const std::optional<ModelValue> text = member(name);
		return text && text->is(Kind::kString) ? TokensOf(text->text) : std::nullopt;
	};
	const std::optional<Tokens> path = tokens("path");
	if (!member("op") || !path) {
		return false;
	}
	const std::string op = member("op")->text;
	const std::optional<ModelValue> value = member("value");
	ModelValue *const place = PlaceOf(target, *path, path->size());
	if (op == "add") {
		return value && Add(target, *path, *value);
	}
	if (op == "remove") {
		return Remove(target, *path);
	}
	if (op == "replace" && value && place != nullptr) {
		*place = *value;
		return true;
	}
	if (op == "test") {
		return value && place != nullptr && Same(*place, *value);
	}
	const std::optional<Tokens> from = tokens("from");
	if ((op != "move" && op != "copy") || !from || PlaceOf(target, *from, from->size()) == nullptr) {
		return false;
	}
	const ModelValue moved = *PlaceOf(target, *from, from->size());
	if (op == "copy") {
		return Add(target, *path, moved);
	}
	const bool into_itself = from->size() < path->size() && std::equal(from->begin(), from->end(), path->begin());
	return !into_itself && Remove(target, *from) && Add(target, *path, moved);
}

std::optional<ModelValue>
Patched(ModelValue target, const ModelValue &patch) {
	if (!patch.is(Kind::kArray)) {
		return std::nullopt;
	}
	for (const ModelValue &operation : patch.elements) {
		if (!Operate(&target, operation)) {
			return std::nullopt;
		}
	}
	return target;
}

// ---- the other kinds ------------------------------------------------------------------------------------------------

// Nothing when no number is added.
std::optional<ModelValue>
Summed(const ModelValue &old, const ModelReducer &reducer, const ModelValue &data) {
	ModelValue sums = old.is(Kind::kObject) ? old : ModelValue::Object();
	bool any = false;
	for (const auto &[key, value] : data.members) {
		const bool asked = reducer.fields.empty() || std::find(reducer.fields.begin(), reducer.fields.end(), key) != reducer.fields.end();
		if (!asked || !value.is(Kind::kNumber)) {
			continue;
		}
		const ModelValue before = sums.members.count(key) != 0 ? sums.members[key] : ModelValue();
		sums.members[key] = before.is(Kind::kNumber) ? ModelValue::Number(Added(before.text, value.text)) : value;
		any = true;
	}
	return any ? std::optional<ModelValue>(sums) : std::nullopt;
}

ModelValue
Appended(const ModelValue &old, const ModelReducer &reducer, const ModelValue &data) {
	std::vector<ModelValue> elements = old.elements;
	elements.push_back(data);
	const std::size_t limit = reducer.limit.value_or(1000);
	if (elements.size() > limit) {
		elements.erase(elements.begin(), elements.end() - static_cast<std::ptrdiff_t>(limit));
	}
	return ModelValue::Array(elements);
}

ModelReducer
ReducerOf(const std::vector<ModelReducer> &reducers, const std::string &category, const std::string &event_type) {
	ModelReducer result;
	result.event_type = event_type;
	result.kind = "latest";
	for (const bool closer : {false, true}) {
		for (const ModelReducer &reducer : reducers) {
			if (reducer.event_type == event_type && reducer.category == (closer ? category : "")) {
				result = reducer;
			}
		}
	}
	return result;
}

} // namespace

std::optional<ModelValue>
ModelFunction(const ModelValue &state, const ModelEvent &event) {
	if (event.data.is(Kind::kString)) {
		return std::nullopt;
	}
	if (!event.data.is(Kind::kObject)) {
		return event.data;
	}
	ModelValue result = ModelValue::Object();
	result.members["t"] = ModelValue::String(event.type);
	if (TextOf(state).size() < 200) {
		result.members["a"] = state;
	}
	return result;
}

std::optional<ModelValue>
ModelApply(const std::vector<ModelReducer> &reducers, const std::string &category, const ModelValue &state, const ModelEvent &event) {
	const ModelReducer reducer = ReducerOf(reducers, category, event.type);
	const std::string &kind = reducer.kind;
	const ModelValue &data = event.data;
	if (kind == "ignore") {
		return state;
	}
	if (kind == "function") {
		const std::optional<ModelValue> result = ModelFunction(state, event);
		return result || !reducer.skip ? result : state;
	}
	if (kind == "merge" && !reducer.into) {
		return Merged(state, data);
	}
	if (kind == "patch" && !reducer.into) {
		const std::optional<ModelValue> result = Patched(state, data);
		return result || !reducer.skip ? result : state;
	}
	// the rest changes one key
	ModelValue result = state.is(Kind::kObject) ? state : ModelValue::Object();
	const std::string key = reducer.into.value_or(event.type);
	const bool found = result.members.count(key) != 0;
	const ModelValue old = found ? result.members[key] : ModelValue();
	if (kind == "latest") {
		result.members[key] = data;
	} else if (kind == "merge") {
		result.members[key] = Merged(old, data);
	} else if (kind == "patch") {
		const std::optional<ModelValue> patched = Patched(found ? old : ModelValue::Object(), data);
		if (!patched) {
			return reducer.skip ? std::optional<ModelValue>(state) : std::nullopt;
		}
		result.members[key] = *patched;
	} else if (kind == "sum") {
		const std::optional<ModelValue> sums = Summed(old, reducer, data);
		if (!sums) {
			return state;
		}
		result.members[key] = *sums;
	} else if (kind == "count") {
		result.members[key] = ModelValue::Number(old.is(Kind::kNumber) ? Added(old.text, "1") : "1");
	} else if (kind == "append") {
		result.members[key] = Appended(old, reducer, data);
	}
	return result;
}

} // namespace auren::test

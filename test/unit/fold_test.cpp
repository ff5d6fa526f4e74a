#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/fold.hpp"
#include "unit/expect_error.hpp"
#include "unit/fold_host.hpp"

namespace auren {
namespace {

using test::Apply;
using test::DocumentOf;
using test::ErrorOf;
using test::FromText;
using test::TextFoldHost;
using test::ToText;

using Event = std::pair<std::string, std::string>;

ReducerSet
Declared(const std::vector<std::pair<std::string, std::string>> &kinds) {
	ReducerSet set;
	for (const auto &[type, text] : kinds) {
		const auto space = text.find(' ');
		const ReducerOptions options = ParseReducer(type, text.substr(0, space), space == std::string::npos ? "{}" : text.substr(space + 1));
		set.Declare(type, options.category, options.reducer);
	}
	return set;
}

std::string
Folded(const ReducerSet &set, const std::vector<Event> &events) {
	TextFoldHost host;
	Fold fold(set, "user", &host);
	for (const auto &[type, data] : events) {
		Apply(&fold, host, type, data);
	}
	return ToText(fold.state());
}

void
ExpectFolded(const ReducerSet &set, const std::vector<Event> &events, const char *state) {
	EXPECT_EQ(Folded(set, events), ToText(FromText(state)));
}

TEST(Fold, NothingDeclaredKeepsTheLatest) {
	const ReducerSet none;
	ExpectFolded(none, {}, "{}");
	ExpectFolded(none, {{"a", "1"}, {"b", R"({"x": [null]})"}, {"a", "null"}}, R"({"a": null, "b": {"x": [null]}})");
}

TEST(Fold, EachKind) {
	const ReducerSet set = Declared({{"l", "latest {\"into\": \"k\"}"}, {"m", "merge"}, {"mi", "merge {\"into\": \"k\"}"}, {"p", "patch"},
	                                 {"pi", "patch {\"into\": \"k\"}"}, {"s", "sum"}, {"sf", "sum {\"fields\": [\"a\"]}"}, {"c", "count"},
	                                 {"a", "append {\"limit\": 2}"}, {"i", "ignore"}, {"f", "function {\"function\": \"f\"}"}});
	ExpectFolded(set, {{"l", "1"}, {"l", "2"}}, R"({"k": 2})");
	ExpectFolded(set, {{"m", R"({"a": {"b": 1}})"}, {"m", R"({"a": {"b": null, "c": {"d": null}}})"}}, R"({"a": {"c": {}}})");
	ExpectFolded(set, {{"mi", R"({"a": 1})"}, {"mi", R"({"a": null, "b": 2})"}}, R"({"k": {"b": 2}})");
	ExpectFolded(set, {{"p", R"([{"op": "add", "path": "/x", "value": 1.50}])"}}, R"({"x": 1.50})");
	ExpectFolded(set, {{"pi", R"([{"op": "add", "path": "/x", "value": 1}])"}}, R"({"k": {"x": 1}})");
	ExpectFolded(set, {{"s", R"({"a": 0.10, "t": "1", "o": {"a": 1}})"}, {"s", R"({"a": 0.20, "b": 1})"}, {"s", "7"}}, R"({"s": {"a": 0.30, "b": 1}})");
	ExpectFolded(set, {{"s", R"({"t": "no number"})"}}, "{}");
	ExpectFolded(set, {{"sf", R"({"a": 1, "b": 1})"}, {"sf", R"({"b": 1})"}}, R"({"sf": {"a": 1}})");
	ExpectFolded(set, {{"c", "9"}, {"c", "{}"}}, R"({"c": 2})");
	ExpectFolded(set, {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}, {"a", "5"}}, R"({"a": [4, 5]})");
	ExpectFolded(set, {{"i", "1"}}, "{}");
	ExpectFolded(set, {{"f", "1"}, {"c", "1"}, {"f", "2"}}, R"({"seen": ["f", "f"], "c": 1})");
}

// What the reducers of one key leave each other; arrays that are full are rings, and are straight for whoever looks.
TEST(Fold, SeveralOnOneKey) {
	const ReducerSet set = Declared({{"a2", "append {\"into\": \"k\", \"limit\": 2}"}, {"a3", "append {\"into\": \"k\", \"limit\": 3}"},
	                                 {"c", "count {\"into\": \"k\"}"}, {"m", "merge {\"into\": \"k\"}"}, {"p", "patch {\"into\": \"k\"}"},
	                                 {"s", "sum {\"into\": \"k\"}"}, {"whole", "merge"}, {"f", "function {\"function\": \"f\"}"}});
	const std::vector<Event> five = {{"a3", "1"}, {"a3", "2"}, {"a3", "3"}, {"a3", "4"}, {"a3", "5"}};
	const auto with = [&](std::vector<Event> more) {
		std::vector<Event> events = five;
		events.insert(events.end(), more.begin(), more.end());
		return events;
	};
	ExpectFolded(set, five, R"({"k": [3, 4, 5]})");
	ExpectFolded(set, with({{"a2", "6"}}), R"({"k": [5, 6]})");
	ExpectFolded(set, with({{"a2", "6"}, {"a3", "7"}, {"a3", "8"}}), R"({"k": [6, 7, 8]})");
	ExpectFolded(set, with({{"p", R"([{"op": "remove", "path": "/0"}])"}}), R"({"k": [4, 5]})");
	ExpectFolded(set, with({{"p", R"([{"op": "add", "path": "/-", "value": 6}])"}, {"a3", "7"}}), R"({"k": [5, 6, 7]})");
	ExpectFolded(set, with({{"c", "0"}, {"c", "0"}}), R"({"k": 2})");
	ExpectFolded(set, with({{"m", R"({"x": 1})"}}), R"({"k": {"x": 1}})");
	ExpectFolded(set, with({{"s", R"({"x": 1})"}, {"s", R"({"x": 2})"}}), R"({"k": {"x": 3}})");
	ExpectFolded(set, with({{"whole", R"({"y": 1})"}, {"a3", "6"}}), R"({"k": [4, 5, 6], "y": 1})");
	ExpectFolded(set, with({{"whole", R"({"k": null})"}, {"a3", "6"}}), R"({"k": [6]})");
	ExpectFolded(set, with({{"f", "1"}, {"a3", "6"}}), R"({"k": [4, 5, 6], "seen": ["f"]})");
}

TEST(Fold, AStateThatIsNoObject) {
	const ReducerSet set = Declared({{"m", "merge"}, {"c", "count"}, {"p", "patch {\"on_error\": \"skip\"}"}, {"pi", "patch {\"into\": \"k\", \"on_error\": \"skip\"}"}});
	ExpectFolded(set, {{"c", "1"}, {"m", "[1]"}}, "[1]");
	ExpectFolded(set, {{"c", "1"}, {"m", "7"}, {"c", "1"}}, R"({"c": 1})");
	ExpectFolded(set, {{"m", "7"}, {"m", R"({"a": null, "b": 1})"}}, R"({"b": 1})");
	ExpectFolded(set, {{"m", "7"}, {"p", R"([{"op": "add", "path": "/x", "value": 1}])"}}, "7");
	ExpectFolded(set, {{"m", "7"}, {"p", R"([{"op": "replace", "path": "", "value": {"x": 1}}])"}}, R"({"x": 1})");
	// a patch that fails leaves it as it is, one that does not makes an object of it
	ExpectFolded(set, {{"m", "7"}, {"pi", R"([{"op": "remove", "path": "/x"}])"}}, "7");
	ExpectFolded(set, {{"m", "7"}, {"pi", R"([{"op": "add", "path": "/x", "value": 1}])"}}, R"({"k": {"x": 1}})");
}

TEST(Fold, ErrorsAreThrownOrSkippedWhole) {
	const std::string bad = R"([{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/none"}])";
	const ReducerSet set = Declared({{"p", "patch"}, {"ps", "patch {\"on_error\": \"skip\"}"}, {"pi", "patch {\"into\": \"k\"}"},
	                                 {"f", "function {\"function\": \"f\"}"}, {"fs", "function {\"function\": \"f\", \"on_error\": \"skip\"}"}});
	for (const Event &event : {Event{"p", bad}, Event{"pi", bad}, Event{"p", "7"}, Event{"f", "0"}}) {
		TextFoldHost host;
		Fold fold(set, "user", &host);
		Apply(&fold, host, "other", "1");
		const auto error = ErrorOf([&] { Apply(&fold, host, event.first, event.second); });
		ASSERT_TRUE(error) << event.first;
		EXPECT_EQ(error->sqlstate(), event.first == "f" ? "ZX001" : "22023");
		EXPECT_EQ(ToText(fold.state()), ToText(FromText(R"({"other": 1})"))) << event.first;
	}
	ExpectFolded(set, {{"other", "1"}, {"ps", bad}, {"fs", "0"}, {"fs", "1"}}, R"({"other": 1, "seen": ["fs"]})");
}

// What no reducer looks into is handed on as it came.
TEST(Fold, DocumentsStayClosed) {
	const ReducerSet set = Declared({{"a", "append"}, {"c", "count"}});
	TextFoldHost host;
	Fold fold(set, "user", &host);
	fold.Start(DocumentOf(R"({"old": {"deep": [1]}, "c": 1})"));
	Apply(&fold, host, "c", "1");
	EXPECT_GT(test::CountDocuments(fold.state()), 0);
	EXPECT_EQ(ToText(fold.state()), ToText(FromText(R"({"old": {"deep": [1]}, "c": 2})")));
}

// ---- random events against a model that shares nothing with the fold but the values ------------------------------------

Json
Merged(const Json *target, const Json &patch) {
	if (!patch.is(Json::Kind::kObject)) {
		return patch;
	}
	Json result;
	Json::Object &object = result.SetObject();
	if (target != nullptr && target->is(Json::Kind::kObject)) {
		object = target->object();
	}
	for (const auto &[key, value] : patch.object()) {
		const auto found = object.find(key);
		if (value.is(Json::Kind::kNull)) {
			if (found != object.end()) {
				object.erase(found);
			}
		} else {
			Json merged = Merged(found == object.end() ? nullptr : &found->second, value);
			object[key] = std::move(merged);
		}
	}
	return result;
}

struct Step {
	const char *type;
	ReducerKind kind;
	const char *into; // nullptr: the whole state
	std::size_t limit;
	const char *declared;
};

const Step kSteps[] = {
    {"none", ReducerKind::kLatest, "none", 0, nullptr},
    {"l", ReducerKind::kLatest, "k", 0, "latest {\"into\": \"k\"}"},
    {"m", ReducerKind::kMerge, nullptr, 0, "merge"},
    {"mi", ReducerKind::kMerge, "k", 0, "merge {\"into\": \"k\"}"},
    {"s", ReducerKind::kSum, "s", 0, "sum"},
    {"sk", ReducerKind::kSum, "k", 0, "sum {\"into\": \"k\"}"},
    {"c", ReducerKind::kCount, "c", 0, "count"},
    {"ck", ReducerKind::kCount, "k", 0, "count {\"into\": \"k\"}"},
    {"a", ReducerKind::kAppend, "a", 3, "append {\"limit\": 3}"},
    {"ak", ReducerKind::kAppend, "k", 2, "append {\"into\": \"k\", \"limit\": 2}"},
    {"al", ReducerKind::kAppend, "k", 5, "append {\"into\": \"k\", \"limit\": 5}"},
    {"i", ReducerKind::kIgnore, nullptr, 0, "ignore"},
};

void
ApplyToModel(Json *state, const Step &step, const Json &data, const test::TextHost &host) {
	if (step.kind == ReducerKind::kIgnore) {
		return;
	}
	if (step.into == nullptr) {
		*state = Merged(state, data);
		return;
	}
	if (step.kind == ReducerKind::kSum) {
		bool any = false;
		if (data.is(Json::Kind::kObject)) {
			for (const auto &member : data.object()) {
				any |= member.second.is(Json::Kind::kNumber);
			}
		}
		if (!any) {
			return;
		}
	}
	if (!state->is(Json::Kind::kObject)) {
		state->SetObject();
	}
	const Json before = state->object().count(step.into) != 0 ? state->object()[step.into] : Json();
	Json &place = state->object()[step.into];
	switch (step.kind) {
	case ReducerKind::kLatest:
		place = data;
		break;
	case ReducerKind::kMerge:
		place = Merged(&before, data);
		break;
	case ReducerKind::kCount:
		place.SetNumber(before.is(Json::Kind::kNumber) ? host.Sum(before.number().bytes, "1") : "1");
		break;
	case ReducerKind::kAppend: {
		Json::Array array = before.is(Json::Kind::kArray) ? before.array() : Json::Array();
		array.push_back(data);
		while (array.size() > step.limit) {
			array.erase(array.begin());
		}
		place.SetArray() = array;
		break;
	}
	default:
		if (!before.is(Json::Kind::kObject)) {
			place.SetObject();
		}
		for (const auto &[key, value] : data.object()) {
			if (value.is(Json::Kind::kNumber)) {
				Json &sum = place.object()[key];
				sum.SetNumber(sum.is(Json::Kind::kNumber) ? host.Sum(sum.number().bytes, value.number().bytes) : value.number().bytes);
			}
		}
	}
}

TEST(Fold, AsTheModelHasIt) {
	static const char *const kData[] = {"1", "0.10", "null", "\"t\"", "[1, null]", "{}", R"({"a": 1})", R"({"a": null, "k": {"x": 1}})",
	                                    R"({"k": null})", R"({"a": {"b": null, "c": 0.20}, "b": 12345678901234567890})", R"({"k": [1, 2, 3, 4, 5, 6, 7]})"};
	std::vector<std::pair<std::string, std::string>> kinds;
	for (const Step &step : kSteps) {
		if (step.declared != nullptr) {
			kinds.emplace_back(step.type, step.declared);
		}
	}
	const ReducerSet set = Declared(kinds);
	std::mt19937 random(4711);
	const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
	for (int sequence = 0; sequence < 20000; sequence++) {
		TextFoldHost host;
		const test::TextHost text;
		Fold fold(set, "user", &host);
		Json model;
		model.SetObject();
		std::string events;
		const std::size_t length = 1 + pick(14);
		for (std::size_t i = 0; i < length; i++) {
			const Step &step = kSteps[pick(std::size(kSteps))];
			const char *data = kData[pick(std::size(kData))];
			events += std::string(step.type) + " " + data + "; ";
			Apply(&fold, host, step.type, data);
			ApplyToModel(&model, step, FromText(data), text);
			if (pick(4) == 0) {
				ASSERT_EQ(ToText(fold.state()), ToText(model)) << events;
			}
			if (pick(6) == 0) {
				// as from a snapshot
				fold.Start(DocumentOf(ToText(fold.state())));
			}
		}
		ASSERT_EQ(ToText(fold.state()), ToText(model)) << events;
	}
}

} // namespace
} // namespace auren

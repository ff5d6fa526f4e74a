// A fold goes on from a copy of its state as if it had never stopped, whatever forms its values have; an event that is
// an error leaves the state as it was; and after a failure of the host it can still be used.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/state/fold.hpp"
#include "core/json/json_equal.hpp"
#include "core/json/json_view.hpp"
#include "fuzz/json_values.hpp"

using namespace auren;
using namespace auren::test;

namespace {

class BytesFoldHost : public FoldHost {
  public:
	explicit BytesFoldHost(int expansions = -1) : values_(expansions) {
	}
	bool
	Equal(std::string_view number, std::string_view other) const override {
		return values_.Equal(number, other);
	}
	std::string
	Sum(std::string_view number, std::string_view other) const override {
		// what is added twice is seen
		return std::string(1, static_cast<char>('0' + (number[0] - '0' + other[0] - '0') % 10));
	}
	Json
	Expand(std::string_view document) const override {
		return values_.Expand(document);
	}
	std::string_view
	One() const override {
		return "1";
	}
	bool
	CallFunction(const Reducer &reducer, const Json &state, std::string_view, const Json &data, Json *result) override {
		if (data.is(Json::Kind::kBool)) {
			if (reducer.skip_errors) {
				return false;
			}
			throw DomainError("P0001", "the function fails", "It was given a boolean.");
		}
		if (data.is(Json::Kind::kString)) {
			result->SetObject().insert_or_assign("a", state);
		} else {
			*result = data;
		}
		return true;
	}

  private:
	BytesHost values_;
};

// Keeps the data of an event unread where the core's own view would not.
struct Unread {
	const Json &value;
	JsonView view;

	Unread(const Json &data, const JsonHost &host) : value(data), view(data, host) {
	}
	Json::Kind
	kind() const {
		return view.kind();
	}
	bool
	boolean() const {
		return view.boolean();
	}
	std::string_view
	bytes() const {
		return view.bytes();
	}
	template <typename F>
	void
	ForEachMember(F &&member) const {
		view.ForEachMember(std::forward<F>(member));
	}
};

void
Store(Json *target, const Unread &data) {
	*target = data.value;
}

constexpr const char *kTypes[] = {"a", "b", "c", "d", "", "~", "0", "/"};

ReducerSet
Reducers(Bytes *bytes) {
	static const char *const kinds[] = {"merge", "patch", "sum", "count", "append", "append", "ignore", "function", "latest"};
	static const char *const keys[] = {"a", "b", "0", "~"};
	ReducerSet reducers;
	for (const char *type : kTypes) {
		const std::uint8_t choice = bytes->Byte();
		const std::uint8_t into = bytes->Byte();
		const std::string kind = kinds[choice % 9];
		std::string options;
		if (kind == "function") {
			options += R"(,"function":"f")";
		} else if (kind == "append") {
			options += R"(,"limit":)" + std::to_string(1 + choice / 9 % 4);
		}
		if (choice >= 128 && (kind == "patch" || kind == "function")) {
			options += R"(,"on_error":"skip")";
		}
		if (into >= 96 && kind != "ignore" && kind != "function") {
			options += std::string(R"(,"into":")") + keys[into % 4] + '"';
		}
		if (into % 16 == 0) {
			options += R"(,"category":"c")"; // that of the fold
		}
		ReducerOptions parsed = ParseReducer(type, kind, "{" + options.substr(options.empty() ? 0 : 1) + "}");
		reducers.Declare(type, parsed.category, std::move(parsed.reducer));
	}
	return reducers;
}

struct Event {
	const char *type;
	Json data;
	bool unread;
};

// Whether the event was applied, or skipped.
bool
Applied(Fold *fold, const Event &event, const JsonHost &host) {
	try {
		if (event.unread) {
			fold->Apply(event.type, Unread(event.data, host));
		} else {
			fold->Apply(event.type, JsonView(event.data, host));
		}
	} catch (const DomainError &error) {
		Require((error.sqlstate() == "22023" || error.sqlstate() == "P0001") && !error.message().empty());
		return false;
	}
	return true;
}

// that a fold whose host fails is no worse than its state
void
FailAfter(int expansions, const ReducerSet &reducers, const std::vector<Event> &events) {
	BytesFoldHost host(expansions);
	Fold fold(reducers, "c", &host);
	for (const Event &event : events) {
		try {
			Applied(&fold, event, host);
		} catch (const HostFailure &) {
			host = BytesFoldHost();
		}
	}
	Require(Equal(fold.state(), fold.state(), host));
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	BytesFoldHost host;
	const int expansions = bytes.Byte() % 16;
	const ReducerSet reducers = Reducers(&bytes);
	std::vector<Event> events;
	while (!bytes.empty() && events.size() < 40) {
		const std::uint8_t what = bytes.Byte();
		events.push_back({kTypes[what % 8], (what & 8) != 0 ? JsonMaker::Patch(&bytes) : JsonMaker::Value(&bytes), (what & 16) != 0});
	}

	Fold without_stop(reducers, "c", &host);
	Fold restarted(reducers, "c", &host);
	std::size_t number = 0;
	for (const Event &event : events) {
		// at one event in four, so that rings turn in between
		Json state;
		if (number++ % 4 == data[0] % 4U) {
			state = restarted.state();
			Json copy = state;
			if (number % 3 == 0) {
				ExpandAll(&copy, host);
			}
			restarted.Start(std::move(copy));
			const bool applied = Applied(&restarted, event, host);
			Require(applied || Equal(restarted.state(), state, host));
			Require(Applied(&without_stop, event, host) == applied);
		} else {
			Require(Applied(&restarted, event, host) == Applied(&without_stop, event, host));
		}
	}
	Require(Equal(restarted.state(), without_stop.state(), host));

	FailAfter(expansions, reducers, events);
	return 0;
}

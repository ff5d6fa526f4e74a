// Random events against a model that shares no code with the fold.

#include <cstddef>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/state/fold.hpp"
#include "unit/event_text.hpp"
#include "unit/fold_model.hpp"

namespace auren {
namespace {

using test::DocumentOf;
using test::EventText;
using test::FromText;
using test::FunctionHost;
using test::ModelApply;
using test::ModelEvent;
using test::ModelReducer;
using test::ModelValue;
using test::TextOf;
using test::ToText;

constexpr int kSequences = 20000;

class Random {
  public:
	explicit Random(unsigned int seed) : engine_(seed) {
	}
	// from 0 to below n
	std::size_t
	Below(std::size_t n) {
		return engine_() % n;
	}
	bool
	OneIn(std::size_t n) {
		return Below(n) == 0;
	}
	std::string
	Of(const std::vector<const char *> &choices) {
		return choices[Below(choices.size())];
	}

	// Few keys and few event types, so that reducers meet.
	std::string
	Key() {
		return Of({"a", "a", "a", "b", "x~y/z"});
	}
	std::string
	EventType() {
		return Of({"a", "b", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"});
	}
	std::string
	Kind() {
		return Of({"latest", "merge", "merge", "patch", "patch", "sum", "count", "append", "append", "append", "ignore", "function"});
	}
	std::vector<ModelReducer>
	Reducers() {
		std::vector<ModelReducer> reducers;
		for (std::size_t n = 4 + Below(8); n > 0; n--) {
			ModelReducer reducer;
			reducer.event_type = EventType();
			reducer.kind = Kind();
			reducer.category = Of({"", "", "cat", "dog"});
			const std::string &kind = reducer.kind;
			if (kind != "ignore" && kind != "function" && OneIn(2)) {
				reducer.into = Key();
			}
			if (kind == "sum" && OneIn(3)) {
				reducer.fields = {"a", "1"};
			}
			if (kind == "append" && !OneIn(8)) {
				reducer.limit = 1 + Below(4);
			}
			reducer.skip = (kind == "patch" || kind == "function") && !OneIn(3);
			reducers.push_back(std::move(reducer));
		}
		return reducers;
	}

	ModelValue
	Value(int depth) {
		switch (Below(depth > 0 ? 12 : 5)) {
		case 0:
			return ModelValue();
		case 1: {
			ModelValue value;
			value.kind = ModelValue::Kind::kBool;
			value.boolean = OneIn(2);
			return value;
		}
		case 2:
			return ModelValue::String(Of({"", "a", "b c"}));
		case 3:
		case 4:
			return ModelValue::Number(Of({"0", "1", "1.0", "1.00", "2", "-2", "0.50", "-0.5", "12345678901.25", "100"}));
		case 5:
		case 6: {
			ModelValue value = ModelValue::Array();
			for (std::size_t n = Below(6); n > 0; n--) {
				value.elements.push_back(Value(depth - 1));
			}
			return value;
		}
		default: {
			ModelValue value = ModelValue::Object();
			for (std::size_t n = Below(5); n > 0; n--) {
				value.members[OneIn(4) ? Of({"1", "t1", "aa"}) : Key()] = Value(depth - 1);
			}
			return value;
		}
		}
	}
	ModelValue
	Patch() {
		ModelValue patch = ModelValue::Array();
		for (std::size_t n = OneIn(20) ? 0 : 1 + Below(2) * Below(3); n > 0; n--) {
			ModelValue operation = ModelValue::Object();
			operation.members["op"] = ModelValue::String(Of({"add", "add", "remove", "replace", "move", "copy", "test"}));
			operation.members["path"] = ModelValue::String(Pointer());
			operation.members["from"] = ModelValue::String(Pointer());
			operation.members["value"] = Value(2);
			if (OneIn(30)) {
				operation.members.erase(Of({"op", "path", "from", "value"}));
			}
			if (OneIn(30)) {
				operation.members[Of({"op", "path", "from", "other"})] = Value(1);
			}
			patch.elements.push_back(OneIn(50) ? Value(1) : std::move(operation));
		}
		return patch;
	}

  private:
	std::string
	Pointer() {
		std::string pointer;
		// mostly a key and an index, which are there most of the time
		for (std::size_t n = OneIn(8) ? 0 : 1 + Below(2) + Below(4) / 3; n > 0; n--) {
			pointer += OneIn(pointer.empty() ? 8 : 2) ? Of({"/0", "/1", "/2", "/-"}) : Of({"/a", "/a", "/a", "/b", "/x~0y~1z", "/t0"});
		}
		return OneIn(40) ? pointer + Of({"/~", "/~2", "/01", "/+1", "/99999999999999999999"}) : OneIn(60) ? "a" + pointer : pointer;
	}

	std::mt19937 engine_;
};

// One stream through both.
class Sequence {
  public:
	explicit Sequence(unsigned int seed) : random_(seed), reducers_(random_.Reducers()), category_(random_.Of({"cat", "cat", "dog", "cow", ""})) {
		for (const ModelReducer &reducer : reducers_) {
			ReducerOptions parsed = ParseReducer(reducer.event_type, reducer.kind, reducer.OptionsText());
			declared_.Declare(reducer.event_type, parsed.category, std::move(parsed.reducer));
		}
		host_.Define("f", [this](const std::string &state, std::string_view event_type, const std::string &data) {
			EXPECT_EQ(state, TextOf(model_));
			EXPECT_EQ(event_type, event_.type);
			EXPECT_EQ(data, TextOf(event_.data));
			const std::optional<ModelValue> result = ModelFunction(model_, event_);
			if (!result) {
				throw DomainError("P0001", "the function fails", "It was given a string.");
			}
			return TextOf(*result);
		});
	}

	void
	Run() {
		Fold fold(declared_, category_, &host_);
		for (std::size_t n = 4 + random_.Below(20); n > 0 && !testing::Test::HasFailure(); n--) {
			// in runs, so that rings turn
			event_.type = random_.OneIn(2) || event_.type.empty() ? random_.EventType() : event_.type;
			event_.data = PatchComes() ? random_.Patch() : random_.Value(2);
			log_ += "\n  " + event_.type + " " + TextOf(event_.data);
			const std::optional<ModelValue> after = ModelApply(reducers_, category_, model_, event_);
			EXPECT_EQ(Applied(&fold), after.has_value()) << Log();
			model_ = after.value_or(model_);
			// what is looked at is put in order, so not each time
			if (random_.OneIn(3)) {
				EXPECT_EQ(ToText(fold.state()), TextOf(model_)) << Log();
			}
			if (random_.OneIn(8)) {
				Restart(&fold);
			}
		}
		EXPECT_EQ(ToText(fold.state()), TextOf(model_)) << Log();
	}

  private:
	bool
	PatchComes() {
		for (const ModelReducer &reducer : reducers_) {
			if (reducer.event_type == event_.type && reducer.kind == "patch") {
				return !random_.OneIn(20);
			}
		}
		return false;
	}
	bool
	Applied(Fold *fold) {
		const std::string text = TextOf(event_.data);
		try {
			switch (random_.Below(3)) {
			case 0:
				fold->Apply(event_.type, EventText(text, host_));
				break;
			case 1:
				fold->Apply(event_.type, JsonView(DocumentOf(text), host_));
				break;
			default:
				fold->Apply(event_.type, JsonView(FromText(text), host_));
				break;
			}
		} catch (const DomainError &) {
			return false;
		}
		return true;
	}
	// With the state as it is, with one that was written and read again, or with one of its own.
	void
	Restart(Fold *fold) {
		if (random_.OneIn(2)) {
			Json copy = fold->state();
			fold->Start(std::move(copy));
		} else if (random_.OneIn(4)) {
			model_ = random_.Value(3);
			log_ += "\n  start with " + TextOf(model_);
			fold->Start(random_.OneIn(2) ? DocumentOf(TextOf(model_)) : FromText(TextOf(model_)));
		} else {
			fold->Start(DocumentOf(TextOf(model_)));
		}
	}
	std::string
	Log() const {
		std::string text = "in category \"" + category_ + "\" with";
		for (const ModelReducer &reducer : reducers_) {
			text += "\n  " + reducer.event_type + " " + reducer.kind + " " + reducer.OptionsText();
		}
		return text + "\nthe events" + log_;
	}

	Random random_;
	std::vector<ModelReducer> reducers_;
	std::string category_;
	ReducerSet declared_;
	FunctionHost host_;
	ModelValue model_ = ModelValue::Object();
	ModelEvent event_;
	std::string log_;
};

TEST(FoldModel, RandomStreams) {
	for (int seed = 0; seed < kSequences && !testing::Test::HasFailure(); seed++) {
		SCOPED_TRACE("sequence " + std::to_string(seed));
		Sequence(static_cast<unsigned int>(seed)).Run();
	}
}

} // namespace
} // namespace auren

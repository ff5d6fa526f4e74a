#pragma once

#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/fold.hpp"
#include "unit/json_text.hpp"

namespace auren::test {

/*
 * What a fold asks for, without a server: its function adds the event type to the array "seen" of the state, and fails for
 * the data 0.
 */
class TextFoldHost : public FoldHost {
  public:
	bool
	Equal(std::string_view number, std::string_view other) const override {
		return text_.Equal(number, other);
	}
	std::string
	Sum(std::string_view number, std::string_view other) const override {
		return text_.Sum(number, other);
	}
	Json
	Expand(std::string_view document) const override {
		return text_.Expand(document);
	}
	std::string_view
	One() const override {
		return "1";
	}
	bool
	CallFunction(const Reducer &reducer, const Json &state, std::string_view event_type, const Json &data, Json *result) override {
		calls++;
		if (ToText(data) == "0") {
			if (reducer.skip_errors) {
				return false;
			}
			throw DomainError("ZX001", "no zero", "The data is 0.");
		}
		Json next = FromText(ToText(state));
		if (!next.is(Json::Kind::kObject)) {
			next.SetObject();
		}
		Json &seen = next.object()["seen"];
		if (!seen.is(Json::Kind::kArray)) {
			seen.SetArray();
		}
		seen.array().emplace_back(std::string(event_type));
		*result = DocumentOf(ToText(next));
		return true;
	}

	int calls = 0;

  private:
	TextHost text_;
};

// Applies an event whose data is a text.
inline void
Apply(Fold *fold, const FoldHost &host, const std::string &type, const std::string &data) {
	const Json value = FromText(data);
	fold->Apply(type, JsonView(value, host));
}

} // namespace auren::test

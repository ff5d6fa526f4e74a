#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/state/fold.hpp"
#include "core/json/json_view.hpp"
#include "unit/json_text.hpp"

namespace auren::test {

/*
 * A host whose functions are those that a test defines, over the texts of a state, an event type and data. It counts
 * the documents that it is asked to expand.
 */
class FunctionHost : public FoldHost {
  public:
	using Function = std::function<std::string(const std::string &state, std::string_view event_type, const std::string &data)>;

	void
	Define(const std::string &name, Function function) {
		functions_[name] = std::move(function);
	}
	int
	expansions() const {
		return expansions_;
	}

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
		expansions_++;
		return text_.Expand(document);
	}
	std::string_view
	One() const override {
		return "1";
	}
	// What is no error of the core stands for one that no reducer may skip, as a cancel is.
	bool
	CallFunction(const Reducer &reducer, const Json &state, std::string_view event_type, const Json &data, Json *result) override {
		try {
			result->SetDocument(functions_.at(reducer.function)(ToText(state), event_type, ToText(data)));
			return true;
		} catch (const DomainError &) {
			if (!reducer.skip_errors) {
				throw;
			}
			return false;
		}
	}

  private:
	TextHost text_;
	std::map<std::string, Function> functions_;
	mutable int expansions_ = 0;
};

/*
 * The data of an event as the server has it: a view that is read where it lies, and kept unread as a document whatever
 * it is, a number too.
 */
class EventText {
  public:
	EventText(std::string text, const JsonHost &host) : text_(std::move(text)), value_(FromText(text_)), host_(&host) {
	}
	Json::Kind
	kind() const {
		return value_.kind();
	}
	bool
	boolean() const {
		return value_.boolean();
	}
	std::string_view
	bytes() const {
		return value_.is(Json::Kind::kNumber) ? value_.number().bytes : value_.string();
	}
	template <typename F>
	void
	ForEachMember(F &&member) const {
		for (const auto &[key, value] : value_.object()) {
			member(std::string_view(key), JsonView(value, *host_));
		}
	}
	void
	StoreDocument(Json *target) const {
		target->SetDocument(text_);
	}

  private:
	std::string text_;
	Json value_;
	const JsonHost *host_;
};

// Found in place of the template of the core.
inline void
Store(Json *target, const EventText &data) {
	data.StoreDocument(target);
}

} // namespace auren::test

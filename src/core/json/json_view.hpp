#pragma once

#include <string_view>

#include "core/json/json.hpp"

namespace auren {

/*
 * A value that is only read, as the fold asks for it: the templates of core take any class with these members, so that
 * the server's own form of an event's data is read where it lies.
 *
 *   Json::Kind kind() const                  never kDocument
 *   bool boolean() const                     of a kBool
 *   std::string_view bytes() const           of a number or a string
 *   void ForEachMember(F) const              F(std::string_view key, const View &value), of an object
 *   void StoreDocument(Json *target) const   the array or object as a document
 *
 * JsonView is one over a Json.
 */
class JsonView {
  public:
	JsonView(const Json &value, const JsonHost &host) : value_(&value), host_(&host) {
		if (value.is(Json::Kind::kDocument)) {
			expanded_ = host.Expand(value.document().bytes);
			value_ = &expanded_;
		}
	}
	JsonView(const JsonView &) = delete;
	JsonView &operator=(const JsonView &) = delete;

	Json::Kind
	kind() const {
		return value_->kind();
	}
	bool
	boolean() const {
		return value_->boolean();
	}
	std::string_view
	bytes() const {
		return value_->is(Json::Kind::kNumber) ? value_->number().bytes : value_->string();
	}
	template <typename F>
	void
	ForEachMember(F &&member) const {
		for (const auto &[key, value] : value_->object()) {
			member(std::string_view(key), JsonView(value, *host_));
		}
	}
	void
	StoreDocument(Json *target) const {
		*target = *value_;
	}

  private:
	const Json *value_;
	const JsonHost *host_;
	Json expanded_;
};

// Makes *target the value of a view; an array or object becomes a document.
template <typename View>
void
Store(Json *target, const View &view) {
	switch (view.kind()) {
	case Json::Kind::kNull:
		target->SetNull();
		break;
	case Json::Kind::kBool:
		target->Set(view.boolean());
		break;
	case Json::Kind::kNumber:
		target->SetNumber(view.bytes());
		break;
	case Json::Kind::kString:
		target->SetString(view.bytes());
		break;
	case Json::Kind::kArray:
	case Json::Kind::kObject:
	case Json::Kind::kDocument:
		view.StoreDocument(target);
		break;
	}
}

} // namespace auren

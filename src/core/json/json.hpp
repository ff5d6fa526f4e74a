#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace auren {

/*
 * A JSON value that can be changed in place. Numbers are bytes that only a JsonHost can read, so that none of them
 * passes through a double; a document is a whole value in the host's own form that nobody has looked into yet.
 */
class Json {
  public:
	enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject, kDocument };
	using Array = std::vector<Json>;
	// Shorter keys first, keys of one length by their bytes: the order that jsonb keeps them in, and cheap to compare.
	struct KeyLess {
		using is_transparent = void;
		bool
		operator()(std::string_view a, std::string_view b) const noexcept {
			return a.size() != b.size() ? a.size() < b.size() : a < b;
		}
	};
	using Object = std::map<std::string, Json, KeyLess>;
	struct Number {
		std::string bytes;
	};
	struct Document {
		std::string bytes;
	};

	Json() noexcept = default; // null
	explicit Json(bool value) : value_(value) {
	}
	explicit Json(Number value) : value_(std::move(value)) {
	}
	explicit Json(std::string value) : value_(std::move(value)) {
	}
	explicit Json(Array value) : value_(std::move(value)) {
	}
	explicit Json(Object value) : value_(std::move(value)) {
	}
	explicit Json(Document value) : value_(std::move(value)) {
	}
	explicit Json(const char *) = delete; // would be a bool

	Kind
	kind() const noexcept {
		return static_cast<Kind>(value_.index());
	}
	bool
	is(Kind kind) const noexcept {
		return this->kind() == kind;
	}

	// The value of the kind that it must be of.
	bool
	boolean() const {
		return std::get<bool>(value_);
	}
	const Number &
	number() const {
		return std::get<Number>(value_);
	}
	const std::string &
	string() const {
		return std::get<std::string>(value_);
	}
	const Array &
	array() const {
		return std::get<Array>(value_);
	}
	Array &
	array() {
		return std::get<Array>(value_);
	}
	const Object &
	object() const {
		return std::get<Object>(value_);
	}
	Object &
	object() {
		return std::get<Object>(value_);
	}
	const Document &
	document() const {
		return std::get<Document>(value_);
	}

	// Become a value of another kind; memory that is there already is used again where the kind is the same.
	void
	SetNull() {
		value_.emplace<std::monostate>();
	}
	void
	Set(bool value) {
		value_ = value;
	}
	void
	SetNumber(std::string_view bytes) {
		if (auto *number = std::get_if<Number>(&value_)) {
			number->bytes.assign(bytes);
		} else {
			value_.emplace<Number>(Number{std::string(bytes)});
		}
	}
	void
	SetString(std::string_view bytes) {
		if (auto *string = std::get_if<std::string>(&value_)) {
			string->assign(bytes);
		} else {
			value_.emplace<std::string>(bytes);
		}
	}
	void
	SetDocument(std::string_view bytes) {
		if (auto *document = std::get_if<Document>(&value_)) {
			document->bytes.assign(bytes);
		} else {
			value_.emplace<Document>(Document{std::string(bytes)});
		}
	}
	Array &
	SetArray() {
		return value_.emplace<Array>();
	}
	Object &
	SetObject() {
		return value_.emplace<Object>();
	}

  private:
	std::variant<std::monostate, bool, Number, std::string, Array, Object, Document> value_;
};

/*
 * What only the owner of the numbers and documents can do: the server, or a test.
 */
class JsonHost {
  public:
	virtual ~JsonHost() = default;
	// Whether two numbers have the same value (1.0 and 1.00 have).
	virtual bool Equal(std::string_view number, std::string_view other) const = 0;
	// Their exact sum.
	virtual std::string Sum(std::string_view number, std::string_view other) const = 0;
	// The value that a document holds, without documents within the part that is changed or compared: it may hold others deeper.
	virtual Json Expand(std::string_view document) const = 0;
	// Throws when the stack is nearly used up; asked at each level of a value.
	virtual void
	CheckStack() const {
	}
};

// The value itself where it is a document: in place.
inline void
ExpandInPlace(Json *value, const JsonHost &host) {
	if (value->is(Json::Kind::kDocument)) {
		*value = host.Expand(value->document().bytes);
	}
}

} // namespace auren

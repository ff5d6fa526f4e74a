#include "core/json/json_equal.hpp"

#include <algorithm>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

using Kind = Json::Kind;

// where one of them is a document
bool
EqualOpened(const Json &value, const Json &other, const JsonHost &host) {
	if (value.is(Kind::kDocument) && other.is(Kind::kDocument) && value.document().bytes == other.document().bytes) {
		return true;
	}
	Json storage;
	Json other_storage;
	return Equal(Expanded(value, &storage, host), Expanded(other, &other_storage, host), host);
}

bool
EqualArrays(const Json::Array &array, const Json::Array &other, const JsonHost &host) {
	return std::equal(array.begin(), array.end(), other.begin(), other.end(), [&host](const Json &a, const Json &b) { return Equal(a, b, host); });
}

bool
EqualObjects(const Json::Object &object, const Json::Object &other, const JsonHost &host) {
	return object.size() == other.size() &&
	       std::equal(object.begin(), object.end(), other.begin(), other.end(),
	                  [&host](const auto &a, const auto &b) { return a.first == b.first && Equal(a.second, b.second, host); });
}

} // namespace

bool
Equal(const Json &value, const Json &other, const JsonHost &host) {
	if (value.is(Kind::kDocument) || other.is(Kind::kDocument)) {
		return EqualOpened(value, other, host);
	}
	if (value.kind() != other.kind()) {
		return false;
	}
	switch (value.kind()) {
	case Kind::kNull:
	case Kind::kDocument: // not any more
		return true;
	case Kind::kBool:
		return value.boolean() == other.boolean();
	case Kind::kNumber:
		// the same bytes are the same number: most comparisons need not ask the host
		return value.number().bytes == other.number().bytes || host.Equal(value.number().bytes, other.number().bytes);
	case Kind::kString:
		return value.string() == other.string();
	case Kind::kArray:
		host.CheckStack();
		return EqualArrays(value.array(), other.array(), host);
	case Kind::kObject:
		host.CheckStack();
		return EqualObjects(value.object(), other.object(), host);
	}
	return false;
}

const Json &
Expanded(const Json &value, Json *storage, const JsonHost &host) {
	if (!value.is(Kind::kDocument)) {
		return value;
	}
	*storage = host.Expand(value.document().bytes);
	return *storage;
}

} // namespace auren

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/json/json.hpp"
#include "fuzz/bytes.hpp"

namespace auren::test {

inline void
Require(bool kept) {
	if (!kept) {
		std::abort();
	}
}

/*
 * Values and patches made of bytes. A document is the bytes that a value is made of when it is expanded, so that what a
 * fuzzer's input nests need not be there before somebody looks; what it begins with says what they are.
 */
class JsonMaker {
  public:
	static Json
	Value(Bytes *bytes, int depth = 4) {
		const std::uint8_t kind = bytes->Byte() % (depth > 0 ? 12 : 6);
		switch (kind) {
		case 0:
			return Json();
		case 1:
			return Json(bytes->Byte() % 2 == 0);
		case 2:
		case 3:
			return Json(Json::Number{Number(bytes->Byte())});
		case 4:
		case 5:
			return Json(bytes->TextOf("ab", 2));
		case 6:
			return Document('v', bytes);
		case 7:
		case 8: {
			Json::Array array;
			for (int n = bytes->Byte() % 5; n > 0; n--) {
				array.push_back(Value(bytes, depth - 1));
			}
			return Json(std::move(array));
		}
		default: {
			static const char *const keys[] = {"a", "b", "", "0", "~", "/"};
			Json::Object object;
			for (int n = bytes->Byte() % 5; n > 0; n--) {
				const char *key = keys[bytes->Byte() % 6];
				object.insert_or_assign(key, Value(bytes, depth - 1));
			}
			return Json(std::move(object));
		}
		}
	}

	static Json
	Patch(Bytes *bytes) {
		const std::uint8_t kind = bytes->Byte();
		if (kind == 255) {
			return Document('p', bytes);
		}
		if (kind == 254) {
			return Value(bytes);
		}
		Json::Array operations;
		for (int n = 1 + kind % 8; n > 0; n--) {
			operations.push_back(bytes->Byte() == 255 ? Document('o', bytes) : Operation(bytes));
		}
		return Json(std::move(operations));
	}

	static Json
	Expanded(std::string_view document) {
		Bytes bytes(reinterpret_cast<const std::uint8_t *>(document.data()) + 1, document.size() - 1);
		Json value = document[0] == 'p' ? Patch(&bytes) : document[0] == 'o' ? Operation(&bytes) : Value(&bytes, 3);
		return value.is(Json::Kind::kDocument) ? Json() : value;
	}

  private:
	// one digit, and its value written in another way
	static std::string
	Number(std::uint8_t byte) {
		std::string number(1, static_cast<char>('0' + byte % 3));
		return byte < 192 ? number : number + ".0";
	}

	static Json
	Document(char what, Bytes *bytes) {
		return Json(Json::Document{what + bytes->Text(48)});
	}

	static std::string
	Pointer(Bytes *bytes) {
		static const char *const tokens[] = {"/a", "/b", "/", "/0", "/1", "/2", "/-", "/~0", "/~1", "/01", "/~", "a"};
		std::string pointer;
		for (int n = bytes->Byte() % 5; n > 0; n--) {
			// the last ones, which are wrong, seldom
			const std::uint8_t choice = bytes->Byte();
			pointer += tokens[choice < 250 ? choice % 9 : choice % 12];
		}
		return pointer;
	}

	static Json
	Operation(Bytes *bytes) {
		static const char *const names[] = {"add", "remove", "replace", "move", "copy", "test", "none"};
		Json::Object operation;
		const std::uint8_t op = bytes->Byte();
		operation.insert_or_assign("op", Json(std::string(names[op < 252 ? op % 6 : 6])));
		operation.insert_or_assign("path", Json(Pointer(bytes)));
		operation.insert_or_assign("from", Json(Pointer(bytes)));
		operation.insert_or_assign("value", Value(bytes, 3));
		static const char *const members[] = {"op", "path", "from", "value"};
		const std::uint8_t flaw = bytes->Byte();
		if (flaw >= 252) {
			operation.erase(members[flaw - 252]);
		} else if (flaw >= 248) {
			operation.insert_or_assign(members[flaw - 248], Value(bytes, 2));
		}
		return Json(std::move(operation));
	}
};

// What a host throws is none of the errors of the core.
struct HostFailure : std::runtime_error {
	using std::runtime_error::runtime_error;
};

class BytesHost : public JsonHost {
  public:
	// The host fails when it is asked to expand more documents than these.
	explicit BytesHost(int expansions = -1) : left_(expansions) {
	}
	bool
	Equal(std::string_view number, std::string_view other) const override {
		return number[0] == other[0];
	}
	std::string
	Sum(std::string_view number, std::string_view) const override {
		return std::string(number);
	}
	Json
	Expand(std::string_view document) const override {
		if (left_ == 0) {
			throw HostFailure("the host expands no more");
		}
		left_--;
		return JsonMaker::Expanded(document);
	}

  private:
	mutable int left_;
};

// The value without documents.
inline void
ExpandAll(Json *value, const JsonHost &host) {
	ExpandInPlace(value, host);
	if (value->is(Json::Kind::kArray)) {
		for (Json &element : value->array()) {
			ExpandAll(&element, host);
		}
	} else if (value->is(Json::Kind::kObject)) {
		for (auto &[key, member] : value->object()) {
			ExpandAll(&member, host);
		}
	}
}

} // namespace auren::test

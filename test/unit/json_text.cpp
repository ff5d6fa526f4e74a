#include "unit/json_text.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace auren::test {

namespace {

using Kind = Json::Kind;

// ---- decimal numbers ------------------------------------------------------------------------------------------------

// The digits, as a whole number, times ten to the exponent.
struct Decimal {
	bool negative = false;
	std::string digits; // without leading zeros: empty for zero
	long long exponent = 0;
};

constexpr long long kLargestExponent = 1'000'000;

Decimal
Parse(std::string_view text) {
	Decimal decimal;
	std::size_t i = 0;
	if (i < text.size() && text[i] == '-') {
		decimal.negative = true;
		i++;
	}
	bool fraction = false;
	for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; i++) {
		if (text[i] == '.') {
			fraction = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9') {
			throw std::invalid_argument("not a number: " + std::string(text));
		}
		decimal.digits += text[i];
		decimal.exponent -= fraction ? 1 : 0;
	}
	if (i < text.size()) {
		decimal.exponent += std::stoll(std::string(text.substr(i + 1)));
	}
	if (decimal.exponent > kLargestExponent || decimal.exponent < -kLargestExponent) {
		throw std::invalid_argument("exponent too large: " + std::string(text));
	}
	decimal.digits.erase(0, std::min(decimal.digits.find_first_not_of('0'), decimal.digits.size()));
	return decimal;
}

// One form for each value.
Decimal
Normal(Decimal decimal) {
	while (!decimal.digits.empty() && decimal.digits.back() == '0') {
		decimal.digits.pop_back();
		decimal.exponent++;
	}
	if (decimal.digits.empty()) {
		return Decimal();
	}
	return decimal;
}

// The same value with a smaller or equal exponent.
Decimal
WithExponent(Decimal decimal, long long exponent) {
	if (!decimal.digits.empty()) {
		decimal.digits.append(static_cast<std::size_t>(decimal.exponent - exponent), '0');
	}
	decimal.exponent = exponent;
	return decimal;
}

bool
Less(const std::string &digits, const std::string &other) {
	return digits.size() != other.size() ? digits.size() < other.size() : digits < other;
}

// digits + sign * other, where the digits are not less than the others when the sign is -1
std::string
Combine(const std::string &digits, const std::string &other, int sign) {
	std::string sum;
	int carry = 0;
	for (std::size_t i = 0; i < std::max(digits.size(), other.size()) || carry != 0; i++) {
		const int a = i < digits.size() ? digits[digits.size() - 1 - i] - '0' : 0;
		const int b = i < other.size() ? other[other.size() - 1 - i] - '0' : 0;
		const int column = a + sign * b + carry;
		carry = column < 0 ? -1 : column / 10;
		sum += static_cast<char>('0' + (column + 10) % 10);
	}
	while (!sum.empty() && sum.back() == '0') {
		sum.pop_back();
	}
	std::reverse(sum.begin(), sum.end());
	return sum;
}

std::string
Text(const Decimal &decimal) {
	std::string digits = decimal.digits;
	if (decimal.exponent < 0) {
		const auto places = static_cast<std::size_t>(-decimal.exponent);
		if (digits.size() <= places) {
			digits.insert(0, places + 1 - digits.size(), '0');
		}
		digits.insert(digits.size() - places, ".");
	} else if (digits.empty()) {
		digits = "0";
	} else {
		digits.append(static_cast<std::size_t>(decimal.exponent), '0');
	}
	return decimal.negative && !decimal.digits.empty() ? "-" + digits : digits;
}

// ---- reading and writing --------------------------------------------------------------------------------------------

// A double takes no 1e400, and the library refuses what its float does not take.
using Library = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t, std::uint64_t, long double>;

class Reader : public Library::json_sax_t {
  public:
	Json
	Result() {
		return std::move(root_);
	}
	bool
	null() override {
		return Put(Json());
	}
	bool
	boolean(bool value) override {
		return Put(Json(value));
	}
	bool
	number_integer(std::int64_t value) override {
		return Put(Json(Json::Number{std::to_string(value)}));
	}
	bool
	number_unsigned(std::uint64_t value) override {
		return Put(Json(Json::Number{std::to_string(value)}));
	}
	bool
	number_float(long double, const std::string &text) override {
		return Put(Json(Json::Number{text}));
	}
	bool
	string(std::string &value) override {
		return Put(Json(std::move(value)));
	}
	bool
	binary(binary_t &) override {
		return false;
	}
	bool
	start_object(std::size_t) override {
		return Open(Json(Json::Object()));
	}
	bool
	start_array(std::size_t) override {
		return Open(Json(Json::Array()));
	}
	bool
	key(std::string &name) override {
		open_.back().key = std::move(name);
		return true;
	}
	bool
	end_object() override {
		return Close();
	}
	bool
	end_array() override {
		return Close();
	}
	bool
	parse_error(std::size_t, const std::string &, const nlohmann::detail::exception &error) override {
		throw std::invalid_argument(error.what());
	}

  private:
	struct Container {
		Json value;
		std::string key; // of the member that comes next
	};

	bool
	Put(Json value) {
		if (open_.empty()) {
			root_ = std::move(value);
		} else if (open_.back().value.is(Kind::kObject)) {
			open_.back().value.object().insert_or_assign(open_.back().key, std::move(value));
		} else {
			open_.back().value.array().push_back(std::move(value));
		}
		return true;
	}
	bool
	Open(Json value) {
		open_.push_back({std::move(value), {}});
		return true;
	}
	bool
	Close() {
		Json value = std::move(open_.back().value);
		open_.pop_back();
		return Put(std::move(value));
	}

	Json root_;
	std::vector<Container> open_;
};

std::string
QuotedText(const std::string &text) {
	return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void
Write(const Json &value, std::string *text) {
	switch (value.kind()) {
	case Kind::kNull:
		*text += "null";
		break;
	case Kind::kBool:
		*text += value.boolean() ? "true" : "false";
		break;
	case Kind::kNumber:
		*text += value.number().bytes;
		break;
	case Kind::kString:
		*text += QuotedText(value.string());
		break;
	case Kind::kArray: {
		char before = '[';
		for (const Json &element : value.array()) {
			*text += before;
			Write(element, text);
			before = ',';
		}
		*text += value.array().empty() ? "[]" : "]";
		break;
	}
	case Kind::kObject: {
		char before = '{';
		for (const auto &[key, member] : value.object()) {
			*text += before;
			*text += QuotedText(key) + ":";
			Write(member, text);
			before = ',';
		}
		*text += value.object().empty() ? "{}" : "}";
		break;
	}
	case Kind::kDocument:
		Write(FromText(value.document().bytes), text);
		break;
	}
}

void
Close(Json *value) {
	if (value->is(Kind::kArray) || value->is(Kind::kObject)) {
		value->SetDocument(ToText(*value));
	}
}

} // namespace

bool
TextHost::Equal(std::string_view number, std::string_view other) const {
	const Decimal a = Normal(Parse(number));
	const Decimal b = Normal(Parse(other));
	return a.negative == b.negative && a.digits == b.digits && a.exponent == b.exponent;
}

std::string
TextHost::Sum(std::string_view number, std::string_view other) const {
	Decimal a = Parse(number);
	Decimal b = Parse(other);
	const long long exponent = std::min(a.exponent, b.exponent);
	a = WithExponent(std::move(a), exponent);
	b = WithExponent(std::move(b), exponent);
	if (Less(a.digits, b.digits)) {
		std::swap(a, b);
	}
	a.digits = Combine(a.digits, b.digits, a.negative == b.negative ? 1 : -1);
	return Text(a);
}

Json
TextHost::Expand(std::string_view document) const {
	Json value = FromText(document);
	if (value.is(Kind::kArray)) {
		std::for_each(value.array().begin(), value.array().end(), [](Json &element) { Close(&element); });
	} else if (value.is(Kind::kObject)) {
		std::for_each(value.object().begin(), value.object().end(), [](auto &member) { Close(&member.second); });
	}
	return value;
}

Json
FromText(std::string_view text) {
	Reader reader;
	if (!Library::sax_parse(text.begin(), text.end(), &reader)) {
		throw std::invalid_argument("not JSON: " + std::string(text));
	}
	return reader.Result();
}

Json
DocumentOf(std::string_view text) {
	return Json(Json::Document{std::string(text)});
}

std::string
ToText(const Json &value) {
	std::string text;
	Write(value, &text);
	return text;
}

int
CountDocuments(const Json &value) {
	int count = value.is(Kind::kDocument) ? 1 : 0;
	if (value.is(Kind::kArray)) {
		for (const Json &element : value.array()) {
			count += CountDocuments(element);
		}
	} else if (value.is(Kind::kObject)) {
		for (const auto &[key, member] : value.object()) {
			count += CountDocuments(member);
		}
	}
	return count;
}

} // namespace auren::test

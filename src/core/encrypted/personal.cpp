#include "core/encrypted/personal.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

PersonSource
PersonSource::Parse(std::string_view text) {
	PersonSource source;
	if (!text.empty() && text.front() == '/') {
		source.in_data_ = true;
		source.place_ = ParsePointer(text);
		return source;
	}
	const std::size_t star = text.find('*');
	if (star == std::string_view::npos || text.find('*', star + 1) != std::string_view::npos) {
		throw DomainError(sqlstate::kInvalidParameter, "p_user says neither a place nor a pattern of stream ids",
		                  "It is " + QuotedPointer(text) + ".",
		                  "Give a JSON pointer into the event's data, such as \"/user_id\", or a stream id with one \"*\" in the person's place, "
		                  "such as \"user:*\".");
	}
	source.before_ = text.substr(0, star);
	source.after_ = text.substr(star + 1);
	return source;
}

std::optional<std::string>
PersonSource::PersonOf(std::string_view stream_id) const {
	if (stream_id.size() <= before_.size() + after_.size() || stream_id.substr(0, before_.size()) != before_ ||
	    stream_id.substr(stream_id.size() - after_.size()) != after_) {
		return std::nullopt;
	}
	return std::string(stream_id.substr(before_.size(), stream_id.size() - before_.size() - after_.size()));
}

std::optional<std::string>
PersonOfNumber(std::string_view digits) {
	const std::size_t point = digits.find('.');
	const std::string_view whole = digits.substr(0, point);
	const std::string_view fraction = point == std::string_view::npos ? std::string_view() : digits.substr(point + 1);
	const std::string_view unsigned_whole = !whole.empty() && whole.front() == '-' ? whole.substr(1) : whole;
	if (unsigned_whole.empty() || unsigned_whole.find_first_not_of("0123456789") != std::string_view::npos ||
	    fraction.find_first_not_of('0') != std::string_view::npos) {
		return std::nullopt;
	}
	return std::string(unsigned_whole == "0" ? unsigned_whole : whole);
}

bool
Overlap(const JsonPointer &a, const JsonPointer &b) {
	const std::size_t common = std::min(a.tokens.size(), b.tokens.size());
	return std::equal(a.tokens.begin(), a.tokens.begin() + static_cast<std::ptrdiff_t>(common), b.tokens.begin());
}

std::vector<JsonPointer>
ParsePersonalPaths(const std::vector<std::string> &texts) {
	std::vector<JsonPointer> paths;
	for (const std::string &text : texts) {
		JsonPointer path = ParsePointer(text);
		if (path.tokens.empty()) {
			throw DomainError(sqlstate::kInvalidParameter, "a personal path must lie inside the document", "The empty pointer is the whole of it.",
			                  "Name the fields, such as \"/heart_rate\".");
		}
		for (const JsonPointer &other : paths) {
			if (Overlap(path, other)) {
				throw DomainError(sqlstate::kInvalidParameter, "a personal path lies at or within another",
				                  QuotedPointer(PointerText(path)) + " and " + QuotedPointer(PointerText(other)) + ".",
				                  "Name each field once; what is within it is encrypted with it.");
			}
		}
		paths.push_back(std::move(path));
	}
	if (paths.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, "there must be a personal path", "None was given.",
		                  "Name the fields, such as ARRAY['/heart_rate'].");
	}
	return paths;
}

Json *
FindAt(Json *root, const JsonPointer &place, const JsonHost &host) {
	Json *at = root;
	for (const std::string &token : place.tokens) {
		ExpandInPlace(at, host);
		if (at->is(Json::Kind::kObject)) {
			const auto member = at->object().find(token);
			if (member == at->object().end()) {
				return nullptr;
			}
			at = &member->second;
		} else if (at->is(Json::Kind::kArray)) {
			const auto index = ArrayIndex(token);
			if (!index || *index >= at->array().size()) {
				return nullptr;
			}
			at = &at->array()[*index];
		} else {
			return nullptr;
		}
	}
	return at;
}

} // namespace auren

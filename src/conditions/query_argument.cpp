#include "conditions/query_argument.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/json/json.hpp"
#include "core/store/names.hpp"
#include "core/tags/tag.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/guard.hpp"
#include "server/jsonb.hpp"

namespace auren {

namespace {

void
RefuseVersions(const Query &query) {
	for (std::size_t i = 0; i < query.items.size(); i++) {
		if (query.items[i].version) {
			throw DomainError(sqlstate::kInvalidParameter, "a version cannot be read by",
			                  "Item " + std::to_string(i + 1) + " of the query has a version.",
			                  "Ask for the stream alone; events.append_if takes a version as a condition.");
		}
	}
}

Name
NameOf(std::string_view text) {
	const int characters = pg::Call([&] { return pg_mbstrlen_with_len(text.data(), static_cast<int>(text.size())); });
	return {text, static_cast<std::size_t>(characters)};
}

bool
IsTag(const Name &name) {
	return FlawOfTag(name) == TagFlaw::kNone;
}

bool
IsEventType(const Name &name) {
	CheckEventType(name);
	return true;
}

using NameCheck = bool (*)(const Name &);

// An array of texts that pass a check, each once.
bool
ReadTexts(const pg::JsonbView &value, NameCheck check, std::vector<std::string> *texts) {
	if (value.kind() != Json::Kind::kArray) {
		return false;
	}
	bool right = true;
	value.ForEachElement([&](const pg::JsonbView &element) {
		right = right && element.kind() == Json::Kind::kString && check(NameOf(element.bytes()));
		if (right && std::find(texts->begin(), texts->end(), element.bytes()) == texts->end()) {
			texts->emplace_back(element.bytes());
		}
	});
	return right && !texts->empty();
}

bool
ReadItem(const pg::JsonbView &value, QueryItem *item) {
	if (value.kind() != Json::Kind::kObject) {
		return false;
	}
	bool right = true;
	value.ForEachMember([&](std::string_view part, const pg::JsonbView &member) {
		if (part == "types") {
			right = right && ReadTexts(member, IsEventType, &item->types);
		} else if (part == "tags") {
			right = right && ReadTexts(member, IsTag, &item->tags) && item->tags.size() <= kMaxTagsOfEvent;
		} else if (part == "stream" && member.kind() == Json::Kind::kString) {
			CheckStreamId(NameOf(member.bytes()));
			item->stream = std::string(member.bytes());
		} else {
			right = false;
		}
	});
	return right;
}

/*
 * A query as callers mostly write it, read where it lies: types, tags and streams that are right. It saves an append with a condition a twentieth of
 * its instructions. nullopt: ParseQuery has to read it, and to say what is wrong where something is.
 */
std::optional<Query>
ReadPlainQuery(Datum jsonb) {
	const pg::JsonbView value(reinterpret_cast<const Jsonb *>(DatumGetPointer(jsonb)));
	Query query;
	bool right = true;
	const auto read = [&](const pg::JsonbView &item) {
		query.items.emplace_back();
		right = right && ReadItem(item, &query.items.back());
	};
	try {
		if (value.kind() == Json::Kind::kArray) {
			value.ForEachElement(read);
		} else {
			read(value);
		}
	} catch (const DomainError &) {
		return std::nullopt;
	}
	if (!right || query.items.empty() || query.items.size() > kMaxQueryItems) {
		return std::nullopt;
	}
	return query;
}

Query
ReadQuery(Datum jsonb) {
	if (auto plain = ReadPlainQuery(jsonb)) {
		return std::move(*plain);
	}
	const char *text = pg::Call([&] {
		Jsonb *json = DatumGetJsonbP(jsonb);
		return static_cast<const char *>(JsonbToCString(nullptr, &json->root, static_cast<int>(VARSIZE(json))));
	});
	Query query = ParseQuery(pg::ToUtf8(text));
	ForEachText(&query, [](std::string *name) { *name = pg::FromUtf8(*name); });
	return query;
}

} // namespace

QueryView
QueryArgument(FunctionCallInfo fcinfo, int argument, Versions versions) {
	pg::RequireNotNull(fcinfo, argument, "p_query");
	const Query query = ReadQuery(pg::JsonbOf(PG_GETARG_DATUM(argument)));
	if (versions == Versions::kRefused) {
		RefuseVersions(query);
	}
	const std::size_t bytes = ViewBytes(query);
	void *memory = pg::Call([&] { return palloc(bytes); });
	return WriteView(query, memory);
}

} // namespace auren

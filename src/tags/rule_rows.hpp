#pragma once

#include <string_view>

#include "core/tags/tag.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// A place in an event's data: the JSON pointer as it was declared, and its tokens.
struct RulePlace {
	std::string_view pointer;
	TextList path;
};

// Rows of auren.declared_tag_rules and auren.declared_span_rules.
struct TagRule {
	std::string_view tenant;
	std::string_view type;
	RulePlace place;
	std::string_view key;
	bool complete;
};
struct SpanRule {
	std::string_view tenant;
	std::string_view type;
	RulePlace from;
	RulePlace to;
};

template <typename Rule> struct RuleRange {
	const Rule *first;
	const Rule *last;

	const Rule *
	begin() const {
		return first;
	}
	const Rule *
	end() const {
		return last;
	}
	bool
	empty() const {
		return first == last;
	}
};

// Every rule of this database, in the order of tenant and type; valid until the next of these calls. Under SQL objects of a version without rules
// there are none.
RuleRange<TagRule> AllTagRules(Server server);
RuleRange<SpanRule> AllSpanRules(Server server);

// Those of a tenant and type.
RuleRange<TagRule> TagRulesOf(Server server, std::string_view tenant, std::string_view type);
RuleRange<SpanRule> SpanRulesOf(Server server, std::string_view tenant, std::string_view type);

} // namespace auren::pg

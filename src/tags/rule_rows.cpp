#include "tags/rule_rows.hpp"

#include <algorithm>

#include "core/freshness.hpp"
#include "server/own_relation.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "tags/relations.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

// Plain, so that it is asked for inside the guard, for each event that is read: a Cached would have to be asked for outside.
template <typename Rule> struct KeptRules {
	OwnRelation &table;
	MemoryContext context;
	Rule *rules;
	int count;
	Freshness freshness;
};
KeptRules<TagRule> kept_tag_rules = {own::tag_rules, nullptr, nullptr, 0, {}};
KeptRules<SpanRule> kept_span_rules = {own::span_rules, nullptr, nullptr, 0, {}};

// Relcache callback: counts only, nothing that can fail.
void
ForgetOnRelation(Oid relid) {
	if (own::tag_rules.MayBe(relid)) {
		kept_tag_rules.freshness.Forget();
	}
	if (own::span_rules.MayBe(relid)) {
		kept_span_rules.freshness.Forget();
	}
}

// A column's text, in the current memory context.
std::string_view
TextColumn(Server, HeapTuple tuple, TupleDesc descriptor, int column) {
	bool isnull;
	const Datum datum = heap_getattr(tuple, column, descriptor, &isnull);
	return isnull ? std::string_view() : TextBytes(PointerGetDatum(PG_DETOAST_DATUM_COPY(datum)));
}

// One token of a pointer, in the current memory context. That the pointer is one was found when it was declared (core/json/json_pointer.hpp).
std::string_view
Token(Server, std::string_view written) {
	char *token = static_cast<char *>(palloc(written.size() + 1));
	std::size_t length = 0;
	for (std::size_t i = 0; i < written.size(); i++) {
		if (written[i] == '~' && i + 1 < written.size()) {
			i++;
			token[length++] = written[i] == '1' ? '/' : '~';
		} else {
			token[length++] = written[i];
		}
	}
	return {token, length};
}

RulePlace
PlaceOf(Server server, std::string_view pointer) {
	const auto count = static_cast<std::size_t>(std::count(pointer.begin(), pointer.end(), '/'));
	auto *tokens = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * (count + 1)));
	std::size_t begin = 1; // after the first "/"
	for (std::size_t i = 0; i < count; i++) {
		const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
		tokens[i] = Token(server, pointer.substr(begin, end - begin));
		begin = end + 1;
	}
	return {pointer, {tokens, count}};
}

void
ReadRule(Server server, HeapTuple tuple, TupleDesc descriptor, TagRule *rule) {
	bool isnull;
	rule->tenant = TextColumn(server, tuple, descriptor, 1);
	rule->type = TextColumn(server, tuple, descriptor, 2);
	rule->place = PlaceOf(server, TextColumn(server, tuple, descriptor, 3));
	rule->key = TextColumn(server, tuple, descriptor, 4);
	rule->complete = DatumGetBool(heap_getattr(tuple, 7, descriptor, &isnull));
}

void
ReadRule(Server server, HeapTuple tuple, TupleDesc descriptor, SpanRule *rule) {
	rule->tenant = TextColumn(server, tuple, descriptor, 1);
	rule->type = TextColumn(server, tuple, descriptor, 2);
	rule->from = PlaceOf(server, TextColumn(server, tuple, descriptor, 3));
	rule->to = PlaceOf(server, TextColumn(server, tuple, descriptor, 4));
}

template <typename Rule>
bool
Before(const Rule &a, const Rule &b) {
	return a.tenant != b.tenant ? a.tenant < b.tenant : a.type < b.type;
}

template <typename Rule>
void
Load(Server server, KeptRules<Rule> *kept) {
	const Oid relid = kept->table.GetIfThere(server);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "auren_events rules", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Rule *rules = nullptr;
	int count = 0;
	if (OidIsValid(relid)) {
		count = ReadAllRows(server, relid, &rules,
		                    [server](HeapTuple tuple, TupleDesc descriptor, Rule *rule) { ReadRule(server, tuple, descriptor, rule); });
		std::sort(rules, rules + count, Before<Rule>);
	}
	MemoryContextSwitchTo(before);
	MemoryContextSetParent(context, CacheMemoryContext);
	if (kept->context != nullptr) {
		MemoryContextDelete(kept->context);
	}
	kept->context = context;
	kept->rules = rules;
	kept->count = count;
}

template <typename Rule>
RuleRange<Rule>
All(Server server, KeptRules<Rule> *kept) {
	kept->freshness.Refresh([server, kept] { Load(server, kept); });
	return {kept->rules, kept->rules + kept->count};
}

template <typename Rule>
RuleRange<Rule>
Of(Server server, KeptRules<Rule> *kept, std::string_view tenant, std::string_view type) {
	const RuleRange<Rule> all = All(server, kept);
	if (all.empty()) {
		return all;
	}
	Rule wanted = {};
	wanted.tenant = tenant;
	wanted.type = type;
	const auto range = std::equal_range(all.first, all.last, wanted, Before<Rule>);
	return {range.first, range.second};
}

} // namespace

RuleRange<TagRule>
AllTagRules(Server server) {
	return All(server, &kept_tag_rules);
}

RuleRange<SpanRule>
AllSpanRules(Server server) {
	return All(server, &kept_span_rules);
}

RuleRange<TagRule>
TagRulesOf(Server server, std::string_view tenant, std::string_view type) {
	return Of(server, &kept_tag_rules, tenant, type);
}

RuleRange<SpanRule>
SpanRulesOf(Server server, std::string_view tenant, std::string_view type) {
	return Of(server, &kept_span_rules, tenant, type);
}

void
RegisterTagRules(Server server) {
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg

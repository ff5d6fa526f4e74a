#pragma once

#include <string_view>

#include "core/tags/span.hpp"
#include "core/tags/tag.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The rules that make tags and spans of events' data (events.add_tag_rule, events.add_span_rule), kept until they change.
 *
 * A rule counts for every append from the commit that declared it on: it is declared under a lock that no append shares, and an append asks for the
 * rules after it has locked the table of events. For readers it counts once it is complete, which is once the tags of all stored events are in the
 * index. Rules are asked for as they are now, whatever the transaction's server snapshot is.
 *
 * What a rule makes of an event depends on the rule and on the event's data alone, so that an event shows the tags that the index has.
 */

// What of an event rules look at. Names are bytes; the data is a jsonb as the row or the caller has it.
struct RuledEvent {
	std::string_view tenant;
	std::string_view type;
	Datum data;
};

// Whether any rule of tags, or of spans, is declared in this database. Costs next to nothing where nothing has changed.
bool AnyTagRules(Server server);
bool AnySpanRules(Server server);

// Whether a rule makes tags of the events of a type, complete or not.
bool HasTagRules(Server server, std::string_view tenant, std::string_view type);

/*
 * The tags by which an event is found that is about to be appended: those that its caller gave (sorted, each once) and those of all rules, sorted,
 * each once. In the current memory context, or the given list where no rule makes one. Where a value can make no tag, or there would be more than an
 * event may have, it raises 22023; the other is false then, and the list is the given one.
 */
TextList TagsToWrite(Server server, const RuledEvent &event, const TextList &given);
bool TryTagsToWrite(Server server, const RuledEvent &event, const TextList &given, TextList *tags);

// Raises 22007 where a rule takes a span of an event and an end cannot be read, 22023 where the end is not after the beginning.
void CheckSpanOf(Server server, const RuledEvent &event);

/*
 * The tags that a stored event shows: those in its row and those of complete rules. A text[], sorted, each once; in the current memory context, or
 * the given datum itself where no rule makes one.
 */
Datum TagsToShow(Server server, const RuledEvent &event, Datum given);

// The span of a stored event. False where no rule takes one, or it has none.
bool SpanOf(Server server, const RuledEvent &event, Span *span);

// The JSON pointers that rules of tags and spans look at in the events of a type. In the current memory context.
TextList RulePlacesOf(Server server, std::string_view tenant, std::string_view type);

// The elements of a text[] as bytes, in its order. In the current memory context; an array that is neither compressed nor out of line is not copied.
TextList TextsOf(Server server, Datum array);

// A rule's place, by which it is told from the others of a tenant.
struct RuledPlace {
	std::string_view type;
	std::string_view pointer;
	std::string_view key;
};
struct SkippedBy {
	void (*skipped)(void *argument, const RuledPlace &place);
	void *argument;
};

/*
 * The tags that the rules of an event's type which are not complete make of it, in the current memory context. Calls skipped() for each rule that
 * finds a value of which no tag can be made.
 */
TextList TagsToFill(Server server, const RuledEvent &event, const SkippedBy &skipped_by);

// Whether a rule is declared and complete.
bool IsCompleteTagRule(Server server, std::string_view tenant, const RuledPlace &place);

// For _PG_init: from now on changes of the rules are heard of.
void RegisterTagRules(Server server);

} // namespace auren::pg

#include "tags/tag_rules.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/event_time.hpp"
#include "server/jsonb_path.hpp"
#include "server/text.hpp"
#include "tags/rule_rows.hpp"

namespace auren::pg {

namespace {

// Memory for what is looked at on the way, which goes with it. After an error it goes with the caller's.
struct Scratch {
	MemoryContext context;
	MemoryContext before;
};

Scratch
EnterScratch(Server) {
	Scratch scratch;
	scratch.context = AllocSetContextCreate(CurrentMemoryContext, "auren_events tags", ALLOCSET_SMALL_SIZES);
	scratch.before = MemoryContextSwitchTo(scratch.context);
	return scratch;
}

void
LeaveScratch(Server, const Scratch &scratch) {
	MemoryContextSwitchTo(scratch.before);
	MemoryContextDelete(scratch.context);
}

// Tags that are being gathered, in the memory context in which the list was begun.
struct Gathered {
	std::string_view *tags;
	std::size_t count;
	std::size_t capacity;
};

Gathered
BeginGathering(Server) {
	constexpr std::size_t kFirst = 8;
	return {static_cast<std::string_view *>(palloc(sizeof(std::string_view) * kFirst)), 0, kFirst};
}

void
Add(Server, Gathered *list, std::string_view tag) {
	if (list->count == list->capacity) {
		list->capacity *= 2;
		list->tags = static_cast<std::string_view *>(repalloc(list->tags, sizeof(std::string_view) * list->capacity));
	}
	list->tags[list->count++] = tag;
}

std::string_view
CopyOf(Server, std::string_view text) {
	return {pnstrdup(text.data(), text.size()), text.size()};
}

TextList
Sorted(const Gathered &list) {
	return {list.tags, SortTags(list.tags, list.count)};
}

// Why a rule makes no tags of what it found.
enum class ValueFlaw : std::uint8_t { kNone, kNoScalar, kEmpty, kTooLong, kControl, kTooMany };

ValueFlaw
FlawOf(TagFlaw flaw) {
	switch (flaw) {
	case TagFlaw::kTooLong:
		return ValueFlaw::kTooLong;
	case TagFlaw::kControl:
		return ValueFlaw::kControl;
	case TagFlaw::kEmpty:
		return ValueFlaw::kEmpty;
	case TagFlaw::kNone:
		break;
	}
	return ValueFlaw::kNone;
}

// A text, number or boolean as a text; nothing for what is none of them.
std::optional<std::string_view>
ScalarText(Server, const JsonbValue &value) {
	switch (value.type) {
	case jbvString:
		return std::string_view(value.val.string.val, static_cast<std::size_t>(value.val.string.len));
	case jbvNumeric:
		return std::string_view(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric))));
	case jbvBool:
		return std::string_view(value.val.boolean ? "true" : "false");
	default:
		return std::nullopt;
	}
}

// Adds the tag of a value, unless it is among those from `first` on.
ValueFlaw
AddTagOf(Server server, const TagRule &rule, const JsonbValue &value, Gathered *list, std::size_t first) {
	if (value.type == jbvNull) {
		return ValueFlaw::kNone;
	}
	const std::optional<std::string_view> text = ScalarText(server, value);
	if (!text) {
		return ValueFlaw::kNoScalar;
	}
	if (text->empty()) {
		return ValueFlaw::kEmpty;
	}
	const std::size_t length = rule.key.size() + 1 + text->size();
	char *bytes = static_cast<char *>(palloc(length));
	std::memcpy(bytes, rule.key.data(), rule.key.size());
	bytes[rule.key.size()] = ':';
	std::memcpy(bytes + rule.key.size() + 1, text->data(), text->size());
	const std::string_view tag(bytes, length);
	const TagFlaw flaw = FlawOfTag({tag, static_cast<std::size_t>(pg_mbstrlen_with_len(bytes, static_cast<int>(length)))});
	if (flaw != TagFlaw::kNone) {
		return FlawOf(flaw);
	}
	if (std::find(list->tags + first, list->tags + list->count, tag) != list->tags + list->count) {
		pfree(bytes);
		return ValueFlaw::kNone;
	}
	Add(server, list, tag);
	return list->count - first > kMaxTagsOfEvent ? ValueFlaw::kTooMany : ValueFlaw::kNone;
}

// Adds the tags that a rule makes of an event's data: all of them, or none where the value is not one that it may be.
ValueFlaw
AddTagsOf(Server server, const TagRule &rule, const JsonbValue &root, Gathered *list) {
	const JsonbPlace found = FindAtPath(server, root, rule.place.path);
	if (!found.there) {
		return ValueFlaw::kNone;
	}
	const std::size_t first = list->count;
	ValueFlaw flaw = ValueFlaw::kNone;
	JsonbContainer *container = found.value.type == jbvBinary ? found.value.val.binary.data : nullptr;
	if (container != nullptr && JsonContainerIsArray(container)) {
		const uint32 count = JsonContainerSize(container);
		for (uint32 i = 0; i < count && flaw == ValueFlaw::kNone; i++) {
			CHECK_FOR_INTERRUPTS();
			JsonbValue *element = getIthJsonbValueFromContainer(container, i);
			flaw = AddTagOf(server, rule, *element, list, first);
			pfree(element);
		}
	} else {
		flaw = AddTagOf(server, rule, found.value, list, first);
	}
	if (flaw != ValueFlaw::kNone) {
		list->count = first;
	}
	return flaw;
}

const char *
FlawText(ValueFlaw flaw) {
	switch (flaw) {
	case ValueFlaw::kEmpty:
		return "an empty text";
	case ValueFlaw::kTooLong:
		return "a text that would make a tag of more than 255 characters";
	case ValueFlaw::kControl:
		return "a text with a control character";
	case ValueFlaw::kTooMany:
		return "more than 64 values";
	default:
		return "neither a text, a number, a boolean nor an array of these";
	}
}

[[noreturn]] void
RaiseNoTag(Server, const TagRule &rule, ValueFlaw flaw) {
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
	     errmsg("an event of type \"%.*s\" has a value of which no tag can be made", static_cast<int>(rule.type.size()), rule.type.data()),
	     errdetail("The rule for tags \"%.*s:\" finds %s at \"%.*s\".", static_cast<int>(rule.key.size()), rule.key.data(), FlawText(flaw),
	               static_cast<int>(rule.place.pointer.size()), rule.place.pointer.data()),
	     errhint(
			 "Put what identifies the thing there, or drop the rule with events.drop_tag_rule. Without a value, or with null, there is no tag.")));
	pg_unreachable();
}

[[noreturn]] void
RaiseTooMany(Server, const RuledEvent &event, std::size_t count) {
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("an event has too many tags"),
	                errdetail("With those of the tag rules for type \"%.*s\" it would have %zu; at most %zu are allowed.",
	                          static_cast<int>(event.type.size()), event.type.data(), count, kMaxTagsOfEvent),
	                errhint("Tag an event with what decisions look it up by, and leave the rest in its data.")));
	pg_unreachable();
}

// What the rules make of an event that is appended: its tags, or why it may not have them.
struct ToWrite {
	TextList tags;
	const TagRule *rule; // that finds no value that it may; nullptr: none
	ValueFlaw flaw;

	bool
	allowed() const {
		return rule == nullptr && tags.count <= kMaxTagsOfEvent;
	}
};

ToWrite
GatherToWrite(Server server, const RuledEvent &event, const TextList &given) {
	const RuleRange<TagRule> rules = TagRulesOf(server, event.tenant, event.type);
	if (rules.empty()) {
		return {given, nullptr, ValueFlaw::kNone};
	}
	Gathered list = BeginGathering(server);
	const JsonbValue root = RootOf(server, event.data);
	for (const TagRule &rule : rules) {
		const ValueFlaw flaw = AddTagsOf(server, rule, root, &list);
		if (flaw != ValueFlaw::kNone) {
			return {given, &rule, flaw};
		}
	}
	for (const std::string_view tag : given) {
		Add(server, &list, tag);
	}
	return {Sorted(list), nullptr, ValueFlaw::kNone};
}

Datum
TextArrayOf(Server, const TextList &tags) {
	auto *elements = static_cast<Datum *>(palloc(sizeof(Datum) * (tags.count + 1)));
	for (std::size_t i = 0; i < tags.count; i++) {
		elements[i] = PointerGetDatum(cstring_to_text_with_len(tags.texts[i].data(), static_cast<int>(tags.texts[i].size())));
	}
	return PointerGetDatum(construct_array(elements, static_cast<int>(tags.count), TEXTOID, -1, false, TYPALIGN_INT));
}

bool
AnyComplete(const RuleRange<TagRule> &rules) {
	return std::any_of(rules.begin(), rules.end(), [](const TagRule &rule) { return rule.complete; });
}

// One end of a span.
struct SpanEnd {
	bool there;
	bool readable;
	int64 time;
};

SpanEnd
EndAt(Server server, const JsonbValue &root, const RulePlace &place, int64 unbounded) {
	const JsonbPlace found = FindAtPath(server, root, place.path);
	if (!found.there) {
		return {false, true, unbounded};
	}
	const bool timely = found.value.type == jbvString || found.value.type == jbvNumeric;
	const std::optional<std::string_view> text = timely ? ScalarText(server, found.value) : std::nullopt;
	const std::optional<int64> time = text ? ParseEventTime(*text) : std::nullopt;
	return time ? SpanEnd{true, true, *time} : SpanEnd{true, false, unbounded};
}

struct SpanEnds {
	SpanEnd from;
	SpanEnd to;

	// Whether the event has a span at all.
	bool
	any() const {
		return from.there || to.there;
	}
};

SpanEnds
EndsOf(Server server, const SpanRule &rule, Datum data) {
	const JsonbValue root = RootOf(server, data);
	return {EndAt(server, root, rule.from, Span::kUnboundedFrom), EndAt(server, root, rule.to, Span::kUnboundedTo)};
}

void
RequireReadable(Server, const SpanRule &rule, const SpanEnd &end, const RulePlace &place) {
	if (!end.readable) {
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
		         errmsg("an event of type \"%.*s\" has a span that cannot be read", static_cast<int>(rule.type.size()), rule.type.data()),
		         errdetail("What the span rule finds at \"%.*s\" is not a time.", static_cast<int>(place.pointer.size()), place.pointer.data()),
		         errhint("Write times such as \"2026-12-01T10:00:00Z\". Without a value, or with null, the span has no bound on that side.")));
	}
}

} // namespace

bool
AnyTagRules(Server server) {
	return !AllTagRules(server).empty();
}

bool
AnySpanRules(Server server) {
	return !AllSpanRules(server).empty();
}

bool
HasTagRules(Server server, std::string_view tenant, std::string_view type) {
	return !TagRulesOf(server, tenant, type).empty();
}

bool
TryTagsToWrite(Server server, const RuledEvent &event, const TextList &given, TextList *tags) {
	const ToWrite made = GatherToWrite(server, event, given);
	*tags = made.allowed() ? made.tags : given;
	return made.allowed();
}

TextList
TagsToWrite(Server server, const RuledEvent &event, const TextList &given) {
	const ToWrite made = GatherToWrite(server, event, given);
	if (made.rule != nullptr) {
		RaiseNoTag(server, *made.rule, made.flaw);
	}
	if (!made.allowed()) {
		RaiseTooMany(server, event, made.tags.count);
	}
	return made.tags;
}

TextList
TagsToFill(Server server, const RuledEvent &event, const SkippedBy &skipped_by) {
	Gathered list = BeginGathering(server);
	const JsonbValue root = RootOf(server, event.data);
	for (const TagRule &rule : TagRulesOf(server, event.tenant, event.type)) {
		if (!rule.complete && AddTagsOf(server, rule, root, &list) != ValueFlaw::kNone) {
			skipped_by.skipped(skipped_by.argument, {rule.type, rule.place.pointer, rule.key});
		}
	}
	return Sorted(list);
}

bool
IsCompleteTagRule(Server server, std::string_view tenant, const RuledPlace &place) {
	const RuleRange<TagRule> rules = TagRulesOf(server, tenant, place.type);
	return std::any_of(rules.begin(), rules.end(),
	                   [&](const TagRule &rule) { return rule.place.pointer == place.pointer && rule.key == place.key && rule.complete; });
}

Datum
TagsToShow(Server server, const RuledEvent &event, Datum given) {
	const RuleRange<TagRule> rules = TagRulesOf(server, event.tenant, event.type);
	if (!AnyComplete(rules)) {
		return given;
	}
	const Scratch scratch = EnterScratch(server);
	Gathered list = BeginGathering(server);
	const JsonbValue root = RootOf(server, event.data);
	for (const TagRule &rule : rules) {
		if (rule.complete) {
			(void)AddTagsOf(server, rule, root, &list);
		}
	}
	Datum shown = given;
	if (list.count > 0) {
		const TextList own = TextsOf(server, given);
		for (const std::string_view tag : own) {
			Add(server, &list, tag);
		}
		const TextList tags = Sorted(list);
		if (tags.count > own.count) {
			const Datum array = TextArrayOf(server, tags);
			MemoryContextSwitchTo(scratch.before);
			shown = datumCopy(array, false, -1);
		}
	}
	LeaveScratch(server, scratch);
	return shown;
}

void
CheckSpanOf(Server server, const RuledEvent &event) {
	const RuleRange<SpanRule> rules = SpanRulesOf(server, event.tenant, event.type);
	if (rules.empty()) {
		return;
	}
	const SpanRule &rule = *rules.first; // a type has one at most
	const Scratch scratch = EnterScratch(server);
	const SpanEnds ends = EndsOf(server, rule, event.data);
	RequireReadable(server, rule, ends.from, rule.from);
	RequireReadable(server, rule, ends.to, rule.to);
	if (ends.to.time <= ends.from.time) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("an event of type \"%.*s\" has a span that does not end after it begins", static_cast<int>(rule.type.size()),
		                       rule.type.data()),
		                errdetail("The time at \"%.*s\" is not after the one at \"%.*s\".", static_cast<int>(rule.to.pointer.size()),
		                          rule.to.pointer.data(), static_cast<int>(rule.from.pointer.size()), rule.from.pointer.data()),
		                errhint("The end is not part of the span: give the first moment after it.")));
	}
	LeaveScratch(server, scratch);
}

bool
SpanOf(Server server, const RuledEvent &event, Span *span) {
	const RuleRange<SpanRule> rules = SpanRulesOf(server, event.tenant, event.type);
	if (rules.empty()) {
		return false;
	}
	const Scratch scratch = EnterScratch(server);
	const SpanEnds ends = EndsOf(server, *rules.first, event.data);
	LeaveScratch(server, scratch);
	*span = {ends.from.time, ends.to.time};
	return ends.any() && ends.from.readable && ends.to.readable && span->from < span->to;
}

TextList
RulePlacesOf(Server server, std::string_view tenant, std::string_view type) {
	AcceptInvalidationMessages();
	Gathered list = BeginGathering(server);
	for (const TagRule &rule : TagRulesOf(server, tenant, type)) {
		Add(server, &list, CopyOf(server, rule.place.pointer));
	}
	for (const SpanRule &rule : SpanRulesOf(server, tenant, type)) {
		Add(server, &list, CopyOf(server, rule.from.pointer));
		Add(server, &list, CopyOf(server, rule.to.pointer));
	}
	return {list.tags, list.count};
}

TextList
TextsOf(Server, Datum array) {
	Datum *elements;
	bool *nulls;
	int count;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	auto *texts = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * static_cast<Size>(count + 1)));
	for (int i = 0; i < count; i++) {
		texts[i] = nulls[i] ? std::string_view() : TextBytes(elements[i]);
	}
	return {texts, static_cast<std::size_t>(count)};
}

} // namespace auren::pg

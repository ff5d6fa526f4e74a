#include "encrypted/personal_rules.hpp"

#include <algorithm>
#include <string>

#include "core/encrypted/envelope.hpp"
#include "core/error.hpp"
#include "encrypted/key_ring.hpp"
#include "encrypted/relations.hpp"
#include "server/cached.hpp"
#include "server/encoding.hpp"
#include "server/guard.hpp"
#include "server/jsonb_writer.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

Cached<std::vector<PersonalRule>> rules(own::personal_rules);

// A row as the scan gives it, in the caller's memory context.
struct Row {
	const char *columns[3];
	const char **paths;
	int path_count;
};

int
ReadRows(Server server, Oid relid, Row **rows) {
	return ReadAllRows(server, relid, rows, [](HeapTuple tuple, TupleDesc descriptor, Row *row) {
		bool isnull;
		for (int column = 0; column < 3; column++) {
			row->columns[column] = TextDatumGetCString(heap_getattr(tuple, column + 1, descriptor, &isnull));
		}
		Datum *elements;
		bool *nulls;
		deconstruct_array(DatumGetArrayTypePCopy(heap_getattr(tuple, 4, descriptor, &isnull)), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
		                  &row->path_count);
		row->paths = static_cast<const char **>(palloc(sizeof(char *) * static_cast<Size>(row->path_count + 1)));
		for (int i = 0; i < row->path_count; i++) {
			row->paths[i] = nulls[i] ? "" : TextDatumGetCString(elements[i]);
		}
	});
}

std::vector<PersonalRule>
ReadRules(Oid relid) {
	Row *rows = nullptr;
	const int count = Call([&](Server server) { return ReadRows(server, relid, &rows); });
	std::vector<PersonalRule> read;
	for (int i = 0; i < count; i++) {
		PersonalRule rule;
		rule.tenant = rows[i].columns[0];
		rule.event_type = rows[i].columns[1];
		rule.person = rows[i].columns[2];
		rule.source = PersonSource::Parse(rule.person);
		rule.paths = ParsePersonalPaths({rows[i].paths, rows[i].paths + rows[i].path_count});
		read.push_back(std::move(rule));
	}
	return read;
}

void
ForgetOnRelation(Oid relid) {
	rules.ForgetOn(relid);
}

bool
Applies(const PersonalRule &rule, const EventNames &event) {
	return rule.event_type == event.event_type && rule.tenant == event.tenant;
}

// A text or a whole number names a person; nothing else does.
std::optional<std::string>
PersonIn(Json *document, const JsonPointer &place, const ServerJson &json) {
	const Json *value = FindAt(document, place, json);
	if (value == nullptr) {
		return std::nullopt;
	}
	if (value->is(Json::Kind::kString)) {
		return value->string().empty() ? std::nullopt : std::optional<std::string>(value->string());
	}
	if (value->is(Json::Kind::kNumber)) {
		const char *numeric = value->number().bytes.data();
		return PersonOfNumber(Call([&] { return DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(numeric))); }));
	}
	return std::nullopt;
}

std::optional<std::string>
PersonOf(const PersonalRule &rule, const EventNames &event, Json *document, const ServerJson &json) {
	return rule.source.in_data() ? PersonIn(document, rule.source.place(), json) : rule.source.PersonOf(event.stream);
}

bool
HasEnvelope(const PersonalRule &rule, Json *document, const ServerJson &json) {
	return std::any_of(rule.paths.begin(), rule.paths.end(), [&](const JsonPointer &path) {
		const Json *value = FindAt(document, path, json);
		return value != nullptr && value->is(Json::Kind::kString) && LooksLikeEnvelope(value->string());
	});
}

bool
HasAny(const PersonalRule &rule, Json *document, const ServerJson &json) {
	for (const JsonPointer &path : rule.paths) {
		const Json *value = FindAt(document, path, json);
		if (value != nullptr && !value->is(Json::Kind::kNull)) {
			return true;
		}
	}
	return false;
}

/*
 * Memory for what one event needs on its way: a call over many events keeps none of it. After an error it lives as long as the caller's,
 * with the report in it.
 */
class Scratch {
  public:
	Scratch() : before_(CurrentMemoryContext) {
		context_ = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events personal", ALLOCSET_DEFAULT_SIZES); });
		MemoryContextSwitchTo(context_);
	}
	~Scratch() {
		MemoryContextSwitchTo(before_);
	}
	Scratch(const Scratch &) = delete;
	Scratch &operator=(const Scratch &) = delete;

	// A value in the caller's memory; the rest goes.
	Datum
	Keep(Datum value) {
		MemoryContextSwitchTo(before_);
		return Call([&] {
			const Datum kept = datumCopy(value, false, -1);
			MemoryContextDelete(context_);
			return kept;
		});
	}

  private:
	MemoryContext before_;
	MemoryContext context_;
};

} // namespace

bool
IsPersonal(const EventNames &event) {
	const auto known = rules.Get(ReadRules);
	for (const PersonalRule &rule : *known) {
		if (Applies(rule, event)) {
			return true;
		}
	}
	return false;
}

Datum
SealEvent(const EventNames &event, Datum data) {
	const auto known = rules.Get(ReadRules);
	Scratch scratch;
	const ServerJson json;
	Json document = JsonOf(data);
	for (const PersonalRule &rule : *known) {
		if (!Applies(rule, event) || !HasAny(rule, &document, json)) {
			continue;
		}
		const auto person = PersonOf(rule, event, &document, json);
		if (!person) {
			throw DomainError(sqlstate::kInvalidParameter, "an event of type \"" + std::string(event.event_type) + "\" has personal fields of nobody",
			                  "The rule takes the person from " + QuotedPointer(rule.person) +
			                      (rule.source.in_data() ? ", where neither a text nor a whole number stands." : ", and there is none."),
			                  "Name the person there, or drop the rule with encrypted.drop_rule.");
		}
		const char *bytes = person->data();
		const int size = static_cast<int>(person->size());
		CheckUserId(*person, static_cast<std::size_t>(Call([&] { return pg_mbstrlen_with_len(bytes, size); })));
		SealDocument({event.tenant, *person, rule.paths}, &document, json);
	}
	return scratch.Keep(WriteJsonb(document));
}

Datum
OpenEvent(const EventNames &event, Datum data, Audited audited) {
	const auto known = rules.Get(ReadRules);
	Scratch scratch;
	const ServerJson json;
	Json document = JsonOf(data);
	for (const PersonalRule &rule : *known) {
		if (!Applies(rule, event)) {
			continue;
		}
		const auto person = PersonOf(rule, event, &document, json);
		if (person) {
			OpenDocument({event.tenant, *person, rule.paths}, &document, json, Unreadable::kStays, audited);
		}
	}
	return scratch.Keep(WriteJsonb(document));
}

bool
HasPersonalRules(std::string_view tenant) {
	const auto known = rules.Get(ReadRules);
	return std::any_of(known->begin(), known->end(), [&](const PersonalRule &rule) { return rule.tenant == tenant; });
}

std::vector<std::string>
PersonsIn(const EventNames &event, Datum data) {
	const auto known = rules.Get(ReadRules);
	const ServerJson json;
	Json document = JsonOf(data);
	std::vector<std::string> persons;
	for (const PersonalRule &rule : *known) {
		if (!Applies(rule, event) || !HasEnvelope(rule, &document, json)) {
			continue;
		}
		const auto person = PersonOf(rule, event, &document, json);
		if (person && !IsForgotten(event.tenant, *person)) {
			persons.push_back(*person);
		}
	}
	return persons;
}

std::vector<PersonalRule>
RulesOf(std::string_view tenant, std::string_view event_type) {
	Call([] { AcceptInvalidationMessages(); });
	const auto known = rules.Get(ReadRules);
	std::vector<PersonalRule> found;
	for (const PersonalRule &rule : *known) {
		if (Applies(rule, {tenant, "", event_type})) {
			found.push_back(rule);
		}
	}
	return found;
}

void
LockPersonalRules(Server server) {
	LockRelationOid(own::personal_rules.Get(server), ShareRowExclusiveLock);
}

void
RequireNotPersonal(std::string_view tenant, std::string_view event_type, const JsonPointer &place, const char *what) {
	for (const PersonalRule &rule : RulesOf(tenant, event_type)) {
		for (const JsonPointer &path : rule.paths) {
			if (Overlap(path, place)) {
				throw DomainError(sqlstate::kNotInState, std::string("an encrypted field cannot make ") + what,
				                  "The rule for " + QuotedPointer(rule.person) + " encrypts " + QuotedPointer(PointerText(path)) +
				                      ", which overlaps " + QuotedPointer(PointerText(place)) + ".",
				                  "Take another field, which says nothing of a person. encrypted.rules lists the encrypted ones.");
			}
		}
	}
}

void
RequireNotInTags(std::string_view tenant, std::string_view event_type, const std::vector<JsonPointer> &paths) {
	const TextList places = Call([&](Server server) { return RulePlacesOf(server, tenant, event_type); });
	for (const std::string_view place : places) {
		for (const JsonPointer &path : paths) {
			if (Overlap(path, ParsePointer(place))) {
				throw DomainError(sqlstate::kNotInState, "a field of which tags or spans are made cannot be encrypted",
				                  QuotedPointer(PointerText(path)) + " overlaps " + QuotedPointer(place) +
				                      ", which a rule of events.tag_rules or events.span_rules looks at.",
				                  "Leave the field out of the paths, or drop that rule first: no event shows its tags then.");
			}
		}
	}
}

void
RegisterPersonalRules(Server server) {
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg

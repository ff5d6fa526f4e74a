// Rules of tags and spans: events.add_tag_rule, drop_tag_rule, fill_tag_rules, add_span_rule, drop_span_rule.

#include <string>

#include "conditions/tag_rule_fill.hpp"
#include "core/error.hpp"
#include "core/json/json_pointer.hpp"
#include "core/store/names.hpp"
#include "core/tags/tag.hpp"
#include "encrypted/personal_rules.hpp"
#include "feed/feed_horizon.hpp"
#include "server/arguments.hpp"
#include "server/as_owner.hpp"
#include "server/entry.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"
#include "store/tenant_search.hpp"
#include "tags/tag_rules.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

pg::Text
EventTypeArgument(FunctionCallInfo fcinfo) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	CheckEventType(type.name);
	return type;
}

// The arguments of a rule of tags.
struct TagRuleArguments {
	pg::Tenant tenant;
	pg::Text type;
	pg::Text pointer;
	pg::Text key;
};

TagRuleArguments
ReadTagRule(FunctionCallInfo fcinfo) {
	TagRuleArguments rule;
	rule.type = EventTypeArgument(fcinfo);
	rule.pointer = pg::TextArgument(fcinfo, 1, "p_pointer");
	(void)ParsePointer(rule.pointer.name.bytes);
	rule.key = pg::TextArgument(fcinfo, 2, "p_tag_key");
	CheckTagKey(rule.key.name);
	rule.tenant = pg::CurrentTenant();
	return rule;
}

/*
 * Waits for every append that is in flight, and has those that come later wait for this transaction: each event either is stored before a rule
 * is declared, or its append knows the rule.
 */
void
WaitForAppends(Server server) {
	LockRelationOid(pg::own::events.Get(server), ShareRowExclusiveLock);
}

// Since nobody appends until the transaction ends.
void
RequireUnboundForRule() {
	pg::RequireUnbound("change a rule of tags or spans", "It stops the appends of all tenants until its transaction ends.");
}

// Before a rule is declared. The rules of encrypted fields come first: nobody who holds the lock on events waits for them.
void
LockForRule(const char *function) {
	RequireUnboundForRule();
	Call([&](Server server) {
		PreventCommandIfReadOnly(function);
		pg::LockPersonalRules(server);
		WaitForAppends(server);
	});
}

/*
 * Whether the tenant has a stored event of the type: by the months' indexes on types, whatever a planner would make of it, since appends wait. As the
 * owner, since a policy may hide events from the caller.
 */
bool
HasEventsOf(Server server, const pg::Tenant &tenant, Datum type) {
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::events.Get(server));
	// the transaction's own server snapshot may be older than the lock
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	pg::TenantSearchTerms terms = {};
	terms.tenant = tenant.text;
	terms.type = type;
	terms.from = PG_INT64_MIN;
	terms.to = PG_INT64_MAX;
	terms.direction = BackwardScanDirection;
	pg::TenantSearch search;
	pg::BeginTenantSearch(server, &search, terms, snapshot);
	constexpr int kColumns = pg::kEventColumns;
	Datum values[kColumns];
	bool isnull[kColumns];
	const bool found = pg::NextTenantEvent(server, &search, values, isnull);
	pg::EndTenantSearch(server, &search);
	UnregisterSnapshot(snapshot);
	pg::SwitchBack(server, before);
	return found;
}

// Declares a rule unless it is there; returns whether it is complete.
bool
DeclareTagRule(const TagRuleArguments &rule) {
	return Call([&](Server server) {
		Oid types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, BOOLOID};
		Datum values[6] = {rule.tenant.text,
		                   rule.type.datum,
		                   rule.pointer.datum,
		                   rule.key.datum,
		                   Int64GetDatum(pg::LastPosition(server)),
		                   BoolGetDatum(!HasEventsOf(server, rule.tenant, rule.type.datum))};
		(void)pg::ExecuteAsStore(server,
		                         "INSERT INTO auren.declared_tag_rules (tenant_id, event_type, pointer, tag_key, fill_after, fill_until, complete, "
		                         "skipped, created_by, created_at) VALUES ($1, $2, $3, $4, 0, $5, $6, 0, session_user, pg_catalog.now()) ON CONFLICT "
		                         "DO NOTHING",
		                         6, types, values, nullptr);
		return pg::IsCompleteTagRule(server, rule.tenant.id, {rule.type.name.bytes, rule.pointer.name.bytes, rule.key.name.bytes});
	});
}

/*
 * Runs a statement on a rule's row, of which the parameters are those of the row's key; returns how many rows it found.
 */
uint64
OnTagRule(Server server, const char *sql, const TagRuleArguments &rule) {
	Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum values[4] = {rule.tenant.text, rule.type.datum, rule.pointer.datum, rule.key.datum};
	return pg::ExecuteAsStore(server, sql, 4, types, values, nullptr);
}

uint64
OnSpanRule(Server server, const char *sql, const pg::Tenant &tenant, const pg::Text &type) {
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {tenant.text, type.datum};
	return pg::ExecuteAsStore(server, sql, 2, types, values, nullptr);
}

[[noreturn]] void
ThrowNoRule(const char *view) {
	throw DomainError(sqlstate::kUndefinedObject, "there is no such rule", "None of this session's tenant has been declared so.",
	                  std::string(view) + " lists them.");
}

[[noreturn]] void
ThrowOtherSpanRule(std::string_view type) {
	throw DomainError("42710", "events of type \"" + std::string(type) + "\" have a span rule already",
	                  "An event has one span at most, and the rule takes it from other places.", "Drop that rule first, with events.drop_span_rule.");
}

void
RequireApart(const pg::Text &from, const pg::Text &to) {
	if (from.name.bytes == to.name.bytes) {
		throw DomainError(sqlstate::kInvalidParameter, "p_from_pointer and p_to_pointer must be two places",
		                  "Both are " + QuotedPointer(from.name.bytes) + ": no span would end after it begins.", "Name where the end stands.");
	}
}

} // namespace

AUREN_FUNCTION(auren_add_tag_rule) {
	const TagRuleArguments rule = ReadTagRule(fcinfo);
	LockForRule("events.add_tag_rule()");
	pg::RequireNotPersonal(rule.tenant.id, rule.type.name.bytes, ParsePointer(rule.pointer.name.bytes), "tags");
	return BoolGetDatum(DeclareTagRule(rule));
}

AUREN_FUNCTION(auren_drop_tag_rule) {
	const TagRuleArguments rule = ReadTagRule(fcinfo);
	RequireUnboundForRule();
	const uint64 rows = Call([&](Server server) {
		PreventCommandIfReadOnly("events.drop_tag_rule()");
		// the row first: a step of the fill that holds it may append in its transaction
		const uint64 found =
			OnTagRule(server,
		              "SELECT FROM auren.declared_tag_rules WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND event_type "
		              "OPERATOR(pg_catalog.=) $2 AND pointer OPERATOR(pg_catalog.=) $3 AND tag_key OPERATOR(pg_catalog.=) $4 FOR UPDATE",
		              rule);
		WaitForAppends(server);
		(void)OnTagRule(server,
		                "DELETE FROM auren.declared_tag_rules WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND event_type OPERATOR(pg_catalog.=) $2 AND "
		                "pointer OPERATOR(pg_catalog.=) $3 AND tag_key OPERATOR(pg_catalog.=) $4",
		                rule);
		return found;
	});
	if (rows == 0) {
		ThrowNoRule("events.tag_rules");
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_fill_tag_rules) {
	pg::RequireNotNull(fcinfo, 0, "p_limit");
	const int64 limit = PG_GETARG_INT32(0);
	if (limit < 1) {
		throw DomainError(sqlstate::kInvalidParameter, "p_limit must be positive", "The limit given is " + std::to_string(limit) + ".",
		                  "Give how many stored events one call looks at, such as 10000.");
	}
	return Int64GetDatum(pg::FillTagRules(pg::CurrentTenant(), limit));
}

AUREN_FUNCTION(auren_add_span_rule) {
	const pg::Text type = EventTypeArgument(fcinfo);
	const pg::Text from = pg::TextArgument(fcinfo, 1, "p_from_pointer");
	const pg::Text to = pg::TextArgument(fcinfo, 2, "p_to_pointer");
	const JsonPointer places[2] = {ParsePointer(from.name.bytes), ParsePointer(to.name.bytes)};
	RequireApart(from, to);
	const pg::Tenant tenant = pg::CurrentTenant();
	LockForRule("events.add_span_rule()");
	for (const JsonPointer &place : places) {
		pg::RequireNotPersonal(tenant.id, type.name.bytes, place, "spans");
	}
	Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum values[4] = {tenant.text, type.datum, from.datum, to.datum};
	const uint64 rows = Call([&](Server server) {
		return pg::ExecuteAsStore(
			server,
			"INSERT INTO auren.declared_span_rules AS r (tenant_id, event_type, from_pointer, to_pointer) VALUES ($1, $2, $3, $4) "
			"ON CONFLICT (tenant_id, event_type) DO UPDATE SET event_type = EXCLUDED.event_type WHERE r.from_pointer "
			"OPERATOR(pg_catalog.=) $3 AND r.to_pointer OPERATOR(pg_catalog.=) $4",
			4, types, values, nullptr);
	});
	if (rows == 0) {
		ThrowOtherSpanRule(type.name.bytes);
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_drop_span_rule) {
	const pg::Text type = EventTypeArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	RequireUnboundForRule();
	const uint64 rows = Call([&](Server server) {
		PreventCommandIfReadOnly("events.drop_span_rule()");
		WaitForAppends(server);
		return OnSpanRule(server,
		                  "DELETE FROM auren.declared_span_rules WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND event_type OPERATOR(pg_catalog.=) $2",
		                  tenant, type);
	});
	if (rows == 0) {
		ThrowNoRule("events.span_rules");
	}
	PG_RETURN_VOID();
}

} // namespace auren

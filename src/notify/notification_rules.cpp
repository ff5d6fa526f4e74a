#include "notify/notification_rules.hpp"

#include <algorithm>
#include <utility>

#include "notify/relations.hpp"
#include "server/cached.hpp"
#include "server/guard.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"

namespace auren::pg {

namespace {

Cached<NotificationRuleBook> rules(own::notification_rules);

// A row as the scan gives it, in the caller's memory context.
struct Row {
	const char *columns[4];
};

int
ReadRows(Server server, Oid relid, Row **rows) {
	return ReadAllRows(server, relid, rows, [](HeapTuple tuple, TupleDesc descriptor, Row *row) {
		for (int column = 0; column < 4; column++) {
			bool isnull;
			row->columns[column] = TextDatumGetCString(heap_getattr(tuple, column + 1, descriptor, &isnull));
		}
	});
}

NotificationRuleBook
ReadRules(Oid relid) {
	Row *rows = nullptr;
	const int count = Call([&](Server server) { return ReadRows(server, relid, &rows); });
	NotificationRuleBook read;
	for (int i = 0; i < count; i++) {
		// tenant, channel, type, category
		read.Add(rows[i].columns[0], rows[i].columns[2], {rows[i].columns[1], rows[i].columns[3]});
	}
	read.Complete();
	return read;
}

void
ForgetOnRelation(Oid relid) {
	rules.ForgetOn(relid);
}

} // namespace

void
NotificationRuleBook::Add(std::string_view tenant, std::string_view event_type, NotificationRule rule) {
	channels_.push_back(rule.channel);
	by_tenant_[std::string(tenant)][std::string(event_type)].push_back(std::move(rule));
}

void
NotificationRuleBook::Complete() {
	std::sort(channels_.begin(), channels_.end());
	channels_.erase(std::unique(channels_.begin(), channels_.end()), channels_.end());
}

std::size_t
NotificationRuleBook::CountOf(std::string_view tenant) const {
	std::size_t count = 0;
	const auto types = by_tenant_.find(tenant);
	if (types != by_tenant_.end()) {
		for (const auto &type : types->second) {
			count += type.second.size();
		}
	}
	return count;
}

bool
NotificationRuleBook::Has(std::string_view tenant, std::string_view event_type, const NotificationRule &rule) const {
	const auto types = by_tenant_.find(tenant);
	if (types == by_tenant_.end()) {
		return false;
	}
	const auto rules_of_type = types->second.find(event_type);
	return rules_of_type != types->second.end() &&
	       std::any_of(rules_of_type->second.begin(), rules_of_type->second.end(),
	                   [&](const NotificationRule &other) { return other.channel == rule.channel && other.category == rule.category; });
}

std::shared_ptr<const NotificationRuleBook>
NotificationRules() {
	return rules.Get(ReadRules);
}

void
RegisterNotificationRules(Server server) {
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg

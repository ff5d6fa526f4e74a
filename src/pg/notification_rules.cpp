#include "pg/notification_rules.hpp"

#include "core/names.hpp"
#include "pg/cached.hpp"
#include "pg/guard.hpp"
#include "pg/relation_changes.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"

namespace auren::pg {

namespace {

Cached<std::vector<NotificationRule>> rules(&StoreOids::notification_rules);

// A row as the scan gives it, in the caller's memory context.
struct Row {
	const char *columns[4];
};

// Server side.
int
ReadRows(Oid relid, Row **rows) {
	return ReadAllRows(relid, rows, [](HeapTuple tuple, TupleDesc descriptor, Row *row) {
		for (int column = 0; column < 4; column++) {
			bool isnull;
			row->columns[column] = TextDatumGetCString(heap_getattr(tuple, column + 1, descriptor, &isnull));
		}
	});
}

std::vector<NotificationRule>
ReadRules(Oid relid) {
	Row *rows = nullptr;
	const int count = Call([&] { return ReadRows(relid, &rows); });
	std::vector<NotificationRule> read;
	for (int i = 0; i < count; i++) {
		read.push_back({rows[i].columns[0], rows[i].columns[1], rows[i].columns[2], rows[i].columns[3]});
	}
	return read;
}

void
ForgetOnRelation(Oid relid) {
	rules.ForgetOn(relid);
}

} // namespace

bool
NotificationRule::Asks(std::string_view for_tenant, std::string_view stream, std::string_view type) const {
	return tenant == for_tenant && (event_type.empty() || event_type == type) && (category.empty() || category == Category(stream));
}

std::shared_ptr<const std::vector<NotificationRule>>
NotificationRules() {
	return rules.Get(ReadRules);
}

void
RegisterNotificationRules() {
	OnRelationChange(ForgetOnRelation);
}

} // namespace auren::pg

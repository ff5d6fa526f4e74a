#include "pg/notification_rules.hpp"

#include "core/names.hpp"
#include "pg/guard.hpp"
#include "pg/relation_changes.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"

namespace auren::pg {

namespace {

std::vector<NotificationRule> rules;
bool rules_valid = false;
Oid rules_relid = InvalidOid;

// A row as the scan gives it, in the caller's memory context.
struct Row {
	const char *columns[4];
};

// Server side.
int
ReadRows(Row **rows) {
	rules_relid = Oids().notification_rules;
	return ReadAllRows(rules_relid, rows, [](HeapTuple tuple, TupleDesc descriptor, Row *row) {
		for (int column = 0; column < 4; column++) {
			bool isnull;
			row->columns[column] = TextDatumGetCString(heap_getattr(tuple, column + 1, descriptor, &isnull));
		}
	});
}

void
ForgetOnRelation(Oid relid) {
	if (relid == InvalidOid || relid == rules_relid) {
		rules_valid = false;
	}
}

} // namespace

bool
NotificationRule::Asks(std::string_view for_tenant, std::string_view stream, std::string_view type) const {
	return tenant == for_tenant && (event_type.empty() || event_type == type) && (category.empty() || category == Category(stream));
}

const std::vector<NotificationRule> &
NotificationRules() {
	while (!rules_valid) {
		// set first: a change that arrives while they are read unsets it, and is not lost
		rules_valid = true;
		Row *rows = nullptr;
		try {
			const int count = Call([&] { return ReadRows(&rows); });
			rules.clear();
			for (int i = 0; i < count; i++) {
				rules.push_back({rows[i].columns[0], rows[i].columns[1], rows[i].columns[2], rows[i].columns[3]});
			}
		} catch (...) {
			rules_valid = false;
			throw;
		}
	}
	return rules;
}

void
RegisterNotificationRules() {
	OnRelationChange(ForgetOnRelation);
}

} // namespace auren::pg

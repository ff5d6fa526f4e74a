#include "months/settle.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "core/error.hpp"
#include "months/carry.hpp"
#include "months/month_list.hpp"
#include "server/progress.hpp"

namespace auren::pg {

namespace {

// An index of a month or of its part of the index of tags.
struct MonthIndex {
	std::string name; // quoted
	std::string method;
	bool valid;
	bool dense; // its pages are filled to the last byte when it is built
	int columns;
};

std::vector<MonthIndex>
ListIndexes(const std::string &table) {
	std::vector<MonthIndex> indexes;
	for (const TextRow &row :
	     QueryAsOwner("SELECT quote_ident(c.relname), a.amname, x.indisvalid, coalesce('fillfactor=100' = ANY (c.reloptions), false), x.indnkeyatts "
	                  "FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am a ON a.oid = c.relam "
	                  "WHERE x.indrelid = $1::regclass ORDER BY c.relname",
	                  {table})) {
		indexes.push_back({*row[0], *row[1], *row[2] == "t", *row[3] == "t", std::stoi(*row[4])});
	}
	return indexes;
}

const MonthIndex *
Find(const std::vector<MonthIndex> &indexes, const std::string &name) {
	const auto found = std::find_if(indexes.begin(), indexes.end(), [&](const MonthIndex &index) { return index.name == name; });
	return found == indexes.end() ? nullptr : &*found;
}

// What an index is to become.
struct Policy {
	std::string index; // its name in the month
	std::string kind;
	std::string definition; // of the smaller index; empty: there is none

	bool
	IsDoneBy(const MonthIndex *there) const {
		if (kind == "none") {
			return there == nullptr;
		}
		return there != nullptr && (kind == "brin" ? there->method == "brin" : there->method == "btree" && there->columns == 2);
	}
};

/*
 * Times and the ids that the store makes grow with the table, so that a summary of each range of blocks finds them; of ids that came from elsewhere
 * auren.supplied_ids knows the positions. An index of the types alone has each type once, with the places of its events.
 */
std::string
DefinitionOf(const std::string &index, const std::string &kind) {
	if (kind == "short") {
		return "(tenant_id, event_type) WITH (fillfactor = 100)";
	}
	if (kind == "brin") {
		return index == "event_id" ? "USING brin (event_id pg_catalog.uuid_minmax_multi_ops)" : "USING brin (created_at)";
	}
	return "";
}

std::vector<Policy>
PoliciesFor(Month month) {
	std::vector<Policy> policies;
	for (const TextRow &row : QueryAsOwner("SELECT index_name, kind FROM auren.settled_indexes ORDER BY 1")) {
		policies.push_back({"idx_event_store_" + *row[0] + "_" + month.Suffix(), *row[1], DefinitionOf(*row[0], *row[1])});
	}
	return policies;
}

// The tag part of a month, where there is one.
std::string
TagTable(Month month) {
	const auto found = QueryAsOwner("SELECT to_regclass($1) IS NOT NULL", {"auren.event_tags_" + month.Suffix()});
	return found[0][0] == "t" ? "auren.event_tags_" + month.Suffix() : "";
}

/*
 * The statements of a month.
 */
class MonthPlan {
  public:
	MonthPlan(const MonthFigures &month, std::vector<PlannedStep> *steps) : month_(month), steps_(steps), indexes_(ListIndexes(month.partition)) {
	}
	void
	Write() {
		DropInvalid();
		Add("VACUUM (FREEZE, ANALYZE, TRUNCATE false) " + month_.partition,
		    "no vacuum has to read it again, and the lists of GIN indexes are emptied");
		for (const Policy &policy : PoliciesFor(month_.month)) {
			Exchange(policy);
		}
		Rebuild("events.", indexes_);
		const std::string tags = TagTable(month_.month);
		if (!tags.empty()) {
			Add("VACUUM (FREEZE, ANALYZE, TRUNCATE false) " + tags, "the same for the month's part of the index of tags");
			Rebuild("auren.", ListIndexes(tags));
		}
		Add("SELECT events.mark_settled('" + DateText(month_.month) + "')", "counts the month and records that it is settled");
	}

  private:
	void
	Add(const std::string &statement, const char *reason) {
		steps_->push_back({month_.month, statement, reason});
	}
	void
	Forget(const std::string &name) {
		indexes_.erase(std::remove_if(indexes_.begin(), indexes_.end(), [&](const MonthIndex &index) { return index.name == name; }), indexes_.end());
	}
	// What CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY leave when they are interrupted.
	void
	DropInvalid() {
		const std::vector<MonthIndex> all = indexes_;
		for (const MonthIndex &index : all) {
			if (!index.valid) {
				Add("DROP INDEX CONCURRENTLY IF EXISTS events." + index.name, "an interrupted statement left it, and it is not valid");
				Forget(index.name);
			}
		}
	}
	void
	Exchange(const Policy &policy) {
		const MonthIndex *old = Find(indexes_, policy.index);
		if (policy.IsDoneBy(old)) {
			return;
		}
		const std::string smaller = policy.index + "_" + policy.kind;
		const bool exchanged = !policy.definition.empty();
		if (exchanged && Find(indexes_, smaller) == nullptr) {
			Add("CREATE INDEX CONCURRENTLY " + smaller + " ON " + month_.partition + " " + policy.definition, "the smaller kind of index");
		}
		if (old != nullptr) {
			Add("DROP INDEX CONCURRENTLY events." + policy.index, exchanged ? "the larger kind of index" : "the policy does without it");
		}
		if (exchanged) {
			Add("ALTER INDEX events." + smaller + " RENAME TO " + policy.index, "the smaller one takes its name");
		}
		Forget(policy.index);
		Forget(smaller);
	}
	// One by one: a rebuilt index needs room for itself beside the old one. A GIN index whose keys are in few events each is no smaller when it is
	// built than what inserts left.
	void
	Rebuild(const std::string &schema, const std::vector<MonthIndex> &indexes) {
		for (const MonthIndex &index : indexes) {
			if (index.method != "btree") {
				continue;
			}
			if (!index.dense) {
				Add("ALTER INDEX " + schema + index.name + " SET (fillfactor = 100)", "nothing will be inserted between its entries");
			}
			Add("REINDEX INDEX CONCURRENTLY " + schema + index.name, "the index without holes");
		}
	}

	const MonthFigures &month_;
	std::vector<PlannedStep> *steps_;
	std::vector<MonthIndex> indexes_;
};

// What of the plan a month still lacks; nothing: empty.
std::string
WhatIsMissing(const MonthFigures &month) {
	if (!month.frozen) {
		return "Not all of its pages are frozen.";
	}
	const std::vector<MonthIndex> indexes = ListIndexes(month.partition);
	for (const MonthIndex &index : indexes) {
		if (!index.valid) {
			return "Index " + index.name + " is not valid.";
		}
		if (index.method == "btree" && !index.dense) {
			return "Index " + index.name + " was not rebuilt with fillfactor 100.";
		}
	}
	for (const Policy &policy : PoliciesFor(month.month)) {
		const MonthIndex *index = Find(indexes, policy.index);
		if (!policy.IsDoneBy(index)) {
			return "Index " + policy.index + " is not what events.settle_policies says.";
		}
	}
	return "";
}

bool
IsSettled(const MonthFigures &month) {
	const auto recorded =
		QueryAsOwner("SELECT last_position IS NOT DISTINCT FROM nullif($2::bigint, 0) FROM auren.month_records WHERE month = $1::date AND "
	                 "settled_at IS NOT NULL",
	                 {DateText(month.month), std::to_string(month.has_events ? month.last_position : 0)});
	return !recorded.empty() && recorded[0][0] == "t" && WhatIsMissing(month).empty();
}

} // namespace

std::vector<PlannedStep>
PlanSettling() {
	std::vector<PlannedStep> steps;
	for (const MonthFigures &month : ListMonths()) {
		if (month.closed && !month.attached && !IsSettled(month)) {
			MonthPlan(month, &steps).Write();
		}
	}
	return steps;
}

void
MarkSettled(Month month) {
	const std::vector<MonthFigures> months = ListMonths();
	const auto found = std::find_if(months.begin(), months.end(), [&](const MonthFigures &of) { return of.month == month; });
	if (found == months.end()) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no month " + MonthText(month), "It has no partition.", "events.months lists them.");
	}
	if (!found->closed) {
		throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " is not closed", "Events can still be written to it.",
		                  "Settle it when it is over.");
	}
	if (found->attached) {
		throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " was attached from its archive",
		                  "It is there to be read and goes again.", "Leave it as it is.");
	}
	const std::string missing = WhatIsMissing(*found);
	if (!missing.empty()) {
		throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " is not settled", missing,
		                  "Run the statements of events.maintenance_plan().");
	}
	Call([](Server server) { BeginProgress(server, WorkPhase::kSettleRecording, 0); });
	RecordMonth(*found);
	(void)QueryAsOwner("UPDATE auren.month_records SET settled_at = now() WHERE month = $1::date", {DateText(month)});
	Call([](Server server) { EndProgress(server); });
}

} // namespace auren::pg

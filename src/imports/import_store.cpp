#include "imports/import_store.hpp"

#include <algorithm>
#include <set>

#include "access/own_query.hpp"
#include "append/append.hpp"
#include "append/batch_arguments.hpp"
#include "core/error.hpp"
#include "encrypted/personal_rules.hpp"
#include "imports/import_tallies.hpp"
#include "imports/relations.hpp"
#include "server/lock_classes.hpp"
#include "server/progress.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "server/wait_point.hpp"
#include "store/event_read.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

namespace {

constexpr int kRowsAtOnce = 1000;
constexpr std::size_t kShownTenants = 20;

// Keeps other sessions from importing a store, over commits.
class ImportLock {
  public:
	ImportLock() {
		const LOCKTAG tag = Tag();
		if (!Call([&] { return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; })) {
			throw DomainError(sqlstate::kObjectInUse, "another session imports a store", "One does at a time: events.progress shows it.",
			                  "Call again when it has ended.");
		}
	}
	~ImportLock() {
		const LOCKTAG tag = Tag();
		(void)LockRelease(&tag, ExclusiveLock, true);
	}
	ImportLock(const ImportLock &) = delete;
	ImportLock &operator=(const ImportLock &) = delete;

  private:
	static LOCKTAG
	Tag() {
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kImportLockClass);
		return tag;
	}
};

void
Report(WorkPhase phase, int64 total, int64 done) {
	Call([&](Server server) { ContinueProgress(server, phase, total, done); });
}

// Runs work for each row that is left, and shows how far it is.
template <typename F>
void
ForEachRow(ImportCursor *cursor, WorkPhase phase, int64 total, F &&work) {
	int64 done = 0;
	Report(phase, total, 0);
	while (const int rows = cursor->Fetch(kRowsAtOnce)) {
		MemoryContext before = MemoryContextSwitchTo(cursor->context());
		for (int i = 0; i < rows; i++) {
			work(cursor->Row(i));
		}
		MemoryContextSwitchTo(before);
		done += rows;
		Report(phase, total, done);
	}
}

// A row of the plan as the store has it; no tags, no position.
EventRow
EventOf(const FetchedRow &row, Datum no_tags) {
	EventRow event;
	event.values[kEventId] = row.values[kPlanId];
	event.values[kStreamId] = row.values[kPlanStream];
	event.values[kStreamVersion] = row.values[kPlanVersion];
	event.values[kEventType] = row.values[kPlanType];
	event.values[kEventData] = row.values[kPlanData];
	event.values[kMetadata] = row.values[kPlanMetadata];
	event.values[kCreatedAt] = row.values[kPlanTime];
	event.values[kCreatedBy] = row.values[kPlanCreator];
	event.values[kTenantId] = row.values[kPlanTenant];
	event.values[kGlobalPosition] = Int64GetDatum(0);
	event.values[kTags] = no_tags;
	return event;
}

void
Count(ImportCounts *counts, const FetchedRow &row, const std::string &changes, const std::optional<ImportRefusal> &refusal) {
	counts->events++;
	counts->stored += DatumGetBool(row.values[kPlanStored]) ? 1 : 0;
	counts->changed += !refusal && !changes.empty() ? 1 : 0;
	counts->refused += refusal ? 1 : 0;
}

// Those of rows that are in the store stand in the report of the call that imported them.
std::string
NewChangesOf(const FetchedRow &row) {
	return DatumGetBool(row.values[kPlanStored]) ? std::string() : ChangesOf(row);
}

std::string
TextOrNone(const FetchedRow &row, PlanColumn column) {
	return row.isnull[column] ? "(none)" : "\"" + std::string(TextOf(row.values[column]).name.bytes) + "\"";
}

// What was looked at before anything is written.
struct Checked {
	ImportCounts counts;
	std::string first_refusal;
	std::string first_to_do;
	ImportTallies tallies;
};

void
CheckAll(ImportCursor *cursor, Checked *checked) {
	const ImportCheck check;
	const Datum no_tags = Call([] { return NoTags(); });
	ForEachRow(cursor, WorkPhase::kImportChecking, 0, [&](const FetchedRow &row) {
		const auto refusal = check.Look(row);
		Count(&checked->counts, row, NewChangesOf(row), refusal);
		if (!refusal) {
			checked->tallies.Add(EventOf(row, no_tags));
		} else if (checked->first_refusal.empty()) {
			checked->first_refusal =
				"The first is of stream " + TextOrNone(row, kPlanStream) + ", type " + TextOrNone(row, kPlanType) + ": " + refusal->reason;
			checked->first_to_do = refusal->to_do;
		}
	});
}

void
RequireAllTaken(const ImportSource &source, const Checked &checked) {
	if (checked.counts.refused > 0) {
		const bool ends = checked.first_refusal.back() == '.';
		throw DomainError(sqlstate::kInvalidParameter,
		                  std::to_string(checked.counts.refused) + (checked.counts.refused == 1 ? " event of " : " events of ") + source.name +
		                      " cannot be imported",
		                  checked.first_refusal + (ends ? "" : ".") + " Nothing was imported.",
		                  checked.first_to_do + " events.rehearse_import shows them all.");
	}
}

int64
RecordRun(const ImportSource &source, const Checked &checked) {
	const char *caller = Call([] { return static_cast<const char *>(GetUserNameFromId(GetUserId(), false)); });
	const Tally all = checked.tallies.All();
	const auto rows = QueryAsOwner(
		"INSERT INTO auren.import_runs (run, source, kind, called_by, started_at, events, imported, changed, digest) SELECT "
		"greatest((SELECT max(run) FROM auren.import_runs), (SELECT max(run) FROM auren.import_changes), 0) + 1, $1, $2, $3, clock_timestamp(), "
		"$4::bigint, $5::bigint, $6::bigint, decode($7, 'hex') RETURNING run",
		{source.name, source.kind, caller, std::to_string(checked.counts.events), std::to_string(checked.counts.events - checked.counts.stored),
	     std::to_string(checked.counts.changed), Hex(BytesOf(all.sum()))});
	return std::stoll(*rows[0][0]);
}

/*
 * Events of one tenant on their way into the store, by the way of events.import_events.
 */
class Batch {
  public:
	explicit Batch(int64 run) : run_(run) {
	}

	bool
	IsEmpty() const {
		return rows_.empty();
	}
	bool
	IsOf(const FetchedRow &row) const {
		return tenant_ == TextBytes(row.values[kPlanTenant]);
	}
	void Add(const FetchedRow &row);
	void Write();

  private:
	void WriteReport(const FetchedRow &row, int64 position, const std::string &changes) const;

	int64 run_;
	std::string tenant_;
	std::vector<FetchedRow> rows_;
	AppendRequest request_;
	ImportedEvents events_;
};

void
Batch::Add(const FetchedRow &row) {
	if (rows_.empty()) {
		tenant_ = TextBytes(row.values[kPlanTenant]);
	}
	rows_.push_back(row);
	AddElement(&request_, {TextOf(row.values[kPlanStream]), TextOf(row.values[kPlanType]), JsonbOf(row.values[kPlanData]),
	                       JsonbOf(row.values[kPlanMetadata]), EventIdOf(row.values[kPlanId]), TagSet{NoTags(), {nullptr, 0}}});
	events_.created_by.push_back(TextOf(row.values[kPlanCreator]).datum);
	events_.elements.push_back({DatumGetTimestampTz(row.values[kPlanTime]), TextBytes(events_.created_by.back())});
}

void
Batch::Write() {
	if (rows_.empty()) {
		return;
	}
	const char *tenant = tenant_.c_str();
	Call([&] { (void)set_config_option("app.tenant_id", tenant, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false); });
	request_.import = &events_;
	const std::vector<AppendedEvent> appended = Append(request_);
	for (std::size_t i = 0; i < appended.size(); i++) {
		if (appended[i].version != DatumGetInt64(rows_[i].values[kPlanVersion])) {
			throw DomainError(sqlstate::kSerializationFailure, "somebody else imported events of stream " + TextOrNone(rows_[i], kPlanStream),
			                  "It is at another version than it was when this call began.", "Call again: it goes on with what is not there.");
		}
		const std::string changes = ChangesOf(rows_[i]);
		if (!changes.empty()) {
			WriteReport(rows_[i], appended[i].position, changes);
		}
	}
	rows_.clear();
	request_ = AppendRequest();
	events_ = ImportedEvents();
}

void
Batch::WriteReport(const FetchedRow &row, int64 position, const std::string &changes) const {
	const char *reason = changes.c_str();
	Call([&](Server server) {
		const Datum values[11] = {Int64GetDatum(run_),         Int64GetDatum(position), row.values[kPlanTenant],    row.values[kPlanStream],
		                          row.values[kPlanOldVersion], row.values[kPlanOldId],  row.values[kPlanOldTime],   row.values[kPlanVersion],
		                          row.values[kPlanId],         row.values[kPlanTime],   CStringGetTextDatum(reason)};
		const bool isnull[11] = {false, false, false, false, row.isnull[kPlanOldVersion], row.isnull[kPlanOldId], false, false, false, false, false};
		Relation heap = table_open(own::import_changes.Get(server), RowExclusiveLock);
		InsertRow(server, heap, values, isnull);
		table_close(heap, NoLock);
	});
}

/*
 * The import itself: batches of consecutive rows. A transaction writes to as many months as a call of events.import_events may.
 */
class Importing {
  public:
	Importing(ImportCursor *cursor, int64 run, int64 total) : cursor_(cursor), total_(total), batch_(run) {
	}

	// Imports the next rows in transactions of their own; false after the last one.
	bool Step(Procedure *procedure, int count);

  private:
	// As many rows as one transaction takes, from row `from` on.
	int Write(int from, int rows);

	ImportCursor *cursor_;
	int64 total_;
	int64 done_ = 0;
	Batch batch_;
};

int
Importing::Write(int from, int rows) {
	std::set<int32> months;
	int row = from;
	for (; row < rows; row++) {
		const FetchedRow next = cursor_->Row(row);
		if (DatumGetBool(next.values[kPlanStored])) {
			continue;
		}
		months.insert(Month::FromMicros(DatumGetTimestampTz(next.values[kPlanTime])).index());
		if (months.size() > ImportPlan::kMostMonths) {
			break;
		}
		if (!batch_.IsEmpty() && !batch_.IsOf(next)) {
			batch_.Write();
		}
		batch_.Add(next);
	}
	batch_.Write();
	return row;
}

bool
Importing::Step(Procedure *procedure, int count) {
	int rows = 0;
	int written = 0;
	do {
		procedure->Do([&] {
			Call([] { AUREN_WAIT_POINT("import-batch"); });
			Report(WorkPhase::kImporting, total_, done_);
			if (written == 0) {
				rows = cursor_->Fetch(count);
			}
			MemoryContext before = MemoryContextSwitchTo(cursor_->context());
			const int first = written;
			written = Write(written, rows);
			MemoryContextSwitchTo(before);
			done_ += written - first;
		});
	} while (written < rows);
	return rows > 0;
}

// The first event in which the store differs from the source, as a sentence.
std::string
FirstDifference(const ImportSource &source, const std::string &tenant) {
	ImportCursor cursor(DifferencesQuery(source), tenant, Kept::kInTransaction);
	std::string found;
	while (found.empty() && cursor.Fetch(1) > 0) {
		const FetchedRow row = cursor.Row(0);
		const Borrowed names[3] = {TextOf(row.values[0]).name.bytes, TextOf(row.values[1]).name.bytes, TextOf(row.values[3]).name.bytes};
		// what a rule encrypts differs as it has to
		if (!DatumGetBool(row.values[4]) || !IsPersonal({names[0], names[1], names[2]})) {
			found = "The first event that differs is version " + std::to_string(DatumGetInt64(row.values[2])) + " of stream \"" +
			        std::string(names[1]) + "\" of tenant \"" + std::string(names[0]) + "\".";
		}
	}
	cursor.Close();
	return found;
}

std::string
Sides(const Tally &source, const Tally &store) {
	return std::to_string(source.events()) + " events and " + Hex(BytesOf(source.sum())) + " of the source, " + std::to_string(store.events()) +
	       " and " + Hex(BytesOf(store.sum())) + " of the store";
}

// Throws XX001 for the first tenant whose events differ.
void
RequireEqual(const ImportSource &source, const std::string &tenant, const ImportTallies &wanted, const ImportTallies &found) {
	for (const auto &[name, tally] : wanted.tenants()) {
		const auto other = found.tenants().find(name);
		const Tally stored = other == found.tenants().end() ? Tally() : other->second;
		if (tally == stored) {
			continue;
		}
		const std::string first = FirstDifference(source, tenant);
		throw DomainError("XX001", "the events of tenant \"" + name + "\" differ from those of " + source.name,
		                  (first.empty() ? "Rows of the source were changed or taken away meanwhile, or events of the store are gone." : first) +
		                      " " + Sides(tally, stored) + ".",
		                  "The old table must only grow while it is imported. Compare what both sides say of the stream before you use the store.");
	}
}

void
ShowEqual(const ImportTallies &tallies) {
	std::size_t shown = 0;
	for (const auto &[name, tally] : tallies.tenants()) {
		if (shown++ == kShownTenants) {
			break;
		}
		const char *tenant = name.c_str();
		const std::string digest = Hex(BytesOf(tally.sum()));
		const char *hex = digest.c_str();
		const auto events = static_cast<long long>(tally.events());
		Call([&] { ereport(NOTICE, (errmsg("tenant \"%s\": %lld events, equal on both sides, digest %s", tenant, events, hex))); });
	}
	if (tallies.tenants().size() > kShownTenants) {
		const auto more = static_cast<long long>(tallies.tenants().size() - kShownTenants);
		Call([&] { ereport(NOTICE, (errmsg("and %lld tenants more, equal on both sides", more))); });
	}
}

void
CompareSides(const ImportSource &source, const std::string &tenant, const ImportTallies &wanted) {
	ImportTallies found;
	ImportCursor cursor(ImportedEventsQuery(source), tenant, Kept::kInTransaction);
	ForEachRow(&cursor, WorkPhase::kImportComparing, wanted.All().events(), [&](const FetchedRow &row) {
		EventRow event;
		std::copy_n(row.values, static_cast<int>(kEventColumns), event.values);
		found.Add(event);
	});
	cursor.Close();
	RequireEqual(source, tenant, wanted, found);
	ShowEqual(wanted);
}

// What was done, or would be.
void
ShowCounts(const ImportSource &source, const ImportCounts &counts, const char *imported, const char *refused) {
	const std::string text = source.name + " (" + source.kind + "): " + std::to_string(counts.events) + " events, " + std::to_string(counts.stored) +
	                         " of them were there, " + std::to_string(counts.events - counts.stored - counts.refused) + " " + imported + ", " +
	                         std::to_string(counts.changed) + " of those changed" +
	                         (counts.refused == 0 ? "" : ", " + std::to_string(counts.refused) + refused);
	const char *message = text.c_str();
	Call([&] { ereport(NOTICE, (errmsg_internal("%s", message))); });
}

} // namespace

ImportCounts
RehearseImport(const ImportSource &source, const std::function<void(const FetchedRow &, const std::optional<ImportRefusal> &)> &visit) {
	ImportCounts counts;
	const ImportCheck check;
	ImportCursor cursor(ImportPlanQuery(source), std::string(CurrentTenantId()), Kept::kInTransaction);
	ForEachRow(&cursor, WorkPhase::kImportChecking, 0, [&](const FetchedRow &row) {
		const auto refusal = check.Look(row);
		const std::string changes = NewChangesOf(row);
		Count(&counts, row, changes, refusal);
		if (refusal || !changes.empty()) {
			visit(row, refusal);
		}
	});
	cursor.Close();
	ShowCounts(source, counts, "would be imported", " would be refused");
	return counts;
}

void
ImportStore(Procedure *procedure, Oid table, const std::optional<std::string> &kind, int batch) {
	const ImportLock lock;
	const std::string tenant(CurrentTenantId());
	ImportSource source;
	std::optional<ImportCursor> cursor;
	std::optional<OuterProgress> outer;
	try {
		procedure->Do([&] {
			Report(WorkPhase::kImportChecking, 0, 0);
			outer.emplace();
			source = FindImportSource(table, kind);
			cursor.emplace(ImportPlanQuery(source), tenant, Kept::kOverCommits);
		});
	} catch (const Error &error) {
		SayHowToFindValue(error.report); // the commit reads all rows
		throw;
	}
	Checked checked;
	int64 run = 0;
	procedure->Do([&] {
		CheckAll(&*cursor, &checked);
		RequireAllTaken(source, checked);
		cursor->Rewind();
		run = RecordRun(source, checked);
	});
	Importing importing(&*cursor, run, checked.counts.events);
	while (importing.Step(procedure, batch)) {
	}
	cursor->Close();
	procedure->Do([&] {
		CompareSides(source, tenant, checked.tallies);
		(void)QueryAsOwner("UPDATE auren.import_runs SET finished_at = clock_timestamp() WHERE run = $1::bigint", {std::to_string(run)});
		ShowCounts(source, checked.counts, "were imported", "");
	});
}

} // namespace auren::pg

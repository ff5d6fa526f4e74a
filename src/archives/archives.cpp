#include "archives/archives.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "archives/archive_load.hpp"
#include "archives/archive_seals.hpp"
#include "archives/archive_source.hpp"
#include "core/archives/event_line_reader.hpp"
#include "core/error.hpp"
#include "months/month_locks.hpp"
#include "months/steps.hpp"
#include "server/lock_classes.hpp"
#include "server/progress.hpp"
#include "store/kept_objects.hpp"
#include "store/months.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

// No month is dropped before the end of this transaction, and no other works at an archive of this month.
void
LockArchiveOf(Month month) {
	const auto day = static_cast<uint32>(month.index() + 1000000); // 0 is the lock of drops
	Call([&] {
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kOperationsLockClass);
		(void)LockAcquire(&tag, RowShareLock, false, false);
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, day, 0, kOperationsLockClass);
		(void)LockAcquire(&tag, ExclusiveLock, false, false);
		AcceptInvalidationMessages();
	});
}

WholeArchive
ReadWhole(const std::string &path) {
	LineReader lines(path);
	ArchiveReader reader(&lines);
	std::string_view line;
	int64 events = 0;
	Call([&](Server server) { BeginProgress(server, WorkPhase::kArchiveChecking, reader.manifest().events); });
	while (reader.Next(&line)) {
		events++;
		Call([&](Server server) { ReportProgress(server, events); });
	}
	const WholeArchive archive = {reader.manifest(), reader.trailer()};
	lines.Close();
	return archive;
}

// What a file that is there holds, where it may be left or written anew.
std::optional<WholeArchive>
ReadExisting(Month month, const std::string &path) {
	if (!FileExists(path)) {
		return std::nullopt;
	}
	std::string detail;
	try {
		WholeArchive archive = ReadWhole(path);
		if (archive.manifest.month == month) {
			return archive;
		}
		detail = "It is the archive of " + MonthText(archive.manifest.month) + ".";
	} catch (const DomainError &error) {
		detail = "It is no whole archive: " + error.message() + ". " + error.detail();
	}
	throw DomainError("58P02", "file \"" + path + "\" exists and is not an archive of " + MonthText(month), detail,
	                  "Give another name, or remove it.");
}

// Reads the month, and writes it where there is somewhere to write.
ArchiveTrailer
CopyMonth(ArchiveSource *source, LineWriter *writer) {
	if (writer != nullptr) {
		writer->Write(ManifestLine(source->manifest()));
	}
	while (source->Next()) {
		if (writer != nullptr) {
			writer->Write(source->line());
		}
	}
	ArchiveTrailer trailer = source->Trailer();
	if (writer != nullptr) {
		writer->Write(TrailerLine(trailer));
	}
	return trailer;
}

WrittenArchive
WriteNew(Month month, const std::string &path, Compression compression) {
	ArchiveSource source(month);
	LineWriter writer(path, compression);
	const ArchiveTrailer trailer = CopyMonth(&source, &writer);
	source.End();
	return {trailer.events, writer.Finish(), trailer.sha256, true};
}

// Whether the file has the month's events. Throws 58P02 where it has others. Its seals may be older.
bool
HoldsSame(Month month, const std::string &path, const WholeArchive &existing) {
	ArchiveSource source(month);
	const ArchiveTrailer trailer = CopyMonth(&source, nullptr);
	source.End();
	if (trailer.sha256 != existing.trailer.sha256) {
		throw DomainError("58P02", "file \"" + path + "\" exists and holds other events",
		                  "It has " + std::to_string(existing.trailer.events) + " events of " + MonthText(month) + ", the store has " +
		                      std::to_string(trailer.events) + "; the digests differ.",
		                  "Give another name. Where events were imported after it was written, it is to be written anew; where none were, call "
		                  "events.verify.");
	}
	return DifferenceOfSeals(existing.manifest.seals, source.manifest().seals).empty();
}

void
NoteKept(const std::string &path) {
	const char *name = path.c_str();
	Call([&] { ereport(NOTICE, (errmsg("file \"%s\" is a whole archive of these events and is left as it is", name))); });
}

// ---- attaching -----------------------------------------------------------------------------------------------------------

// What auren.month_records says.
struct Recorded {
	bool known = false;
	bool dropped = false;
	bool attached = false;
	std::string events; // as texts; empty: not known
	std::string first_position;
	std::string last_position;
	std::string sha256;
};

Recorded
RecordOf(Month month) {
	Recorded recorded;
	for (const TextRow &row : QueryAsOwner("SELECT dropped_at IS NOT NULL, attached_at IS NOT NULL, events, first_position, last_position, "
	                                       "encode(archive_digest, 'hex') FROM auren.month_records WHERE month = $1::date",
	                                       {DateText(month)})) {
		recorded = {true, *row[0] == "t", *row[1] == "t", row[2].value_or(""), row[3].value_or(""), row[4].value_or(""), row[5].value_or("")};
	}
	return recorded;
}

void
RequireDropped(Month month, const Recorded &recorded) {
	if (recorded.attached) {
		throw DomainError(sqlstate::kNotInState, "the archive of " + MonthText(month) + " is attached already", "Its events are there to be read.",
		                  "events.detach_archive takes them away again.");
	}
	if (!recorded.dropped) {
		throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " was not dropped",
		                  "An archive brings back a month that events.drop_months_before dropped, and no other.",
		                  "events.import_events brings events of another store.");
	}
}

[[noreturn]] void
ThrowOtherStore(Month month, const std::string &detail) {
	throw DomainError(sqlstate::kNotInState, "this is not the archive of " + MonthText(month) + " of this store", detail,
	                  "Give the file that was written last, before the month was dropped; events.months names it.");
}

/*
 * Whether the archive is of this store: by the seals of the month, where it is sealed, else by the digest that was noted when it was written, else by
 * the epoch, which a restore and a promotion change.
 */
void
RequireOfThisStore(const ArchiveManifest &manifest, const Recorded &recorded) {
	const std::vector<ArchivedSeal> seals = SealsOfMonth(manifest.month);
	const std::string difference = DifferenceOfSeals(manifest.seals, seals);
	if (!difference.empty()) {
		ThrowOtherStore(manifest.month, difference);
	}
	const auto differs = [&](const std::string &noted, std::int64_t given, const char *what) {
		if (!noted.empty() && noted != std::to_string(given)) {
			ThrowOtherStore(manifest.month, std::string("Its ") + what + std::to_string(given) + ", and " + noted + " when the month was dropped.");
		}
	};
	differs(recorded.events, manifest.events, "number of events is ");
	if (manifest.events > 0) {
		differs(recorded.first_position, manifest.first_position, "first position is ");
		differs(recorded.last_position, manifest.last_position, "last position is ");
	}
	const std::string epoch = StoreEpochText();
	if (seals.empty() && recorded.sha256.empty() && manifest.store_epoch != epoch) {
		ThrowOtherStore(manifest.month,
		                "Its epoch is " + manifest.store_epoch + ", the store's is " + epoch + "; no seal and no digest of the month says more.");
	}
}

// Fills the month's tables. What comes in is what was sealed and what was written, or an error.
AttachedMonth
LoadArchive(ArchiveReader *reader, const UnattachedMonth &tables, const Recorded &recorded) {
	const Month month = reader->manifest().month;
	SealedLines sealed(SealsOfMonth(month));
	MonthLoad load;
	Call([&](Server server) {
		BeginProgress(server, WorkPhase::kArchiveReading, reader->manifest().events);
		BeginLoad(server, &load, month, tables);
	});
	EventOfLine event;
	std::string_view line;
	int64 last = 0;
	int64 events = 0;
	while (reader->Next(&line)) {
		ReadEventLine(line, &event);
		if (event.global_position <= last) {
			throw DomainError(kBadArchive, "events of the archive are not in order",
			                  "Position " + std::to_string(event.global_position) + " comes after " + std::to_string(last) + ".",
			                  "Fetch the file again from where it was written to.");
		}
		last = event.global_position;
		sealed.Add(last, line);
		LoadEvent(&load, event, line.size());
		events++;
		Call([&](Server server) { ReportProgress(server, events); });
	}
	sealed.Finish();
	Call([](Server server) { BeginProgress(server, WorkPhase::kArchiveIndexing, 0); });
	if (sealed.unsealed() > 0 && !recorded.sha256.empty() && recorded.sha256 != reader->trailer().sha256) {
		ThrowOtherStore(month, "The SHA-256 of its events is " + reader->trailer().sha256 + ", and that of the archive that was noted is " +
		                           recorded.sha256 + ".");
	}
	Call([&](Server server) { EndLoad(server, &load); });
	return {month, events, recorded.sha256.empty() ? sealed.unsealed() : 0};
}

// Whoever inserts is refused: rows come in before the trigger is there.
std::string
ReadOnlyScript(Month month) {
	const std::string table = std::string("events.event_store_") + month.Suffix();
	return "CREATE TRIGGER refuse_insert BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION auren.refuse_archive_insert();ALTER TABLE " +
	       table + " ENABLE ALWAYS TRIGGER refuse_insert;ANALYZE " + table + ";";
}

void
NoteUnsealed(const AttachedMonth &attached) {
	const std::string month = MonthText(attached.month);
	const char *name = month.c_str();
	const auto count = static_cast<long long>(attached.unsealed);
	Call([&] {
		ereport(NOTICE, (errmsg("no seal and no digest vouches for %lld events of %s", count, name),
		                 errdetail("They are as many as were dropped, and the archive is whole.")));
	});
}

void
NoteArchive(Month month, const std::string &archive, const std::string &sha256) {
	(void)QueryAsOwner("INSERT INTO auren.month_records AS r (month, archived_at, archive, archive_digest) VALUES ($1::date, clock_timestamp(), $2, "
	                   "decode($3, 'hex')) ON CONFLICT (month) DO UPDATE SET archived_at = excluded.archived_at, archive = excluded.archive, "
	                   "archive_digest = excluded.archive_digest",
	                   {DateText(month), archive, sha256});
}

/*
 * What was dropped can no longer be compared with an archive. If any were believed that is noted afterwards, events.attach_archive would bring back
 * what somebody wrote.
 */
[[noreturn]] void
ThrowNotKnown(Month month, const std::string &noted) {
	throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " was dropped, and this archive of it is not known",
	                  noted.empty() ? "No archive of it was noted before." : "The SHA-256 of the archive that was noted is " + noted + ".",
	                  "Another place can be noted for the same archive. events.attach_archive takes an archive without a note, by the month's seals "
	                  "and figures.");
}

} // namespace

WrittenArchive
WriteArchive(Month month, const std::string &path, Compression compression) {
	Call([] { PreventCommandIfReadOnly("events.archive_month()"); });
	LockArchiveOf(month);
	const std::optional<WholeArchive> existing = ReadExisting(month, path);
	WrittenArchive written = {0, 0, "", false};
	if (existing && HoldsSame(month, path, *existing)) {
		written.events = existing->trailer.events;
		written.sha256 = existing->trailer.sha256;
		NoteKept(path);
	} else {
		written = WriteNew(month, path, compression);
	}
	NoteArchive(month, path, written.sha256);
	return written;
}

void
RecordArchive(Month month, const std::string &archive, const std::string &sha256) {
	Call([] { PreventCommandIfReadOnly("events.record_archive()"); });
	const bool there = Call([&](Server server) {
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		const bool found = OidIsValid(FindPartition(server, events, month.StartMicros()).relid);
		table_close(events, NoLock);
		return found;
	});
	const Recorded recorded = RecordOf(month);
	if (!there && !recorded.known) {
		throw DomainError(sqlstate::kUndefinedObject, "month " + MonthText(month) + " is not one of the store",
		                  "No partition of events.event_store holds it, and none was dropped.", "The view events.months shows the months.");
	}
	if (recorded.dropped && recorded.sha256 != sha256) {
		ThrowNotKnown(month, recorded.sha256);
	}
	NoteArchive(month, archive, sha256);
}

AttachedMonth
AttachArchive(LineSource *lines, const std::string &name) {
	Call([] { PreventCommandIfReadOnly("events.attach_archive()"); });
	ArchiveReader reader(lines);
	const Month month = reader.manifest().month;
	LockArchiveOf(month);
	const Recorded recorded = RecordOf(month);
	RequireDropped(month, recorded);
	RequireOfThisStore(reader.manifest(), recorded);
	const AttachedMonth attached = LoadArchive(&reader, MakeUnattachedMonth(month), recorded);
	// before it: sessions that read the list of months anew ask which are archives
	(void)QueryAsOwner("UPDATE auren.month_records SET attached_at = clock_timestamp(), archive = coalesce(archive, $2) WHERE month = $1::date",
	                   {DateText(month), name});
	AttachFilledMonth(month, ReadOnlyScript(month));
	Call([](Server server) { EndProgress(server); });
	if (attached.unsealed > 0) {
		NoteUnsealed(attached);
	}
	return attached;
}

void
DetachArchive(Month month) {
	Call([] { PreventCommandIfReadOnly("events.detach_archive()"); });
	LockArchiveOf(month);
	if (!RecordOf(month).attached) {
		throw DomainError(sqlstate::kNotInState, "no archive of " + MonthText(month) + " is attached",
		                  "What is there of the month, if anything, are its own events.", "CALL events.drop_months_before(...) drops months.");
	}
	const DroppedTables tables = Call([&](Server server) {
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		const Oid relid = FindPartition(server, events, month.StartMicros()).relid;
		table_close(events, AccessShareLock);
		return DroppedTables{relid, FindTagMonth(server, month)};
	});
	const int64 end = GetCurrentTimestamp() + DropPatience();
	while (!Call([&](Server server) { return TryLockTables(server, tables); })) {
		if (GetCurrentTimestamp() >= end) {
			throw DomainError("55P03", "the archive of " + MonthText(month) + " could not be taken away: it is in use", DescribeHolders(tables),
			                  "Call again when they have ended.");
		}
		Pause(kPauseMilliseconds);
	}
	DropMonthTables("events.event_store_" + month.Suffix(), month, tables);
	(void)QueryAsOwner("UPDATE auren.month_records SET attached_at = NULL WHERE month = $1::date", {DateText(month)});
}

} // namespace auren::pg

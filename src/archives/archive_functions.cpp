// Archives of months: events.archive_lines, archive_month, record_archive, attach_archive, attach_archive_lines, detach_archive.

#include "archives/archive_functions.hpp"

#include <new>
#include <string>

#include "access/own_query.hpp"
#include "archives/archive_source.hpp"
#include "archives/archives.hpp"
#include "archives/table_lines.hpp"
#include "core/error.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// Throws 22023 where the argument is not the first day of a month: an archive holds a whole one.
Month
MonthArgument(FunctionCallInfo fcinfo, int argument) {
	pg::RequireNotNull(fcinfo, argument, "p_month");
	const DateADT day = PG_GETARG_DATEADT(argument);
	constexpr int kFarthestDay = 3000000; // about 8200 years
	if (DATE_NOT_FINITE(day) || day < -kFarthestDay / 4 || day > kFarthestDay || Month::FromDays(day).StartDays() != day) {
		throw DomainError(sqlstate::kInvalidParameter, "p_month must be the first day of a month", "An archive holds a whole month (UTC).",
		                  "Give DATE '2026-01-01' for January 2026.");
	}
	return Month::FromDays(day);
}

std::string
StringArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	return std::string(pg::TextArgument(fcinfo, argument, parameter).name.bytes);
}

pg::Compression
CompressionArgument(FunctionCallInfo fcinfo, int argument) {
	const std::string name = StringArgument(fcinfo, argument, "p_compression");
	if (name != "gzip" && name != "none") {
		throw DomainError(sqlstate::kInvalidParameter, "p_compression must be gzip or none", "It is \"" + name + "\".",
		                  "For another kind write the lines by scripts/archive_month or events.archive_lines through a program of yours.");
	}
	return name == "gzip" ? pg::Compression::kGzip : pg::Compression::kNone;
}

// ---- events.archive_lines ------------------------------------------------------------------------------------------------

enum class Part { kManifest, kEvents, kDone };

// The rows of the function. What is C++ in it ends with its memory context, after an error too.
struct LinesSource {
	pg::RowSource base;
	MemoryContext each; // for the row
	Part part;
	pg::ArchiveSource *archive;
	MemoryContextCallback callback;
};

// Returns the next line and goes on; nothing after the trailer.
std::optional<std::string>
NextText(LinesSource *source) {
	switch (source->part) {
	case Part::kManifest:
		source->part = Part::kEvents;
		return ManifestLine(source->archive->manifest());
	case Part::kEvents:
		if (source->archive->Next()) {
			return source->archive->line();
		}
		source->part = Part::kDone;
		return TrailerLine(source->archive->Trailer());
	case Part::kDone:
		break;
	}
	return std::nullopt;
}

bool
NextOfLines(Server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<LinesSource *>(base);
	bool found = false;
	(void)pg::Entry([&]() -> Datum {
		const std::optional<std::string> utf8 = NextText(source);
		found = utf8.has_value();
		if (found) {
			const std::string text = pg::FromUtf8(*utf8);
			const char *bytes = text.data();
			const int length = static_cast<int>(text.size());
			values[0] = Call([&] {
				MemoryContextReset(source->each);
				MemoryContext before = MemoryContextSwitchTo(source->each);
				const Datum line = PointerGetDatum(cstring_to_text_with_len(bytes, length));
				MemoryContextSwitchTo(before);
				return line;
			});
			isnull[0] = false;
		}
		return 0;
	});
	return found;
}

void
EndOfLines(Server, pg::RowSource *base) {
	(void)pg::Entry([&]() -> Datum {
		reinterpret_cast<LinesSource *>(base)->archive->End();
		return 0;
	});
}

} // namespace

pg::RowSource *
OpenArchiveLines(FunctionCallInfo fcinfo, Snapshot, ScanDirection) {
	pg::RequireMayArchive();
	const Month month = MonthArgument(fcinfo, 0);
	auto *source = Call([&] {
		auto *made = static_cast<LinesSource *>(palloc0(sizeof(LinesSource)));
		made->base = {NextOfLines, EndOfLines};
		made->each = AllocSetContextCreate(CurrentMemoryContext, "auren_events line", ALLOCSET_DEFAULT_SIZES);
		made->archive = static_cast<pg::ArchiveSource *>(palloc(sizeof(pg::ArchiveSource)));
		return made;
	});
	new (source->archive) pg::ArchiveSource(month);
	source->callback.func = [](void *archive) {
		static_cast<pg::ArchiveSource *>(archive)->~ArchiveSource();
	};
	source->callback.arg = source->archive;
	Call([&] { MemoryContextRegisterResetCallback(CurrentMemoryContext, &source->callback); });
	return &source->base;
}

AUREN_FUNCTION(auren_archive_lines) {
	return pg::Materialize(fcinfo, OpenArchiveLines);
}

// ---- files of the server, and what clients send -----------------------------------------------------------------------------

AUREN_FUNCTION(auren_archive_month) {
	pg::RequireMayArchive();
	const Month month = MonthArgument(fcinfo, 0);
	const std::string path = StringArgument(fcinfo, 1, "p_file");
	const pg::Compression compression = CompressionArgument(fcinfo, 2);
	pg::RequireMayWriteFile(path);
	const pg::WrittenArchive written = pg::WriteArchive(month, path, compression);
	const char *sha256 = written.sha256.c_str();
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	Call([&](Server server) {
		const Datum values[4] = {Int64GetDatum(written.events), Int64GetDatum(written.bytes), CStringGetTextDatum(sha256),
		                         BoolGetDatum(written.written)};
		const bool isnull[4] = {false, !written.written, false, false};
		pg::PutRow(server, rows, values, isnull);
	});
	return 0;
}

AUREN_FUNCTION(auren_record_archive) {
	pg::RequireMayArchive();
	const Month month = MonthArgument(fcinfo, 0);
	const std::string archive = StringArgument(fcinfo, 1, "p_archive");
	const std::string sha256 = StringArgument(fcinfo, 2, "p_sha256");
	if (sha256.size() != 2 * kDigestBytes || sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
		throw DomainError(sqlstate::kInvalidParameter, "p_sha256 must be 64 hexadecimal digits", "It is \"" + sha256 + "\".",
		                  "Give \"sha256\" of the archive's last line.");
	}
	pg::RecordArchive(month, archive, sha256);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_attach_archive) {
	pg::RequireMayArchive();
	const std::string path = StringArgument(fcinfo, 0, "p_file");
	pg::RequireMayReadFile(path);
	pg::LineReader lines(path);
	const pg::AttachedMonth attached = pg::AttachArchive(&lines, path);
	lines.Close();
	return Int64GetDatum(attached.events);
}

AUREN_FUNCTION(auren_attach_archive_lines) {
	pg::RequireMayArchive();
	pg::RequireNotNull(fcinfo, 0, "p_lines");
	pg::TableLines lines(PG_GETARG_OID(0));
	const pg::AttachedMonth attached = pg::AttachArchive(&lines, lines.name());
	lines.Close();
	return Int64GetDatum(attached.events);
}

AUREN_FUNCTION(auren_detach_archive) {
	pg::RequireMayArchive();
	pg::DetachArchive(MonthArgument(fcinfo, 0));
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_refuse_archive_insert) {
	if (!CALLED_AS_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.refuse_archive_insert is a trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE TRIGGER.");
	}
	const auto *trigger = reinterpret_cast<const TriggerData *>(fcinfo->context);
	// logical replication copies an attached month as it is
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA) {
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	throw DomainError(sqlstate::kNotInState, "a month that was attached of its archive takes no events",
	                  "Table \"" + std::string(RelationGetRelationName(trigger->tg_relation)) + "\" is there to be read.",
	                  "Its streams go on in the months after those that were dropped.");
}

} // namespace auren

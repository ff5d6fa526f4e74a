#include "state/state.hpp"

#include <string>

#include "core/error.hpp"
#include "core/state/fold.hpp"
#include "core/state/json_patch.hpp"
#include "core/store/month.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "encrypted/kept_states.hpp"
#include "encrypted/personal_rules.hpp"
#include "server/guard.hpp"
#include "server/jsonb_writer.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "store/dropped_months.hpp"

namespace auren::pg {

namespace {

std::string
DescribeEvent(const EventRow &row, const Text &stream) {
	const char *id = Call([&] { return DatumGetCString(DirectFunctionCall1(uuid_out, row.values[kEventId])); });
	return "event " + std::string(id) + " (version " + std::to_string(DatumGetInt64(row.values[kStreamVersion])) + ") of stream \"" +
	       std::string(stream.name.bytes) + "\" cannot be applied to the state: ";
}

// An event on its way into the state.
struct Folded {
	const EventRow &row;
	const Text &stream;
	Datum stored; // its data as it is stored, where `row` has it decrypted; else 0
};

/*
 * The error of an event as the caller may print it: what was decrypted of a patch's operation is not in it, nor is the message that was
 * made of it. What the operation is without that is told.
 */
DomainError
WithoutSecrets(const DomainError &error, const Folded &event, const JsonHost &host) {
	const auto *patch = dynamic_cast<const PatchError *>(&error);
	if (patch == nullptr || event.stored == 0) {
		return error;
	}
	const std::string stored = DescribeOperation(JsonOf(event.stored), patch->operation(), host);
	const std::string &detail = error.detail();
	const bool same = detail.size() >= stored.size() && detail.compare(detail.size() - stored.size(), stored.size(), stored) == 0;
	if (same && stored.find("(encrypted)") == std::string::npos) {
		return error;
	}
	return DomainError(error.sqlstate().c_str(), "operation " + std::to_string(patch->operation()) + " of the patch cannot be applied",
	                   stored + " What was encrypted in it is not shown.");
}

void
Apply(Fold *fold, const Folded &event, const JsonHost &host) {
	try {
		fold->Apply(TextBytes(event.row.values[kEventType]), EventData(event.row.values[kEventData]));
	} catch (const DomainError &raised) {
		const DomainError error = WithoutSecrets(raised, event, host);
		const bool bad_patch = error.hint().empty() && error.sqlstate() == sqlstate::kInvalidParameter;
		throw DomainError(error.sqlstate().c_str(), DescribeEvent(event.row, event.stream) + error.message(), error.detail(),
		                  bad_patch ? "A reducer declared with {\"on_error\": \"skip\"} leaves such an event out." : error.hint());
	} catch (const Error &error) {
		// raised by a reducer's function; a cancel stays what it is
		if (ERRCODE_TO_CATEGORY(error.report->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION) {
			const std::string message = DescribeEvent(event.row, event.stream) + error.report->message;
			const char *text = message.c_str();
			ErrorData *report = error.report;
			Call([&] { report->message = pstrdup(text); });
		}
		throw;
	}
}

[[noreturn]] void
ThrowVersionIsGone(const Text &stream, int64 version, int64 first) {
	throw DomainError(sqlstate::kInvalidParameter,
	                  "the state of stream \"" + std::string(stream.name.bytes) + "\" at version " + std::to_string(version) +
	                      " cannot be made any more",
	                  "The months of its first events were dropped; the first version left is " + std::to_string(first) + ".",
	                  "Ask for that version or a later one.");
}

} // namespace

StateReader::StateReader(const Tenant &tenant, Snapshot snapshot, PersonalData personal)
	: tenant_(tenant), reducers_(DeclaredReducers()), personal_(personal) {
	Call([&](Server server) { BeginStreamScan(server, &scan_, snapshot); });
	use_snapshots_ = personal == PersonalData::kAsStored && !scan_.row_security &&
	                 Call([&](Server server) { return OpenSnapshots(server, &snapshots_, snapshot); });
}

Datum
StateReader::Decrypt(const Text &stream, Datum event_type, Datum data) {
	const EventNames event = {tenant_.id, stream.name.bytes, TextBytes(event_type)};
	json_.HoldDecrypted();
	if (personal_ != PersonalData::kDecryptedToKeep) {
		return OpenEvent(event, data, Audited::kAsSet);
	}
	for (const std::string &person : PersonsIn(event, data)) {
		persons_.insert(person);
	}
	return OpenEvent(event, data, Audited::kNo);
}

// Reads the part of the stream that comes after what `*result` holds into the fold.
void
StateReader::FoldEvents(const Text &stream, int64 to_version, Fold *fold, Reading *reading) {
	State *result = &reading->state;
	EventRow row;
	while (Call([&](Server server) { return NextEvent(server, &scan_, &row); })) {
		if (!scan_.row_security && DatumGetInt64(row.values[kStreamVersion]) != result->version + 1) {
			reading->events_missing = true;
			return;
		}
		Datum stored = 0;
		if (personal_ != PersonalData::kAsStored && IsPersonal({tenant_.id, stream.name.bytes, TextBytes(row.values[kEventType])})) {
			const Datum data = row.values[kEventData];
			stored = Call([&] { return JsonbPGetDatum(DatumGetJsonbPCopy(data)); });
			row.values[kEventData] = Decrypt(stream, row.values[kEventType], stored);
		}
		Apply(fold, {row, stream, stored}, json_);
		if (stored != 0) {
			pfree(DatumGetPointer(row.values[kEventData]));
			pfree(DatumGetPointer(stored));
		}
		result->version = DatumGetInt64(row.values[kStreamVersion]);
		result->event_time = DatumGetTimestampTz(row.values[kCreatedAt]);
		reading->folded++;
	}
	reading->events_missing = result->version < to_version && !scan_.row_security && scan_.row.found &&
	                          (result->version == 0 || Month::FromMicros(result->event_time) < Month::FromDays(scan_.row.last_month)) &&
	                          Call([&](Server server) { return LastMonthIsGone(server, scan_); });
}

void
StateReader::GoTo(const Text &stream, const State &from, int64 to_version) {
	StreamPart part = WholeStream(tenant_.text, stream.datum);
	part.from_version = from.version + 1;
	part.to_version = to_version;
	part.not_before = from.event_time;
	Call([&](Server server) { StartStream(server, &scan_, part); });
}

// The balance of decrypted events where it is asked for and opens, else the one of events as they were stored.
void
StateReader::StartAt(const Text &stream, const OpeningState &opening, Fold *fold) {
	if (opening.personal != 0) {
		const Audited audited = personal_ == PersonalData::kDecryptedToKeep ? Audited::kNo : Audited::kAsSet;
		const OpenedState opened = OpenKeptState({tenant_.id, stream.name.bytes, opening.version}, opening.personal, audited);
		if (opened.state != 0) {
			json_.HoldDecrypted();
			persons_.insert(opened.persons.begin(), opened.persons.end());
			fold->Start(JsonOf(opened.state));
			pfree(DatumGetPointer(opened.state));
			return;
		}
	}
	fold->Start(JsonOf(opening.state));
	pfree(DatumGetPointer(opening.state));
}

/*
 * Where the first month of the stream is gone, its opening balance is where the fold begins, unless a snapshot is newer. Throws 22023 where the
 * state is asked for at a version before it, 42501 under row security, which the balance does not know.
 */
void
StateReader::BeginAtOpening(const Text &stream, int64 to_version, Fold *fold, Reading *reading, Snapshot snapshot) {
	if (to_version <= reading->state.version || !Call([this](Server server) { return FirstMonthIsGone(server, scan_); })) {
		return;
	}
	if (scan_.row_security) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "the state of stream \"" + std::string(stream.name.bytes) + "\" is not for this role",
		                  "A policy on events.event_store applies to it, and the stream's opening balance is of events that the policy may hide.",
		                  "Read it as a role to which no policy applies.");
	}
	const OpeningParts parts = personal_ == PersonalData::kAsStored ? OpeningParts::kState : OpeningParts::kPersonal;
	const OpeningState opening = Call([&](Server server) { return ReadOpeningState(server, tenant_.text, stream.datum, snapshot, parts); });
	if (opening.version <= reading->state.version) {
		return;
	}
	if (opening.version > to_version) {
		if (!Call([this](Server server) { return FirstMonthIsArchive(server, scan_); })) {
			ThrowVersionIsGone(stream, to_version, opening.version);
		}
		// the events may be there again, up to that version
		reading->opening_version = opening.version;
		return;
	}
	StartAt(stream, opening, fold);
	reading->state = {opening.version, opening.event_time, 0};
	GoTo(stream, reading->state, to_version);
}

StateReader::Reading
StateReader::TryRead(const Text &stream, int64 to_version, Snapshot openings) {
	Fold fold(reducers_->set, Category(stream.name.bytes), &json_);
	Reading reading = {{0, PG_INT64_MIN, 0}, 0, false, 0};
	persons_.clear();
	State *result = &reading.state;
	if (use_snapshots_) {
		const StoredState stored =
			Call([&](Server server) { return ReadSnapshot(server, &snapshots_, tenant_.text, stream.datum, to_version, &reducers_->version); });
		if (stored.version > 0) {
			fold.Start(JsonOf(stored.state));
			Count(Work::kSnapshotHits);
			result->version = stored.version;
			result->event_time = stored.event_time;
			pfree(DatumGetPointer(stored.state));
		}
	}
	GoTo(stream, *result, to_version);
	BeginAtOpening(stream, to_version, &fold, &reading, openings);
	FoldEvents(stream, to_version, &fold, &reading);
	if (result->version < to_version && reading.opening_version > 0) {
		ThrowVersionIsGone(stream, to_version, reading.opening_version);
	}
	if (!reading.events_missing) {
		result->state = WriteJsonb(fold.state());
	}
	return reading;
}

State
StateReader::Read(const Text &stream, int64 to_version) {
	Count(Work::kStatesRead);
	Reading reading = TryRead(stream, to_version, scan_.snapshot);
	if (reading.events_missing && IsolationUsesXactSnapshot()) {
		throw DomainError(sqlstate::kSerializationFailure, "could not read the state of stream \"" + std::string(stream.name.bytes) + "\"",
		                  "Events of it were dropped after this transaction's snapshot was taken.", "Retry the whole transaction.");
	}
	if (reading.events_missing) {
		// dropped after the statement's snapshot was taken: the balance is there by the newest one
		reading = TryRead(stream, to_version, nullptr);
	}
	if (reading.events_missing) {
		throw DomainError(sqlstate::kNotInState, "events of stream \"" + std::string(stream.name.bytes) + "\" are missing",
		                  "After version " + std::to_string(reading.state.version) + " the next one is not there: its month was detached or dropped.",
		                  "Attach it again. CALL events.drop_months_before(...) drops months and keeps what states need.");
	}
	Count(Work::kEventsFolded, reading.folded);
	const State &result = reading.state;
	const bool keep = use_snapshots_ && to_version == PG_INT64_MAX && SnapshotAfter() > 0 && reading.folded >= SnapshotAfter();
	if (keep) {
		Call([&](Server server) {
			const bool taken = MayTakeSnapshot() && TryWriteSnapshot(server, tenant_.text, stream.datum, result.version, result.event_time,
			                                                         &reducers_->version, result.state);
			Count(Work::kSnapshotsTaken, taken ? 1 : 0);
		});
	}
	return result;
}

void
StateReader::End() {
	Call([this](Server server) {
		if (use_snapshots_) {
			Close(server, snapshots_);
		}
		EndStreamScan(server, &scan_);
	});
}

} // namespace auren::pg

#include "state/state.hpp"

#include <string>

#include "core/error.hpp"
#include "core/state/fold.hpp"
#include "core/state/json_patch.hpp"
#include "core/store/names.hpp"
#include "encrypted/personal_rules.hpp"
#include "server/guard.hpp"
#include "server/jsonb_writer.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"

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

} // namespace

StateReader::StateReader(const Tenant &tenant, Snapshot snapshot, PersonalData personal)
	: tenant_(tenant), reducers_(DeclaredReducers()), personal_(personal) {
	Call([&](Server server) { BeginStreamScan(server, &scan_, snapshot); });
	use_snapshots_ = personal == PersonalData::kAsStored && !scan_.row_security &&
	                 Call([&](Server server) { return OpenSnapshots(server, &snapshots_, snapshot); });
}

State
StateReader::Read(const Text &stream, int64 to_version) {
	Fold fold(reducers_->set, Category(stream.name.bytes), &json_);
	State result = {0, PG_INT64_MIN, 0};
	if (use_snapshots_) {
		const StoredState stored =
			Call([&](Server server) { return ReadSnapshot(server, &snapshots_, tenant_.text, stream.datum, to_version, &reducers_->version); });
		if (stored.version > 0) {
			fold.Start(JsonOf(stored.state));
			result.version = stored.version;
			result.event_time = stored.event_time;
			pfree(DatumGetPointer(stored.state));
		}
	}
	StreamPart part = WholeStream(tenant_.text, stream.datum);
	part.from_version = result.version + 1;
	part.to_version = to_version;
	part.not_before = result.event_time;
	Call([&](Server server) { StartStream(server, &scan_, part); });
	EventRow row;
	int64 folded = 0;
	while (Call([&](Server server) { return NextEvent(server, &scan_, &row); })) {
		Datum stored = 0;
		const EventNames event = {tenant_.id, stream.name.bytes, TextBytes(row.values[kEventType])};
		if (personal_ == PersonalData::kDecrypted && IsPersonal(event)) {
			const Datum data = row.values[kEventData];
			stored = Call([&] { return JsonbPGetDatum(DatumGetJsonbPCopy(data)); });
			row.values[kEventData] = OpenEvent(event, stored, Audited::kAsSet);
			json_.HoldDecrypted();
		}
		Apply(&fold, {row, stream, stored}, json_);
		if (stored != 0) {
			pfree(DatumGetPointer(row.values[kEventData]));
			pfree(DatumGetPointer(stored));
		}
		result.version = DatumGetInt64(row.values[kStreamVersion]);
		result.event_time = DatumGetTimestampTz(row.values[kCreatedAt]);
		folded++;
	}
	result.state = WriteJsonb(fold.state());
	const bool keep = use_snapshots_ && to_version == PG_INT64_MAX && SnapshotAfter() > 0 && folded >= SnapshotAfter();
	if (keep) {
		Call([&](Server server) {
			(void)(MayTakeSnapshot() &&
			       TryWriteSnapshot(server, tenant_.text, stream.datum, result.version, result.event_time, &reducers_->version, result.state));
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

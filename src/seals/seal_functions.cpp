// Seals: events.seal, register_seal_key, verify.

#include <optional>
#include <string>
#include <vector>

#include "access/store_rows.hpp"
#include "core/error.hpp"
#include "core/seals/seal.hpp"
#include "seals/seal_key.hpp"
#include "seals/sealing.hpp"
#include "seals/verification.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "store/query.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// What a call of events.seal seals at most where the caller does not say: some seconds' work.
constexpr int64 kDefaultLimit = 1'000'000;

void
RequireWrite(const char *what) {
	Call([&] { PreventCommandIfReadOnly(what); });
}

int64
LimitOfSeal(FunctionCallInfo fcinfo) {
	if (PG_ARGISNULL(0)) {
		return kDefaultLimit;
	}
	const int64 limit = PG_GETARG_INT64(0);
	if (limit < 1) {
		throw DomainError(sqlstate::kInvalidParameter, "p_limit must be positive", "The limit given is " + std::to_string(limit) + ".",
		                  "NULL means 1,000,000 events.");
	}
	return limit;
}

} // namespace

AUREN_FUNCTION(auren_seal) {
	const int64 limit = LimitOfSeal(fcinfo);
	RequireWrite("events.seal()");
	pg::RequireUnbound("seal events", "A seal covers the events of all tenants.");
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	for (const Seal &seal : pg::SealEvents(limit)) {
		const int32 month = seal.month.StartDays();
		Call([&](Server server) {
			const Datum values[4] = {Int64GetDatum(seal.seal), DateADTGetDatum(month), Int64GetDatum(seal.events),
			                         Int64GetDatum(seal.up_to_position)};
			const bool isnull[4] = {};
			pg::PutRow(server, rows, values, isnull);
		});
	}
	return 0;
}

AUREN_FUNCTION(auren_register_seal_key) {
	pg::RequireNotNull(fcinfo, 0, "p_previous_lost");
	RequireWrite("events.register_seal_key()");
	pg::RequireUnbound("register a seal key", "It is one for all tenants.");
	const std::string id = pg::RegisterSealKey(PG_GETARG_BOOL(0) ? pg::PreviousKey::kIsLost : pg::PreviousKey::kEndorses);
	const char *text = id.c_str();
	return Call([&] { return CStringGetTextDatum(text); });
}

namespace {

std::optional<Month>
MonthArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	if (PG_ARGISNULL(argument)) {
		return std::nullopt;
	}
	const DateADT day = PG_GETARG_DATEADT(argument);
	if (DATE_NOT_FINITE(day)) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " is not a day", "It is infinite.", "NULL means all months.");
	}
	return Month::FromDays(day);
}

pg::VerifyPart
PartArgument(FunctionCallInfo fcinfo) {
	const pg::VerifyPart part = {MonthArgument(fcinfo, 0, "p_from"), MonthArgument(fcinfo, 1, "p_to"), PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2)};
	if (part.since_seal < 0 || (part.from && part.to && *part.to < *part.from)) {
		throw DomainError(sqlstate::kInvalidParameter, "there is nothing to verify", "p_to is before p_from, or p_since_seal is negative.",
		                  "events.verify() verifies all months and seals.");
	}
	return part;
}

void
PutFinding(const pg::Rows &rows, const pg::Finding &finding) {
	const std::string stream = pg::FromUtf8(finding.stream_id);
	const char *stream_id = stream.c_str();
	const char *detail = finding.detail.c_str();
	const char *id = finding.event_id.data();
	const int32 month = finding.month ? finding.month->StartDays() : 0;
	Call([&](Server server) {
		Datum values[6] = {};
		bool isnull[6] = {false, !finding.month, !finding.position, finding.event_id.empty(), finding.event_id.empty(), finding.detail.empty()};
		values[0] = CStringGetTextDatum(finding.problem);
		values[1] = DateADTGetDatum(month);
		values[2] = Int64GetDatum(finding.position.value_or(0));
		values[3] = PointerGetDatum(id);
		values[4] = CStringGetTextDatum(stream_id);
		values[5] = CStringGetTextDatum(detail);
		pg::PutRow(server, rows, values, isnull);
	});
}

// Operators see when the store was verified last; a standby, or a read-only transaction, writes nothing down.
void
RecordVerification(const pg::VerifyPart &part, const pg::Verified &verified) {
	const int32 from = part.from ? part.from->StartDays() : 0;
	const int32 to = part.to ? part.to->StartDays() : 0;
	Oid types[8] = {DATEOID, DATEOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum values[8] = {DateADTGetDatum(from),          DateADTGetDatum(to),
	                   Int64GetDatum(part.since_seal), Int64GetDatum(verified.last_seal),
	                   Int64GetDatum(verified.seals),  Int64GetDatum(verified.events),
	                   Int64GetDatum(verified.up_to),  Int64GetDatum(verified.findings)};
	char nulls[9] = "        ";
	nulls[0] = part.from ? ' ' : 'n';
	nulls[1] = part.to ? ' ' : 'n';
	Call([&](Server server) {
		if (!XactReadOnly && !RecoveryInProgress()) {
			(void)pg::ExecuteAsStore(
				server,
				"INSERT INTO auren.verifications (verified_at, verified_by, from_month, to_month, since_seal, last_seal, seals, events, "
				"up_to_position, findings, took) VALUES (pg_catalog.clock_timestamp(), session_user, $1, $2, $3, $4, $5, $6, $7, $8, "
				"pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.statement_timestamp())",
				8, types, values, nulls);
		}
		ereport(NOTICE, (errmsg("verified %lld seals and %lld events, sealed up to position %lld", static_cast<long long>(verified.seals),
		                        static_cast<long long>(verified.events), static_cast<long long>(verified.up_to))));
	});
}

} // namespace

AUREN_FUNCTION(auren_verify) {
	const pg::VerifyPart part = PartArgument(fcinfo);
	pg::RequireUnbound("verify the store", "A seal covers the events of all tenants.");
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	pg::AsStoreOwner owner;
	const pg::Verified verified = pg::VerifySeals(part, [&](const pg::Finding &finding) { PutFinding(rows, finding); });
	owner.SwitchBack();
	RecordVerification(part, verified);
	return 0;
}

} // namespace auren

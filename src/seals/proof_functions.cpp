// Proofs: events.event_line, prove, verify_proof.

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "access/store_rows.hpp"
#include "core/error.hpp"
#include "core/seals/merkle.hpp"
#include "core/seals/seal.hpp"
#include "core/seals/signing.hpp"
#include "seals/event_line.hpp"
#include "seals/month_leaves.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// An event of the session's tenant, as the caller may see it.
struct FoundLine {
	std::string text;
	int64 position;
	Month month;
};

FoundLine
LineWithId(FunctionCallInfo fcinfo) {
	pg::RequireNotNull(fcinfo, 0, "p_event_id");
	const Datum id = PG_GETARG_DATUM(0);
	const Datum tenant = pg::CurrentTenant().text;
	EventLine line;
	const bool found = Call([&](Server server) {
		Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
		const char *sql =
			psprintf("SELECT %s FROM events.event_store WHERE event_id OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2",
		             pg::EventColumnList(server, events));
		table_close(events, NoLock);
		Oid types[2] = {UUIDOID, TEXTOID};
		const Datum values[2] = {id, tenant};
		pg::RunningQuery query;
		pg::UnpackedNames names = {CurrentMemoryContext, nullptr};
		pg::StartQuery(server, &query, sql, 2, types, values, GetActiveSnapshot());
		pg::EventRow row;
		const bool there = pg::NextQueriedEvent(server, &query, &names, &row) != nullptr;
		if (there) {
			// the query's memory goes with it
			for (const int column : {pg::kStreamId, pg::kEventType, pg::kEventData, pg::kMetadata, pg::kCreatedBy, pg::kTenantId, pg::kTags}) {
				row.values[column] = datumCopy(row.values[column], false, -1);
			}
			line = pg::ReadEventLine(server, row);
		}
		pg::EndQuery(server, &query);
		return there;
	});
	if (!found) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no event with this id", "The tenant of the session has none.",
		                  "Look at app.tenant_id, and whether the event's month was dropped.");
	}
	FoundLine result = {{}, line.global_position, Month::FromMicros(line.created_at)};
	AppendLine(&result.text, line);
	return result;
}

Datum
TextDatum(const std::string &text) {
	const char *bytes = text.data();
	const auto size = static_cast<int>(text.size());
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(bytes, size)); });
}

Snapshot
StatementSnapshot() {
	return Call([] { return GetActiveSnapshot(); });
}

// The seal of an event, without its place and path. Throws 55000 where there is none.
Proof
SealOfEvent(const FoundLine &line) {
	pg::StoreRows rows(
		"SELECT s.seal, s.after_position, s.up_to_position, s.last_position, s.events, s.previous, s.signature, s.sealed_at, k.public_key, s.key_id "
		"FROM auren.seals s JOIN auren.registered_seal_keys k ON k.key_id OPERATOR(pg_catalog.=) s.key_id WHERE "
		"s.month OPERATOR(pg_catalog.=) $1 AND s.after_position OPERATOR(pg_catalog.<) $2 AND s.up_to_position OPERATOR(pg_catalog.>=) $2 "
		"ORDER BY s.seal LIMIT 1",
		{DATEOID, INT8OID}, {DateADTGetDatum(line.month.StartDays()), Int64GetDatum(line.position)}, StatementSnapshot());
	Proof proof;
	if (!rows.Next()) {
		throw DomainError(sqlstate::kNotInState, "the event is not sealed yet", "No seal covers position " + std::to_string(line.position) + ".",
		                  "Call events.seal(), and ask again.");
	}
	Seal &seal = proof.published.seal;
	seal.seal = rows.Int(0);
	seal.month = line.month;
	seal.after_position = rows.Int(1);
	seal.up_to_position = rows.Int(2);
	seal.last_position = rows.Int(3);
	seal.events = rows.Int(4);
	seal.previous = DigestOf(rows.Bytes(5));
	proof.published.signature = rows.Bytes(6);
	seal.sealed_at = rows.Int(7);
	proof.public_key = rows.Bytes(8);
	seal.key_id = rows.Bytes(9);
	rows.End();
	return proof;
}

[[noreturn]] void
ThrowNotAsSealed(const FoundLine &line) {
	throw DomainError("XX001", "the event is not what was sealed", "There is no such digest for position " + std::to_string(line.position) + ".",
	                  "events.verify says what was changed.");
}

// The pack that has the event, and the place in it.
void
AddPath(const FoundLine &line, Proof *proof) {
	const int64 seal = proof->published.seal.seal;
	pg::StoreRows rows(
		"SELECT root, CASE WHEN $2 OPERATOR(pg_catalog.>=) first_position AND $2 OPERATOR(pg_catalog.<=) last_position THEN leaves END "
		"FROM auren.seal_leaves WHERE seal OPERATOR(pg_catalog.=) $1 ORDER BY pack",
		{INT8OID, INT8OID}, {Int64GetDatum(seal), Int64GetDatum(line.position)}, StatementSnapshot());
	std::vector<Digest> packs;
	std::vector<Digest> leaves;
	std::optional<std::size_t> pack;
	std::optional<std::size_t> place;
	Hasher hasher;
	const Digest wanted = hasher.Leaf(line.text);
	while (rows.Next()) {
		packs.push_back(DigestOf(rows.Bytes(0)));
		if (rows.IsNull(1)) {
			continue;
		}
		pack = packs.size() - 1;
		for (const pg::Leaf &leaf : pg::LeavesOf(rows.Bytes(1))) {
			if (leaf.position == line.position && leaf.digest == wanted) {
				place = leaves.size();
			}
			leaves.push_back(leaf.digest);
		}
	}
	rows.End();
	if (!place) {
		ThrowNotAsSealed(line);
	}
	proof->leaf = static_cast<int64>(*pack * kPackLeaves + *place);
	proof->path = PathOf(&hasher, leaves.data(), leaves.size(), *place);
	for (const Digest &digest : PathOf(&hasher, packs.data(), packs.size(), *pack)) {
		proof->path.push_back(digest);
	}
}

// What of a proof that is right in itself does not fit this store; empty where it fits.
std::string
StrangeTo(const Proof &proof, const std::string &line) {
	const int64 number = proof.published.seal.seal;
	pg::StoreRows keys("SELECT true FROM auren.registered_seal_keys WHERE public_key OPERATOR(pg_catalog.=) $1", {BYTEAOID},
	                   {TextDatum(proof.public_key)}, StatementSnapshot());
	const bool known = keys.Next();
	keys.End();
	if (!known) {
		return "key " + proof.published.seal.key_id + " is not registered in this store";
	}
	pg::StoreRows seals("SELECT chain FROM auren.seals WHERE seal OPERATOR(pg_catalog.=) $1", {INT8OID}, {Int64GetDatum(number)},
	                    StatementSnapshot());
	const std::string chain = seals.Next() ? seals.Bytes(0) : std::string();
	seals.End();
	const std::optional<Digest> proved = ChainOf(proof, line);
	if (!proved || std::string(BytesOf(*proved)) != chain) {
		return "seal " + std::to_string(number) + " of this store is another one";
	}
	return {};
}

std::string
JsonArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	pg::RequireNotNull(fcinfo, argument, parameter);
	const Datum datum = PG_GETARG_DATUM(argument);
	const char *text = Call([&] {
		Jsonb *jsonb = DatumGetJsonbP(datum);
		return static_cast<const char *>(JsonbToCString(nullptr, &jsonb->root, static_cast<int>(VARSIZE(jsonb))));
	});
	return pg::ToUtf8(text);
}

} // namespace

AUREN_FUNCTION(auren_event_line) {
	return TextDatum(pg::FromUtf8(LineWithId(fcinfo).text));
}

AUREN_FUNCTION(auren_prove) {
	const FoundLine line = LineWithId(fcinfo);
	pg::AsStoreOwner owner;
	Proof proof = SealOfEvent(line);
	AddPath(line, &proof);
	owner.SwitchBack();
	const std::string json = ToJson(proof);
	const char *text = json.c_str();
	return Call([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(text)); });
}

AUREN_FUNCTION(auren_verify_proof) {
	(void)pg::CurrentTenant(); // refuses where the session names a tenant that it may not name
	const pg::Text given = pg::TextArgument(fcinfo, 0, "p_line");
	const std::string line = pg::ToUtf8(std::string(given.name.bytes).c_str());
	const Proof proof = ProofOf(JsonArgument(fcinfo, 1, "p_proof"));
	std::string reason = FaultOf(proof, line);
	if (reason.empty()) {
		pg::AsStoreOwner owner;
		reason = StrangeTo(proof, line);
		owner.SwitchBack();
	}
	const Datum text = TextDatum(reason);
	const bool valid = reason.empty();
	return Call([&] {
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		const Datum values[2] = {BoolGetDatum(valid), text};
		const bool isnull[2] = {false, valid};
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), const_cast<Datum *>(values), const_cast<bool *>(isnull)));
	});
}

} // namespace auren

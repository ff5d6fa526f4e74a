// Encrypted fields: encrypt and decrypt, rules, decrypted reads, keys.

#include <cstring>
#include <string>
#include <vector>

#include "core/encrypted/envelope.hpp"
#include "core/encrypted/personal.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "encrypted/decrypt_audit.hpp"
#include "encrypted/field_cipher.hpp"
#include "encrypted/key_arguments.hpp"
#include "encrypted/key_ring.hpp"
#include "encrypted/master_key.hpp"
#include "encrypted/personal_rules.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/jsonb_writer.hpp"
#include "server/rows.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "server/text_array.hpp"
#include "store/shown_tags.hpp"
#include "store/event_arguments.hpp"
#include "store/event_read.hpp"
#include "store/query.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// A text argument's bytes; most are plain, and nothing of them is counted.
std::string_view
BytesArgument(FunctionCallInfo fcinfo, int argument) {
	Datum datum = PG_GETARG_DATUM(argument);
	if (!pg::IsPlainText(datum)) {
		datum = Call([&] { return PointerGetDatum(PG_DETOAST_DATUM_PACKED(datum)); });
	}
	return pg::TextBytes(datum);
}

// The person and the field of a call, arguments 1 and 2.
pg::PersonalField
FieldArguments(FunctionCallInfo fcinfo) {
	pg::RequireNotNull(fcinfo, 1, "p_user_id");
	pg::PersonalField of;
	of.tenant = pg::CurrentTenantId();
	of.user = BytesArgument(fcinfo, 1);
	constexpr std::size_t kSurelyShort = 255; // in bytes: no more characters than that
	if (of.user.empty() || of.user.size() > kSurelyShort) {
		(void)UserArgument(fcinfo, 1);
	}
	if (!PG_ARGISNULL(2)) {
		of.field = BytesArgument(fcinfo, 2);
	}
	return of;
}

/*
 * Converts each element that is not null. It accepts invalidation messages before and after each batch of elements: nobody gets what was
 * decrypted of a person whom another session has forgotten meanwhile. Where anything has changed it converts the batch once more, and
 * accepts the messages before each element, as if each were a call of its own.
 */
void
ConvertAll(pg::PersonalField of, pg::TextArrayReader *from, pg::TextArrayWriter *to,
           void (*convert)(const pg::PersonalField &, std::string_view, pg::TextSink *, const pg::DataKey **)) {
	constexpr int kBatch = 128;
	MemoryContext context = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events fields", ALLOCSET_DEFAULT_SIZES); });
	MemoryContext old = MemoryContextSwitchTo(context);
	const auto batch = [&](pg::Invalidations invalidations) {
		const pg::DataKey *known = nullptr;
		std::string_view element;
		for (int i = 0; i < kBatch && from->left() > 0; i++) {
			if (!from->Next(&element)) {
				continue;
			}
			if (invalidations == pg::Invalidations::kAccept) {
				of.tenant = pg::CurrentTenantId();
				known = nullptr;
			}
			try {
				convert(of, element, to, &known);
			} catch (const DomainError &error) {
				throw DomainError(error.sqlstate().c_str(), error.message(),
				                  error.detail() + " The value is element " + std::to_string(from->count() - from->left()) + " of the array.",
				                  error.hint());
			}
		}
	};
	while (from->left() > 0) {
		Call([&] {
			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
		});
		const pg::TextArrayReader begin = *from;
		const Size written = to->size();
		of.tenant = pg::CurrentTenantId();
		const std::uint64_t changes = pg::KeyChanges();
		batch(pg::Invalidations::kAccepted);
		of.tenant = pg::CurrentTenantId();
		if (pg::KeyChanges() != changes) {
			*from = begin;
			to->Truncate(written);
			batch(pg::Invalidations::kAccept);
		}
	}
	MemoryContextSwitchTo(old);
	Call([&] { MemoryContextDelete(context); });
}

std::vector<std::string>
PathTexts(FunctionCallInfo fcinfo, int argument) {
	const pg::Elements elements = pg::ArrayArgument(fcinfo, argument, "p_paths", TEXTOID);
	std::vector<std::string> texts;
	for (int i = 0; i < elements.count; i++) {
		if (elements.isnull[i]) {
			throw DomainError(sqlstate::kInvalidParameter, "p_paths must not hold NULL", "Element " + std::to_string(i + 1) + " is NULL.",
			                  "Leave it out.");
		}
		texts.emplace_back(pg::TextOf(elements.values[i]).name.bytes);
	}
	return texts;
}

// A field of an event is one person's: no field of a new rule overlaps one of another rule for somebody else.
void
RequireFieldsApart(std::string_view person, const std::vector<JsonPointer> &paths, const pg::PersonalRule &rule) {
	if (rule.person == person) {
		return;
	}
	for (const JsonPointer &path : paths) {
		for (const JsonPointer &other : rule.paths) {
			if (Overlap(path, other)) {
				throw DomainError(sqlstate::kInvalidParameter, "a field would be of two people",
				                  QuotedPointer(PointerText(path)) + " and " + QuotedPointer(PointerText(other)) + " of the rule for " +
				                      QuotedPointer(rule.person) + " overlap.",
				                  "Name each field in one rule of an event type.");
			}
		}
	}
}

// Neither the new rule nor a rule that is there encrypts the place from which the other one takes its person.
void
RequirePersonElsewhere(std::string_view person, const PersonSource &source, const std::vector<JsonPointer> &paths, const pg::PersonalRule &rule) {
	for (const JsonPointer &path : paths) {
		if (rule.source.in_data() && Overlap(path, rule.source.place())) {
			throw DomainError(sqlstate::kInvalidParameter, "the place of a person cannot be encrypted",
			                  QuotedPointer(rule.person) + " names whose fields another rule encrypts.", "Leave it out of the paths.");
		}
	}
	for (const JsonPointer &other : rule.paths) {
		if (source.in_data() && rule.person != person && Overlap(source.place(), other)) {
			throw DomainError(sqlstate::kInvalidParameter, "the place of a person cannot be encrypted",
			                  "The rule for " + QuotedPointer(rule.person) + " encrypts it.", "Take the person from another place.");
		}
	}
}

// The new rule does not encrypt the place from which it takes its person.
void
RequireOwnPersonElsewhere(std::string_view person, const PersonSource &source, const std::vector<JsonPointer> &paths) {
	for (const JsonPointer &path : paths) {
		if (source.in_data() && Overlap(path, source.place())) {
			throw DomainError(sqlstate::kInvalidParameter, "the place of a person cannot be encrypted",
			                  QuotedPointer(person) + " names whose fields are encrypted.", "Leave it out of the paths.");
		}
	}
}

// An event as encrypted.replay_stream_decrypted() gives it.
void
PutDecrypted(const pg::Rows &rows, const pg::EventNames &names, const pg::EventRow &row) {
	Datum values[9] = {row.values[pg::kEventId],   row.values[pg::kStreamVersion], row.values[pg::kEventType], row.values[pg::kEventData],
	                   row.values[pg::kCreatedAt], row.values[pg::kMetadata],      row.values[pg::kCreatedBy], row.values[pg::kGlobalPosition]};
	if (pg::IsPersonal(names)) {
		values[3] = pg::OpenEvent(names, pg::JsonbOf(values[3]), pg::Audited::kAsSet);
	}
	Call([&](Server server) {
		static const bool isnull[9] = {};
		CHECK_FOR_INTERRUPTS();
		values[8] = pg::ShownTags(server, row);
		pg::PutRow(server, rows, values, isnull);
	});
}

Datum
TextDatum(const std::string &text) {
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size()))); });
}

} // namespace

AUREN_FUNCTION(auren_encrypt_phi_field) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	RequireWrite("encrypted.encrypt_phi_field()");
	pg::TextValue envelope;
	const pg::DataKey *known = nullptr;
	pg::SealText(FieldArguments(fcinfo), BytesArgument(fcinfo, 0), &envelope, &known);
	return envelope.datum();
}

AUREN_FUNCTION(auren_decrypt_phi_field) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	pg::TextValue value;
	const pg::DataKey *known = nullptr;
	pg::OpenText(FieldArguments(fcinfo), BytesArgument(fcinfo, 0), &value, &known);
	return value.datum();
}

AUREN_FUNCTION(auren_encrypt_phi_fields) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	RequireWrite("encrypted.encrypt_phi_fields()");
	const pg::PersonalField of = FieldArguments(fcinfo);
	pg::TextArrayReader values(PG_GETARG_DATUM(0));
	const Size header = EnvelopeLength(0) + VARHDRSZ + sizeof(int); // and what aligns it
	pg::TextArrayWriter envelopes(values, values.bytes() / 3 * 4 + static_cast<Size>(values.count()) * header);
	ConvertAll(of, &values, &envelopes, pg::SealText);
	return envelopes.Done();
}

AUREN_FUNCTION(auren_decrypt_phi_fields) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	const pg::PersonalField of = FieldArguments(fcinfo);
	pg::TextArrayReader envelopes(PG_GETARG_DATUM(0));
	pg::TextArrayWriter values(envelopes, envelopes.bytes() / 2);
	ConvertAll(of, &envelopes, &values, pg::OpenText);
	return values.Done();
}

AUREN_FUNCTION(auren_encrypt_fields) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	RequireWrite("encrypted.encrypt_fields()");
	const pg::Text user = UserArgument(fcinfo, 1);
	const std::vector<JsonPointer> paths = ParsePersonalPaths(PathTexts(fcinfo, 2));
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::ServerJson json;
	Json document = pg::JsonOf(pg::JsonbOf(PG_GETARG_DATUM(0)));
	pg::SealDocument({tenant.id, user.name.bytes, paths}, &document, json);
	return pg::WriteJsonb(document);
}

AUREN_FUNCTION(auren_decrypt_fields) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	const pg::Text user = UserArgument(fcinfo, 1);
	const std::vector<JsonPointer> paths = ParsePersonalPaths(PathTexts(fcinfo, 2));
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::ServerJson json;
	Json document = pg::JsonOf(pg::JsonbOf(PG_GETARG_DATUM(0)));
	pg::OpenDocument({tenant.id, user.name.bytes, paths}, &document, json, pg::Unreadable::kError, pg::Audited::kAsSet);
	return pg::WriteJsonb(document);
}

AUREN_FUNCTION(auren_add_rule) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	CheckEventType(type.name);
	const std::vector<JsonPointer> paths = ParsePersonalPaths(PathTexts(fcinfo, 1));
	const pg::Text person = pg::TextArgument(fcinfo, 2, "p_user");
	const PersonSource source = PersonSource::Parse(person.name.bytes);
	const pg::Tenant tenant = pg::CurrentTenant();
	for (const pg::PersonalRule &rule : pg::RulesOf(tenant.id, type.name.bytes)) {
		RequireFieldsApart(person.name.bytes, paths, rule);
		RequirePersonElsewhere(person.name.bytes, source, paths, rule);
	}
	RequireOwnPersonElsewhere(person.name.bytes, source, paths);
	Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum values[4] = {tenant.text, type.datum, person.datum, PG_GETARG_DATUM(1)};
	Call([&](Server server) {
		PreventCommandIfReadOnly("encrypted.add_rule()");
		(void)pg::ExecuteAsStore(server,
		                         "INSERT INTO auren.declared_personal_rules (tenant_id, event_type, person, paths) VALUES ($1, $2, $3, $4) "
		                         "ON CONFLICT (tenant_id, event_type, person) DO UPDATE SET paths = EXCLUDED.paths",
		                         4, types, values, nullptr);
	});
	// with the row inserted: a rule of tags that is declared meanwhile waits for it (LockPersonalRules), and looks after that
	pg::RequireNotInTags(tenant.id, type.name.bytes, paths);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_drop_rule) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	const pg::Text person = pg::TextArgument(fcinfo, 1, "p_user");
	Oid types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum values[3] = {pg::CurrentTenant().text, type.datum, person.datum};
	const uint64 rows = Call([&](Server server) {
		PreventCommandIfReadOnly("encrypted.drop_rule()");
		return pg::ExecuteAsStore(server,
		                          "DELETE FROM auren.declared_personal_rules WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND event_type "
		                          "OPERATOR(pg_catalog.=) $2 AND person OPERATOR(pg_catalog.=) $3",
		                          3, types, values, nullptr);
	});
	if (rows == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no such rule",
		                  "None of this session's tenant has that event type and takes the person from there.", "encrypted.rules lists them.");
	}
	PG_RETURN_VOID();
}

AUREN_RELEASED_FUNCTION(auren_replay_stream_decrypted, auren_replay_stream_decrypted_with_tags)
AUREN_FUNCTION(auren_replay_stream_decrypted_with_tags) {
	const pg::Text stream = StreamArgument(fcinfo);
	pg::RequireNotNull(fcinfo, 1, "p_from_version");
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", 1);
	const int64 to = VersionArgument(fcinfo, 2, "p_to_version", PG_INT64_MAX);
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	pg::StreamPart part = pg::WholeStream(tenant.text, stream.datum);
	part.from_version = from;
	part.to_version = to;
	pg::StreamScan scan;
	Count(pg::Work::kReplays);
	MemoryContext context = Call([&](Server server) {
		pg::BeginStreamScan(server, &scan, GetActiveSnapshot());
		pg::StartStream(server, &scan, part);
		return AllocSetContextCreate(CurrentMemoryContext, "auren_events decrypted", ALLOCSET_DEFAULT_SIZES);
	});
	pg::EventRow row;
	int64 last = 0;
	while (Call([&](Server server) { return pg::NextEvent(server, &scan, &row); })) {
		Call([&](Server server) { pg::RequireNothingBetween(server, scan, row, &last); });
		Count(pg::Work::kEventsReplayed);
		MemoryContext old = MemoryContextSwitchTo(context);
		PutDecrypted(rows, {tenant.id, stream.name.bytes, pg::TextBytes(row.values[pg::kEventType])}, row);
		MemoryContextSwitchTo(old);
		Call([&] { MemoryContextReset(context); });
	}
	Call([&](Server server) { pg::EndStreamScan(server, &scan); });
	return 0;
}

AUREN_FUNCTION(auren_rotate_user_key) {
	RequireWrite("encrypted.rotate_user_key()");
	const pg::Text user = UserArgument(fcinfo, 0);
	const pg::Tenant tenant = pg::CurrentTenant();
	const int version = pg::RotateUserKey(tenant.id, user.name.bytes);
	pg::AddAuditRow("rotate", tenant.id, user.name.bytes, nullptr, -1);
	return Int32GetDatum(version);
}

AUREN_FUNCTION(auren_rotate_master_key) {
	RequireWrite("encrypted.rotate_master_key()");
	int64 limit = PG_INT64_MAX;
	if (!PG_ARGISNULL(0)) {
		limit = PG_GETARG_INT32(0);
		if (limit < 1) {
			throw DomainError(sqlstate::kInvalidParameter, "p_limit must be positive", "The limit given is " + std::to_string(limit) + ".",
			                  "NULL means all keys.");
		}
	}
	pg::RequireUnbound("rotate the master key", "It is one for all tenants.");
	return Int64GetDatum(pg::RotateMasterKey(limit));
}

AUREN_FUNCTION(auren_master_key_id) {
	return TextDatum(pg::CurrentMasterKeys()->current().id);
}

} // namespace auren

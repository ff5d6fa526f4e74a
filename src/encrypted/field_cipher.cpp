#include "encrypted/field_cipher.hpp"

#include <cstring>

#include "core/bytes.hpp"
#include "core/encrypted/aes_gcm.hpp"
#include "core/encrypted/envelope.hpp"
#include "core/encrypted/personal.hpp"
#include "core/error.hpp"
#include "counts/counts.hpp"
#include "encrypted/decrypt_audit.hpp"
#include "encrypted/key_ring.hpp"
#include "server/encoding.hpp"
#include "server/guard.hpp"
#include "server/jsonb_writer.hpp"
#include "server/random.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"

namespace auren::pg {

namespace {

// Used again and again, so that a value costs no allocation. Nothing in it is secret.
std::string associated;
std::string body;

// What `associated` was made of: a statement over one person's values makes it once. The key stands for its person and tenant.
struct AssociatedWith {
	std::uint64_t key_serial = 0; // no key has that
	bool json = false;
	bool field_bound = false;
	std::string field;
};
AssociatedWith associated_with;

bool
IsUtf8() {
	static const bool is_utf8 = GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII; // a backend has one database
	return is_utf8;
}

// Makes `associated` what the envelope is bound to.
void
MakeAssociated(const DataKey &key, const EnvelopeHeader &header, const PersonalField &of) {
	const std::string_view field = of.field ? *of.field : Borrowed();
	AssociatedWith &with = associated_with;
	with.key_serial = 0; // and stays so where something below throws
	with.json = header.json;
	with.field_bound = header.field_bound;
	with.field = field;
	associated.clear();
	if (IsUtf8()) {
		AppendAssociated(header, of.tenant, of.user, field, &associated);
	} else {
		AppendAssociated(header, ToUtf8(std::string(of.tenant).c_str()), ToUtf8(std::string(of.user).c_str()), ToUtf8(std::string(field).c_str()),
		                 &associated);
	}
	with.key_serial = key.serial;
}

// What is known of a value's field: that the value before it was of the same one, or nothing.
enum class Field { kSame, kUnknown };

inline void
Associate(const DataKey &key, const EnvelopeHeader &header, const PersonalField &of, Field field) {
	const AssociatedWith &with = associated_with;
	if (with.key_serial == key.serial && with.json == header.json && with.field_bound == header.field_bound &&
	    (field == Field::kSame || SameBytes(with.field, of.field ? *of.field : Borrowed()))) {
		return;
	}
	MakeAssociated(key, header, of);
}

// A value in UTF-8 that is to be encrypted.
struct Plain {
	enum class Kind { kText, kJson };
	Kind kind;
	std::string_view bytes;
};

/*
 * Writes the envelope of a value to the place that `allocate` gives for so many characters. `known`: the key of the value before, of the
 * same person and field, where nothing else was called since; else nullptr. The caller gets the key that it was.
 */
template <typename Allocate>
const DataKey *
Seal(const PersonalField &of, const Plain &plain, Invalidations invalidations, const DataKey *known, Allocate &&allocate) {
	EnvelopeHeader header;
	const std::uint64_t random[2] = {RandomBits(), RandomBits()};
	std::memcpy(header.nonce, random, sizeof header.nonce);
	const auto lot = static_cast<std::uint32_t>(random[1] >> 32);
	const DataKey &key = known != nullptr && !IsCounted(*known, lot) ? *known : SealingKey(of.tenant, of.user, lot, invalidations);
	header.key_id = key.id;
	header.json = plain.kind == Plain::Kind::kJson;
	header.field_bound = of.field.has_value();
	Associate(key, header, of, known != nullptr ? Field::kSame : Field::kUnknown);
	Count(Work::kValuesEncrypted);
	body.resize(kEnvelopeHeaderBytes + plain.bytes.size() + kEnvelopeTagBytes);
	auto *bytes = reinterpret_cast<std::uint8_t *>(&body[0]);
	WriteEnvelopeHeader(header, bytes);
	SealingCipher(key).Seal(header.nonce, associated, plain.bytes, bytes + kEnvelopeHeaderBytes);
	WriteEnvelope(bytes, body.size(), allocate(EnvelopeLength(plain.bytes.size())));
	return &key;
}

// Takes what a large value needed away again.
void
TrimBuffers() {
	constexpr std::size_t kKept = 64 * 1024;
	if (body.capacity() > kKept) {
		std::string().swap(body);
	}
}

[[noreturn]] void
ThrowForgotten(const PersonalField &of) {
	Count(Work::kDecryptionsRefused);
	throw DomainError(sqlstate::kUserForgotten, "user \"" + std::string(of.user) + "\" was forgotten",
	                  "The person's data keys were destroyed: nobody can read this value any more.",
	                  "Go on without it; encrypted.audit says who forgot the person, and when.");
}

[[noreturn]] void
ThrowNoKey(const PersonalField &of) {
	Count(Work::kDecryptionsRefused);
	throw DomainError("22000", "the envelope does not open for user \"" + std::string(of.user) + "\"",
	                  "The person has no data key with the envelope's key id in this tenant.",
	                  "It is another person's or tenant's, or of another database.");
}

[[noreturn]] void
ThrowDoesNotOpen(const PersonalField &of) {
	Count(Work::kDecryptionsRefused);
	throw DomainError("22000", "the envelope does not open for user \"" + std::string(of.user) + "\"",
	                  "It was made for another field, or was changed.", "Name the field that it was made for; restore it from where it came.");
}

[[noreturn]] void
ThrowOtherBinding(const PersonalField &of, const EnvelopeHeader &header) {
	Count(Work::kDecryptionsRefused);
	throw DomainError("22000", "the envelope does not open for user \"" + std::string(of.user) + "\"",
	                  header.field_bound ? "It is bound to a field, and p_field names none." : "It is bound to no field, and p_field names one.",
	                  header.field_bound ? "Name the field; one of a document is named by its JSON pointer." : "Leave p_field out.");
}

// How the envelope in `body` is opened.
struct Opening {
	const PersonalField &of;
	const EnvelopeHeader &header;
	const PersonalField *audited; // what the audit says of it; nullptr where the value is given to nobody
	Invalidations invalidations;
	const DataKey **known; // as for Seal; the key that it was, afterwards
};

/*
 * Writes the plain value of an envelope, in UTF-8, to the place that `allocate` gives for its size. The caller gets whether it opened;
 * `missing` is called where the key is not there.
 */
template <typename Allocate, typename Missing>
bool
Open(const Opening &opening, Allocate &&allocate, Missing &&missing) {
	const PersonalField &of = opening.of;
	const EnvelopeHeader &header = opening.header;
	const bool is_known = *opening.known != nullptr && (*opening.known)->id == header.key_id;
	const DataKey *key = is_known ? *opening.known : OpeningKey(of.tenant, of.user, header.key_id, opening.invalidations);
	if (key != nullptr && opening.audited != nullptr && AuditDecrypt()) {
		// before it is decrypted; meanwhile the person may have been forgotten
		WriteAudit(*opening.audited);
		key = OpeningKey(of.tenant, of.user, header.key_id);
	}
	*opening.known = key;
	if (key == nullptr) {
		missing();
		return false;
	}
	Associate(*key, header, of, is_known ? Field::kSame : Field::kUnknown);
	const std::string_view sealed = std::string_view(body).substr(kEnvelopeHeaderBytes);
	auto *out = reinterpret_cast<std::uint8_t *>(allocate(sealed.size() - kEnvelopeTagBytes));
	const bool opened = OpeningCipher(*key).Open(header.nonce, associated, sealed, out);
	Count(Work::kValuesDecrypted, opened && opening.audited != nullptr ? 1 : 0);
	return opened;
}

// The JSON of a text that was JSON when it was encrypted.
Json
ParseJson(const std::string &utf8) {
	const std::string text = FromUtf8(utf8);
	const char *characters = text.c_str();
	const Datum jsonb = Call([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(characters)); });
	Json value = JsonOf(jsonb);
	pfree(DatumGetPointer(jsonb));
	return value;
}

// A string that JSON text has as it is, between quotation marks.
bool
IsPlainString(const Json &value) {
	if (!value.is(Json::Kind::kString)) {
		return false;
	}
	for (const char c : value.string()) {
		if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\') {
			return false;
		}
	}
	return true;
}

std::string
JsonText(const Json &value) {
	// the usual fields, without a jsonb of each
	if (IsPlainString(value)) {
		const std::string text = '"' + value.string() + '"';
		return IsUtf8() ? text : ToUtf8(text.c_str());
	}
	if (value.is(Json::Kind::kNumber)) {
		const char *numeric = value.number().bytes.data();
		const char *digits = Call([&] { return DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(numeric))); });
		std::string text = digits;
		pfree(const_cast<char *>(digits));
		return text;
	}
	const Datum datum = WriteJsonb(value);
	const char *text = Call([&] {
		auto *jsonb = reinterpret_cast<Jsonb *>(DatumGetPointer(datum));
		return static_cast<const char *>(JsonbToCString(nullptr, &jsonb->root, static_cast<int>(VARSIZE(jsonb))));
	});
	std::string utf8 = IsUtf8() ? std::string(text) : ToUtf8(text);
	pfree(const_cast<char *>(text));
	pfree(DatumGetPointer(datum));
	return utf8;
}

// Whether a string of a document is an envelope of the person that opens at this place.
bool
IsOwnEnvelope(const PersonalField &of, const std::string &text) {
	EnvelopeHeader header;
	if (!TryReadEnvelope(text, &header, &body)) {
		return false;
	}
	std::string plain;
	const DataKey *known = nullptr;
	return Open(
		{of, header, nullptr, Invalidations::kAccept, &known},
		[&](std::size_t size) {
			plain.resize(size + 1);
			return &plain[0];
		},
		[] {});
}

} // namespace

void
SealText(const PersonalField &of, std::string_view plain, TextSink *sink, const DataKey **known) {
	std::string converted;
	if (!IsUtf8()) {
		converted = ToUtf8(std::string(plain).c_str());
		plain = converted;
	}
	*known = Seal(of, {Plain::Kind::kText, plain}, Invalidations::kAccepted, *known, [&](std::size_t length) { return sink->Reserve(length); });
	TrimBuffers();
}

void
OpenText(const PersonalField &of, std::string_view envelope, TextSink *sink, const DataKey **known) {
	const EnvelopeHeader header = ReadEnvelope(envelope, &body);
	if (header.field_bound != of.field.has_value()) {
		ThrowOtherBinding(of, header);
	}
	const bool as_it_is = !header.json && IsUtf8();
	std::string plain;
	const bool opened = Open(
		{of, header, &of, Invalidations::kAccepted, known},
		[&](std::size_t size) {
			if (as_it_is) {
				return sink->Reserve(size);
			}
			plain.resize(size);
			return &plain[0];
		},
		[&] { IsForgotten(of.tenant, of.user) ? ThrowForgotten(of) : ThrowNoKey(of); });
	if (!opened) {
		ThrowDoesNotOpen(of);
	}
	TrimBuffers();
	if (as_it_is) {
		return;
	}
	if (header.json) {
		const Json value = ServerJson().Expand(ParseJson(plain).document().bytes);
		plain = value.is(Json::Kind::kString) ? (IsUtf8() ? value.string() : ToUtf8(value.string().c_str())) : JsonText(value);
	}
	const std::string text = FromUtf8(plain);
	(void)text.copy(sink->Reserve(text.size()), text.size());
}

void
SealDocument(const PersonalFields &fields, Json *document, const ServerJson &json) {
	for (const JsonPointer &path : fields.paths) {
		Json *value = FindAt(document, path, json);
		if (value == nullptr || value->is(Json::Kind::kNull)) {
			continue;
		}
		const std::string place = PointerText(path);
		const PersonalField bound = {fields.tenant, fields.user, place};
		if (value->is(Json::Kind::kString) && LooksLikeEnvelope(value->string())) {
			const PersonalField unbound = {fields.tenant, fields.user, std::nullopt};
			if (IsOwnEnvelope(bound, value->string()) || IsOwnEnvelope(unbound, value->string())) {
				continue;
			}
		}
		const std::string plain = JsonText(*value);
		std::string envelope;
		(void)Seal(bound, {Plain::Kind::kJson, plain}, Invalidations::kAccept, nullptr, [&](std::size_t length) {
			envelope.resize(length);
			return &envelope[0];
		});
		value->SetString(envelope);
	}
	TrimBuffers();
}

void
OpenDocument(const PersonalFields &fields, Json *document, const ServerJson &json, Unreadable unreadable, Audited audited) {
	for (const JsonPointer &path : fields.paths) {
		Json *value = FindAt(document, path, json);
		EnvelopeHeader header;
		if (value == nullptr || !value->is(Json::Kind::kString) || !TryReadEnvelope(value->string(), &header, &body)) {
			continue;
		}
		const std::string place = PointerText(path);
		PersonalField of = {fields.tenant, fields.user, place};
		const PersonalField named = of;
		if (!header.field_bound) {
			of.field.reset();
		}
		std::string plain;
		bool missing = false;
		const DataKey *known = nullptr;
		const bool opened = Open(
			{of, header, audited == Audited::kAsSet ? &named : nullptr, Invalidations::kAccept, &known},
			[&](std::size_t size) {
				plain.resize(size);
				return &plain[0];
			},
			[&] {
				missing = true;
				if (unreadable == Unreadable::kError) {
					IsForgotten(fields.tenant, fields.user) ? ThrowForgotten(of) : ThrowNoKey(of);
				}
			});
		if (!opened) {
			if (!missing && unreadable == Unreadable::kError) {
				ThrowDoesNotOpen(of);
			}
			continue;
		}
		if (header.json) {
			*value = ParseJson(plain);
		} else {
			value->SetString(FromUtf8(plain));
		}
	}
	TrimBuffers();
}

} // namespace auren::pg

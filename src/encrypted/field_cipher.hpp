#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/borrowed.hpp"
#include "core/json/json.hpp"
#include "core/json/json_pointer.hpp"
#include "encrypted/key_ring.hpp"
#include "server/jsonb.hpp"
#include "server/postgres.hpp"
#include "server/text_sink.hpp"

namespace auren::pg {

/*
 * Values and documents, encrypted and decrypted. Texts are in the server's encoding; what is encrypted is UTF-8.
 */

// Whose value it is, and which: the field is a name of the caller's, or the JSON pointer of the place in a document.
struct PersonalField {
	Borrowed tenant;
	Borrowed user;
	std::optional<Borrowed> field;
};

/*
 * Writes the envelope. The tenant is what CurrentTenantId has just given, as for OpenText. `known` is for values of the same person
 * and field, one after the other with nothing between them: the key of the one before, nullptr for the first.
 */
void SealText(const PersonalField &of, std::string_view plain, TextSink *sink, const DataKey **known);
/*
 * Writes the value of an envelope: a JSON string as its text, other JSON as it is written. Throws 22P02, 22000 and ZE006 as
 * encrypted.decrypt_phi_field does; writes the audit down first.
 */
void OpenText(const PersonalField &of, std::string_view envelope, TextSink *sink, const DataKey **known);

// A person's fields in a document. It is valid as long as what it was made of.
struct PersonalFields {
	std::string_view tenant;
	std::string_view user;
	const std::vector<JsonPointer> &paths;
};

// Encrypts what stands at the paths, but for null, what is absent, and the person's own envelopes.
void SealDocument(const PersonalFields &fields, Json *document, const ServerJson &json);

enum class Unreadable { kError, kStays };
enum class Audited { kAsSet, kNo }; // kNo: what is opened is not given to anybody
// Decrypts the envelopes at the paths; what is not an envelope stays. The values of a forgotten person are an error, or stay.
void OpenDocument(const PersonalFields &fields, Json *document, const ServerJson &json, Unreadable unreadable, Audited audited);

} // namespace auren::pg

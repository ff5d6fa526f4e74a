#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auren {

/*
 * An encrypted value as text: "phi1:" (the version of the format) and, in base64url without padding, one byte of flags, the key's
 * id (8 bytes), the nonce (12), the ciphertext and the tag (16). A text is the envelope of one byte string only.
 */
struct EnvelopeHeader {
	std::uint64_t key_id = 0;
	bool json = false;        // the value is JSON text, of a document's field; else a text
	bool field_bound = false; // it opens for the field only that it was made for
	std::uint8_t nonce[12] = {};
};

inline constexpr std::string_view kEnvelopePrefix = "phi1:";
inline constexpr std::size_t kEnvelopeHeaderBytes = 1 + 8 + 12;
inline constexpr std::size_t kEnvelopeTagBytes = 16;

// Characters of the envelope of a value.
std::size_t EnvelopeLength(std::size_t plain_bytes);
// Writes the header to the first bytes of a body: header, ciphertext, tag.
void WriteEnvelopeHeader(const EnvelopeHeader &header, std::uint8_t *body);
// Writes the text of a body: EnvelopeLength characters.
void WriteEnvelope(const std::uint8_t *body, std::size_t body_bytes, char *text);

// Whether a text claims to be an envelope, of any version.
bool LooksLikeEnvelope(std::string_view text);
/*
 * Reads an envelope; the body (header, ciphertext, tag) goes to *body, which is used again. Throws 22P02 for a text that no value
 * was made into, and 0A000 for a version of the format that is not known here.
 */
EnvelopeHeader ReadEnvelope(std::string_view text, std::string *body);
// The same without an error; whether it is one.
bool TryReadEnvelope(std::string_view text, EnvelopeHeader *header, std::string *body);

/*
 * What an envelope is bound to, without two meanings: each part after its length. The field is that of the header where it
 * is bound to one.
 */
void AppendAssociated(const EnvelopeHeader &header, std::string_view tenant, std::string_view user, std::string_view field, std::string *to);

// What a wrapped data key is bound to.
std::string AssociatedOfKey(std::uint64_t key_id, std::string_view master_key_id, std::string_view tenant, std::string_view user);

} // namespace auren

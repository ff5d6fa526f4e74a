#include "core/encrypted/envelope.hpp"

#include <cstring>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::uint8_t kJson = 1;
constexpr std::uint8_t kFieldBound = 2;

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// What each of four digits adds to 24 bits; a character that is not a digit sets a bit above them.
constexpr std::uint32_t kNoDigit = 1U << 24;
struct Values {
	std::uint32_t of[4][256];
	constexpr Values() : of() {
		for (int place = 0; place < 4; place++) {
			for (int i = 0; i < 256; i++) {
				of[place][i] = kNoDigit;
			}
			for (std::uint32_t i = 0; i < 64; i++) {
				of[place][static_cast<unsigned char>(kDigits[i])] = i << (18 - 6 * place);
			}
		}
	}
};
constexpr Values kValues;

// Two characters for each 12 bits: half as many steps.
struct Pairs {
	char of[4096][2];
	constexpr Pairs() : of() {
		for (int i = 0; i < 4096; i++) {
			of[i][0] = kDigits[i >> 6];
			of[i][1] = kDigits[i & 63];
		}
	}
};
constexpr Pairs kPairs;

std::size_t
TextLength(std::size_t bytes) {
	return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

// A number of eight bytes as it lies in memory with its highest byte first, and back.
std::uint64_t
HighestFirst(std::uint64_t number) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(number);
#else
	return number;
#endif
}

std::uint32_t
FourDigits(const unsigned char *in) {
	return kValues.of[0][in[0]] | kValues.of[1][in[1]] | kValues.of[2][in[2]] | kValues.of[3][in[3]];
}

// False for what no bytes are written as: another character, a length of 4n + 1, bits left over at the end that are set.
bool
Decode(std::string_view text, std::string *bytes) {
	if (text.size() % 4 == 1) {
		return false;
	}
	bytes->resize(text.size() * 3 / 4);
	auto *out = reinterpret_cast<std::uint8_t *>(&(*bytes)[0]);
	const auto *in = reinterpret_cast<const unsigned char *>(text.data());
	std::size_t left = text.size();
	std::uint32_t seen = 0;
	// six bytes a step; two more are written after them, which the next step makes right, so there must be room for them
	for (; left >= 11; left -= 8, in += 8, out += 6) {
		const std::uint32_t first = FourDigits(in);
		const std::uint32_t second = FourDigits(in + 4);
		seen |= first | second;
		const std::uint64_t bits = HighestFirst(static_cast<std::uint64_t>(first) << 40 | static_cast<std::uint64_t>(second) << 16);
		std::memcpy(out, &bits, sizeof bits);
	}
	for (; left >= 4; left -= 4, in += 4, out += 3) {
		const std::uint32_t bits = FourDigits(in);
		seen |= bits;
		out[0] = static_cast<std::uint8_t>(bits >> 16);
		out[1] = static_cast<std::uint8_t>(bits >> 8);
		out[2] = static_cast<std::uint8_t>(bits);
	}
	if (left > 0) {
		const std::uint32_t bits = kValues.of[0][in[0]] | kValues.of[1][in[1]] | (left == 3 ? kValues.of[2][in[2]] : 0);
		if ((bits & (left == 2 ? 0xFFFFU : 0xFFU)) != 0) {
			return false;
		}
		seen |= bits;
		*out++ = static_cast<std::uint8_t>(bits >> 16);
		if (left == 3) {
			*out++ = static_cast<std::uint8_t>(bits >> 8);
		}
	}
	return (seen & kNoDigit) == 0;
}

void
AppendNumber(std::uint64_t number, int bytes, std::string *to) {
	char text[sizeof number];
	number = HighestFirst(number);
	std::memcpy(text, &number, sizeof number);
	to->append(text + sizeof number - bytes, static_cast<std::size_t>(bytes));
}

void
AppendPart(std::string_view part, std::string *to) {
	AppendNumber(part.size(), 4, to);
	to->append(part);
}

std::uint8_t
FlagsOf(const EnvelopeHeader &header) {
	return static_cast<std::uint8_t>((header.json ? kJson : 0) | (header.field_bound ? kFieldBound : 0));
}

} // namespace

std::size_t
EnvelopeLength(std::size_t plain_bytes) {
	return kEnvelopePrefix.size() + TextLength(kEnvelopeHeaderBytes + plain_bytes + kEnvelopeTagBytes);
}

void
WriteEnvelopeHeader(const EnvelopeHeader &header, std::uint8_t *body) {
	body[0] = FlagsOf(header);
	const std::uint64_t key_id = HighestFirst(header.key_id);
	std::memcpy(body + 1, &key_id, sizeof key_id);
	std::memcpy(body + 9, header.nonce, sizeof header.nonce);
}

void
WriteEnvelope(const std::uint8_t *body, std::size_t body_bytes, char *text) {
	std::memcpy(text, kEnvelopePrefix.data(), kEnvelopePrefix.size());
	text += kEnvelopePrefix.size();
	// six bytes a step, of eight that are read
	for (; body_bytes >= 8; body_bytes -= 6, body += 6, text += 8) {
		std::uint64_t bits;
		std::memcpy(&bits, body, sizeof bits);
		bits = HighestFirst(bits);
		std::memcpy(text, kPairs.of[bits >> 52], 2);
		std::memcpy(text + 2, kPairs.of[bits >> 40 & 0xFFF], 2);
		std::memcpy(text + 4, kPairs.of[bits >> 28 & 0xFFF], 2);
		std::memcpy(text + 6, kPairs.of[bits >> 16 & 0xFFF], 2);
	}
	for (; body_bytes >= 3; body_bytes -= 3, body += 3, text += 4) {
		std::memcpy(text, kPairs.of[body[0] << 4 | body[1] >> 4], 2);
		std::memcpy(text + 2, kPairs.of[(body[1] & 15) << 8 | body[2]], 2);
	}
	if (body_bytes > 0) {
		const int second = body_bytes == 2 ? body[1] : 0;
		*text++ = kDigits[body[0] >> 2];
		*text++ = kDigits[(body[0] & 3) << 4 | second >> 4];
		if (body_bytes == 2) {
			*text++ = kDigits[(second & 15) << 2];
		}
	}
}

bool
LooksLikeEnvelope(std::string_view text) {
	std::size_t digits = 3;
	if (text.substr(0, digits) != "phi") {
		return false;
	}
	while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
		digits++;
	}
	return digits > 3 && digits < text.size() && text[digits] == ':';
}

bool
TryReadEnvelope(std::string_view text, EnvelopeHeader *header, std::string *body) {
	if (text.substr(0, kEnvelopePrefix.size()) != kEnvelopePrefix || !Decode(text.substr(kEnvelopePrefix.size()), body) ||
	    body->size() < kEnvelopeHeaderBytes + kEnvelopeTagBytes) {
		return false;
	}
	const auto *bytes = reinterpret_cast<const std::uint8_t *>(body->data());
	if ((bytes[0] & ~(kJson | kFieldBound)) != 0) {
		return false;
	}
	header->json = (bytes[0] & kJson) != 0;
	header->field_bound = (bytes[0] & kFieldBound) != 0;
	std::memcpy(&header->key_id, bytes + 1, sizeof header->key_id);
	header->key_id = HighestFirst(header->key_id);
	std::memcpy(header->nonce, bytes + 9, sizeof header->nonce);
	return true;
}

EnvelopeHeader
ReadEnvelope(std::string_view text, std::string *body) {
	EnvelopeHeader header;
	if (TryReadEnvelope(text, &header, body)) {
		return header;
	}
	if (LooksLikeEnvelope(text) && text.substr(0, kEnvelopePrefix.size()) != kEnvelopePrefix) {
		throw DomainError("0A000", "the envelope has a format that is not known here",
		                  "It begins with \"" + std::string(text.substr(0, text.find(':') < 20 ? text.find(':') : 20)) + "\"; known is \"phi1\".",
		                  "A later version of auren_events made it.");
	}
	// the text itself is not shown: it may be a plain value
	throw DomainError("22P02", "the value is not an envelope",
	                  "It has " + std::to_string(text.size()) + " bytes, and is not what encrypted.encrypt_phi_field gives.",
	                  "Give an envelope as it was made: \"phi1:\" and what follows, unchanged.");
}

void
AppendAssociated(const EnvelopeHeader &header, std::string_view tenant, std::string_view user, std::string_view field, std::string *to) {
	to->reserve(to->size() + 5 + 8 + 3 * 4 + tenant.size() + user.size() + field.size());
	*to += "phi1";
	*to += static_cast<char>(FlagsOf(header));
	AppendNumber(header.key_id, 8, to);
	AppendPart(tenant, to);
	AppendPart(user, to);
	AppendPart(header.field_bound ? field : std::string_view(), to);
}

std::string
AssociatedOfKey(std::uint64_t key_id, std::string_view master_key_id, std::string_view tenant, std::string_view user) {
	std::string bytes = "phi1 data key";
	AppendNumber(key_id, 8, &bytes);
	AppendPart(master_key_id, &bytes);
	AppendPart(tenant, &bytes);
	AppendPart(user, &bytes);
	return bytes;
}

} // namespace auren

#include "core/seals/seal.hpp"

#include <cstdio>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "core/error.hpp"
#include "core/event_time.hpp"
#include "core/seals/canonical_line.hpp"
#include "core/seals/merkle.hpp"
#include "core/seals/signing.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

using nlohmann::json;
using Ordered = nlohmann::ordered_json;

constexpr std::size_t kMostPath = 64;

// "2026-11"
std::string
MonthText(Month month) {
	return TimeText(month.StartMicros()).substr(0, 7);
}

[[noreturn]] void
ThrowMalformed(const std::string &what, const std::string &detail) {
	throw DomainError(sqlstate::kInvalidParameter, "a text is not " + what, detail, "Give it as it was shown, whole.");
}

std::string
Base64(const std::string &bytes) {
	std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
	const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data()), reinterpret_cast<const unsigned char *>(bytes.data()),
	                                 static_cast<int>(bytes.size()));
	text.resize(static_cast<std::size_t>(size));
	return text;
}

// Digests in base64; their bytes are a multiple of 32, so the padding tells how many there are.
std::vector<Digest>
DigestsOfBase64(const std::string &text) {
	std::string bytes(text.size() / 4 * 3 + 3, '\0');
	const int size = text.size() > 4 * kDigestBytes * kMostPath
	                     ? -1
	                     : EVP_DecodeBlock(reinterpret_cast<unsigned char *>(bytes.data()), reinterpret_cast<const unsigned char *>(text.data()),
	                                       static_cast<int>(text.size()));
	std::size_t left = size < 0 ? 1 : static_cast<std::size_t>(size);
	for (std::size_t i = text.size(); i > 0 && text[i - 1] == '=' && left > 0; i--) {
		left--;
	}
	if (size < 0 || left % kDigestBytes != 0) {
		ThrowMalformed("a proof", "Its path does not consist of digests in base64.");
	}
	std::vector<Digest> digests;
	for (std::size_t at = 0; at < left; at += kDigestBytes) {
		digests.push_back(DigestOf(std::string_view(bytes).substr(at, kDigestBytes)));
	}
	return digests;
}

std::string
HexMember(const json &object, const char *name, std::size_t bytes) {
	std::string value = FromHex(object.at(name).get<std::string>());
	if (value.size() != bytes) {
		ThrowMalformed("a seal or a proof", std::string("Its member \"") + name + "\" does not have " + std::to_string(bytes) + " bytes.");
	}
	return value;
}

Month
MonthMember(const json &object) {
	const std::string text = object.at("month").get<std::string>();
	int year = 0;
	int month = 0;
	int end = 0;
	if (std::sscanf(text.c_str(), "%d-%d%n", &year, &month, &end) != 2 || static_cast<std::size_t>(end) != text.size() || month < 1 || month > 12 ||
	    year < 0 || year > 300000) {
		ThrowMalformed("a seal or a proof", "Its member \"month\" is not a month such as \"2026-11\".");
	}
	return Month::FromIndex((year - 2000) * 12 + month - 1);
}

std::int64_t
TimeMember(const json &object) {
	const std::optional<std::int64_t> time = ParseEventTime(object.at("sealed_at").get<std::string>());
	if (!time) {
		ThrowMalformed("a seal or a proof", "Its member \"sealed_at\" is not a time.");
	}
	return *time;
}

// What a published seal and a proof have in common.
template <typename Json>
void
WriteSeal(Json *object, const PublishedSeal &published) {
	const Seal &seal = published.seal;
	(*object)["seal"] = seal.seal;
	(*object)["month"] = MonthText(seal.month);
	(*object)["after"] = seal.after_position;
	(*object)["up_to"] = seal.up_to_position;
	(*object)["last"] = seal.last_position;
	(*object)["events"] = seal.events;
	(*object)["previous"] = Hex(BytesOf(seal.previous));
	(*object)["sealed_at"] = TimeText(seal.sealed_at);
	(*object)["signature"] = Hex(published.signature);
}

PublishedSeal
ReadSeal(const json &object) {
	PublishedSeal published;
	Seal &seal = published.seal;
	seal.seal = object.at("seal").get<std::int64_t>();
	seal.month = MonthMember(object);
	seal.after_position = object.at("after").get<std::int64_t>();
	seal.up_to_position = object.at("up_to").get<std::int64_t>();
	seal.last_position = object.at("last").get<std::int64_t>();
	seal.events = object.at("events").get<std::int64_t>();
	seal.previous = DigestOf(HexMember(object, "previous", kDigestBytes));
	seal.sealed_at = TimeMember(object);
	published.signature = HexMember(object, "signature", kSignatureBytes);
	return published;
}

template <typename F>
auto
Reading(const char *what, std::string_view text, F &&read) {
	try {
		return read(json::parse(text));
	} catch (const json::exception &error) {
		ThrowMalformed(what, std::string("The JSON library says: ") + error.what() + ".");
	}
}

} // namespace

std::string
StatementOf(const Seal &seal) {
	return "auren_events seal v1\nseal: " + std::to_string(seal.seal) + "\nmonth: " + MonthText(seal.month) +
	       "\nafter: " + std::to_string(seal.after_position) + "\nup_to: " + std::to_string(seal.up_to_position) +
	       "\nlast: " + std::to_string(seal.last_position) + "\nevents: " + std::to_string(seal.events) + "\nroot: " + Hex(BytesOf(seal.root)) +
	       "\nprevious: " + Hex(BytesOf(seal.previous)) + "\nsealed_at: " + TimeText(seal.sealed_at) + "\nkey: " + seal.key_id + "\n";
}

std::string
ToJson(const PublishedSeal &published) {
	Ordered object;
	WriteSeal(&object, published);
	object["root"] = Hex(BytesOf(published.seal.root));
	object["key"] = published.seal.key_id;
	return object.dump();
}

PublishedSeal
PublishedSealOf(std::string_view text) {
	return Reading("a seal", text, [](const json &object) {
		PublishedSeal published = ReadSeal(object);
		published.seal.root = DigestOf(HexMember(object, "root", kDigestBytes));
		published.seal.key_id = object.at("key").get<std::string>();
		return published;
	});
}

std::string
ToJson(const Proof &proof) {
	Ordered object;
	WriteSeal(&object, proof.published);
	object["public_key"] = Hex(proof.public_key);
	object["leaf"] = proof.leaf;
	std::string path;
	for (const Digest &digest : proof.path) {
		path += BytesOf(digest);
	}
	object["path"] = Base64(path);
	return object.dump();
}

Proof
ProofOf(std::string_view text) {
	return Reading("a proof", text, [](const json &object) {
		Proof proof;
		proof.published = ReadSeal(object);
		proof.public_key = HexMember(object, "public_key", kPublicKeyBytes);
		proof.published.seal.key_id = SealKeyId(proof.public_key);
		proof.leaf = object.at("leaf").get<std::int64_t>();
		proof.path = DigestsOfBase64(object.at("path").get<std::string>());
		return proof;
	});
}

namespace {

// Fills in the root that follows from the line; false where the path does not fit.
bool
FillRoot(Proof *proof, std::string_view line) {
	Seal &seal = proof->published.seal;
	if (proof->leaf < 0 || seal.events < 1) {
		return false;
	}
	Hasher hasher;
	const auto root =
		RootFromPath(&hasher, hasher.Leaf(line), static_cast<std::uint64_t>(proof->leaf), static_cast<std::uint64_t>(seal.events), proof->path);
	if (root) {
		seal.root = *root;
	}
	return root.has_value();
}

} // namespace

std::string
FaultOf(const Proof &given, std::string_view line) {
	Proof proof = given;
	const Seal &seal = proof.published.seal;
	const std::optional<std::int64_t> position = PositionOfLine(line);
	if (!position) {
		return "the line does not begin with a position, as the canonical line of an event does";
	}
	if (*position <= seal.after_position || *position > seal.up_to_position) {
		return "the seal covers positions after " + std::to_string(seal.after_position) + " up to " + std::to_string(seal.up_to_position) +
		       ", and the event has " + std::to_string(*position);
	}
	if (!FillRoot(&proof, line)) {
		return "the path has not the length that the place of the event and the number of events ask for";
	}
	if (!IsSignedBy(proof.public_key, StatementOf(seal), proof.published.signature)) {
		return "the line, the path and the seal's numbers do not give the statement that was signed";
	}
	return {};
}

std::optional<Digest>
ChainOf(Proof proof, std::string_view line) {
	if (!FillRoot(&proof, line)) {
		return std::nullopt;
	}
	Hasher hasher;
	return hasher.Plain(StatementOf(proof.published.seal));
}

} // namespace auren

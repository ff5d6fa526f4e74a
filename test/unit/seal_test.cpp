#include "core/seals/seal.hpp"

#include <gtest/gtest.h>

#include "core/seals/canonical_line.hpp"
#include "core/seals/merkle.hpp"
#include "core/seals/signing.hpp"
#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

namespace {

// The secret key of RFC 8032, section 7.1, test 1, as PKCS #8.
const char kPem[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const char kOtherPem[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9h\n-----END PRIVATE KEY-----\n";
const char kPublic[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

std::vector<std::string>
Lines(int count) {
	std::vector<std::string> lines;
	for (int i = 0; i < count; i++) {
		lines.push_back("{\"global_position\":" + std::to_string(101 + i) + ",\"event_id\":\"\"}");
	}
	return lines;
}

// A seal of some lines, as doc/seals.md has it.
PublishedSeal
SealOf(const SealKey &key, const std::vector<std::string> &lines) {
	Hasher hasher;
	MerkleTree tree(&hasher);
	for (const std::string &line : lines) {
		tree.Add(hasher.Leaf(line));
	}
	PublishedSeal published;
	Seal &seal = published.seal;
	seal.seal = 3;
	seal.month = Month::FromMicros(849148555'123456);
	seal.after_position = 100;
	seal.up_to_position = 200;
	seal.last_position = 100 + static_cast<std::int64_t>(lines.size());
	seal.events = static_cast<std::int64_t>(lines.size());
	seal.root = tree.Root();
	seal.previous = hasher.Plain("the seal before");
	seal.key_id = key.id();
	seal.sealed_at = 849148555'123456;
	published.signature = key.Sign(StatementOf(seal));
	return published;
}

Proof
ProofFor(const SealKey &key, const std::vector<std::string> &lines, std::size_t index) {
	Hasher hasher;
	std::vector<Digest> leaves;
	for (const std::string &line : lines) {
		leaves.push_back(hasher.Leaf(line));
	}
	return {SealOf(key, lines), key.public_key(), static_cast<std::int64_t>(index), PathOf(&hasher, leaves.data(), leaves.size(), index)};
}

} // namespace

TEST(SealKey, SignsAsTheRfcDoes) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	ASSERT_EQ(keys.size(), 1U);
	EXPECT_EQ(Hex(keys[0].public_key()), kPublic);
	const std::string signature = keys[0].Sign("");
	EXPECT_EQ(Hex(signature),
	          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	EXPECT_TRUE(IsSignedBy(keys[0].public_key(), "", signature));
	EXPECT_FALSE(IsSignedBy(keys[0].public_key(), "x", signature));
	EXPECT_FALSE(IsSignedBy(keys[0].public_key(), "", signature.substr(1)));
	EXPECT_FALSE(IsSignedBy(keys[0].public_key().substr(1), "", signature));
	EXPECT_FALSE(IsSignedBy(SealKey::Parse(kOtherPem, "a text")[0].public_key(), "", signature));
}

TEST(SealKey, SeveralStandInOneText) {
	const std::vector<SealKey> keys = SealKey::Parse(std::string("the first\n") + kPem + "# another\n" + kOtherPem, "a text");
	ASSERT_EQ(keys.size(), 2U);
	EXPECT_EQ(keys[0].id(), SealKeyId(FromHex(kPublic)));
	EXPECT_EQ(keys[0].id(), "21fe31dfa154a261");
	EXPECT_NE(keys[1].id(), keys[0].id());
	EXPECT_EQ(EndorsementText(keys[1].public_key(), keys[0].id()),
	          "auren_events seal key v1\nkey: " + Hex(keys[1].public_key()) + "\nendorsed_by: 21fe31dfa154a261\n");
}

TEST(SealKey, OthersAreRefused) {
	ExpectError("F0000", [] { SealKey::Parse("", "a text"); });
	ExpectError("F0000", [] { SealKey::Parse("no key at all\n", "a text"); });
	ExpectError("F0000", [] { SealKey::Parse(std::string(kPem).replace(40, 4, "AAAA"), "a text"); });
	// an X25519 key has another purpose
	const DomainError error = ExpectError("F0000", [] {
		SealKey::Parse("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n",
		               "a text");
	});
	EXPECT_TRUE(Contains(error.detail(), "not an Ed25519 key"));
	EXPECT_FALSE(Contains(error.message() + error.detail() + error.hint(), "MC4"));
}

// doc/seals.md prints them.
TEST(Seal, StatementAndChainAreThoseOfTheDocument) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const PublishedSeal published = SealOf(keys[0], Lines(3));
	EXPECT_EQ(StatementOf(published.seal), "auren_events seal v1\nseal: 3\nmonth: 2026-11\nafter: 100\nup_to: 200\nlast: 103\nevents: 3\n"
	                                       "root: a880dee93a946d68c03db6db4820558c1c4faab4092797b419f6d4073d9a8a58\n"
	                                       "previous: cadf75f493071eb24ba498a761a4d7a866537190ed071d4f2b0e3f6c8eb14c20\n"
	                                       "sealed_at: 2026-11-28T02:35:55.123456Z\nkey: 21fe31dfa154a261\n");
	Hasher hasher;
	EXPECT_EQ(Hex(BytesOf(hasher.Plain(StatementOf(published.seal)))), "1744a4eb68ddcf62d70ecf399df8d84c16812e9b555a54c49637993587293cda");
	EXPECT_EQ(Hex(published.signature),
	          "82b45840b5945998b07441bd4eb495e02c8d8e6683d993296271127fcf4aaded4c5fe8e9bae65e86d198c5abb17e0260318c2221df6fc095bfa48778fb512c01");
}

TEST(Seal, IsPublishedAndRead) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const PublishedSeal published = SealOf(keys[0], Lines(3));
	const PublishedSeal read = PublishedSealOf(ToJson(published));
	EXPECT_EQ(StatementOf(read.seal), StatementOf(published.seal));
	EXPECT_EQ(read.signature, published.signature);
	ExpectError("22023", [] { PublishedSealOf("{}"); });
	ExpectError("22023", [] { PublishedSealOf("seal"); });
	ExpectError("22023", [&] { PublishedSealOf(ToJson(published).replace(9, 1, "\"")); });
}

TEST(Proof, HoldsForItsLineAlone) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const std::vector<std::string> lines = Lines(21);
	for (std::size_t i = 0; i < lines.size(); i++) {
		const Proof proof = ProofOf(ToJson(ProofFor(keys[0], lines, i)));
		for (std::size_t other = 0; other < lines.size(); other++) {
			EXPECT_EQ(FaultOf(proof, lines[other]).empty(), other == i) << i << " for " << other;
		}
		EXPECT_EQ(ChainOf(proof, lines[i]), Hasher().Plain(StatementOf(SealOf(keys[0], lines).seal)));
	}
}

TEST(Proof, EachChangeIsFound) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const std::vector<std::string> lines = Lines(5);
	const Proof good = ProofFor(keys[0], lines, 2);
	ASSERT_EQ(FaultOf(good, lines[2]), "");
	const auto changed = [&](auto &&change) {
		Proof proof = good;
		change(&proof);
		return FaultOf(proof, lines[2]);
	};
	EXPECT_NE(changed([](Proof *p) { p->published.seal.seal++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.month = p->published.seal.month.Next(); }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.after_position--; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.up_to_position++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.last_position++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.events++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.previous[0] ^= 1; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.sealed_at++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.signature[0] ^= 1; }), "");
	EXPECT_NE(changed([](Proof *p) { p->leaf++; }), "");
	EXPECT_NE(changed([](Proof *p) { p->leaf = -1; }), "");
	EXPECT_NE(changed([](Proof *p) { p->published.seal.events = 0; }), "");
	EXPECT_NE(changed([](Proof *p) { p->path[0][0] ^= 1; }), "");
	EXPECT_NE(changed([](Proof *p) { p->path.pop_back(); }), "");
	EXPECT_NE(changed([](Proof *p) { p->public_key[0] ^= 1; }), "");
	EXPECT_TRUE(Contains(FaultOf(good, "{\"global_position\":99,"), "after 100"));
	EXPECT_TRUE(Contains(FaultOf(good, "no line"), "position"));
}

TEST(Proof, TextsThatAreNoneAreRefused) {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const std::string good = ToJson(ProofFor(keys[0], Lines(5), 2));
	const auto with = [&](const std::string &from, const std::string &to) {
		std::string text = good;
		const std::size_t at = text.find(from);
		EXPECT_NE(at, std::string::npos) << from;
		return text.replace(at, from.size(), to);
	};
	ExpectError("22023", [&] { ProofOf(""); });
	ExpectError("22023", [&] { ProofOf("[]"); });
	ExpectError("22023", [&] { ProofOf(with("\"month\":\"2026-11\"", "\"month\":\"2026-13\"")); });
	ExpectError("22023", [&] { ProofOf(with("\"month\":\"2026-11\"", "\"month\":\"November\"")); });
	ExpectError("22023", [&] { ProofOf(with("2026-11-28T", "2026-11-28X")); });
	ExpectError("22023", [&] { ProofOf(with("\"leaf\":2", "\"leaf\":\"2\"")); });
	ExpectError("22023", [&] { ProofOf(with("\"path\":\"", "\"path\":\"AAAA")); });
	ExpectError("22023", [&] { ProofOf(with("\"path\":\"", "\"path\":\"?")); });
	ExpectError("22023", [&] { ProofOf(with("\"path\":\"", "\"path\":\"" + std::string(100000, 'A'))); });
	ExpectError("22023", [&] { ProofOf(with("\"public_key\":\"", "\"public_key\":\"00")); });
}

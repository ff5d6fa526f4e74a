#include "core/archives/archive_check.hpp"

#include <gtest/gtest.h>

#include "core/seals/canonical_line.hpp"
#include "core/seals/signing.hpp"
#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

namespace {

const char kPem[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

// An archive of three events under two seals, and the seals.
struct Sample {
	std::vector<std::string> lines;
	std::vector<std::string> seals;
	std::string key_id;
	std::string public_key;
};

std::string
HeadSeal(const PublishedSeal &published, const std::string &public_key) {
	const Seal &seal = published.seal;
	Hasher hasher;
	return "{\"seal\":" + std::to_string(seal.seal) + ",\"month\":\"2026-11-01\",\"after_position\":" + std::to_string(seal.after_position) +
	       ",\"up_to_position\":" + std::to_string(seal.up_to_position) + ",\"last_position\":" + std::to_string(seal.last_position) +
	       ",\"events\":" + std::to_string(seal.events) + ",\"root\":\"" + Hex(BytesOf(seal.root)) + "\",\"previous\":\"" +
	       Hex(BytesOf(seal.previous)) + "\",\"chain\":\"" + Hex(BytesOf(hasher.Plain(StatementOf(seal)))) + "\",\"key_id\":\"" + seal.key_id +
	       "\",\"signature\":\"" + Hex(published.signature) + "\",\"sealed_at\":\"" + TimeText(seal.sealed_at) + "\",\"public_key\":\"" +
	       Hex(public_key) + "\"}";
}

Sample
MakeSample() {
	const std::vector<SealKey> keys = SealKey::Parse(kPem, "a text");
	const std::vector<std::string> events = {"{\"global_position\":3,\"event_id\":\"a\"}", "{\"global_position\":5,\"event_id\":\"b\"}",
	                                         "{\"global_position\":9,\"event_id\":\"c\"}"};
	Hasher hasher;
	RunningDigest all;
	Digest previous = {};
	Sample sample;
	sample.key_id = keys[0].id();
	sample.public_key = Hex(keys[0].public_key());
	std::string head;
	for (int number = 1; number <= 2; number++) {
		MerkleTree tree(&hasher);
		for (const std::string &event : events) {
			if ((*PositionOfLine(event) <= 5) == (number == 1)) {
				tree.Add(hasher.Leaf(event));
			}
		}
		PublishedSeal published;
		Seal &seal = published.seal;
		seal.seal = number;
		seal.month = Month::FromMicros(849148555'123456);
		seal.after_position = number == 1 ? 0 : 5;
		seal.up_to_position = number == 1 ? 5 : 9;
		seal.last_position = seal.up_to_position;
		seal.events = static_cast<std::int64_t>(tree.size());
		seal.root = tree.Root();
		seal.previous = previous;
		seal.key_id = keys[0].id();
		seal.sealed_at = 849148555'123456;
		published.signature = keys[0].Sign(StatementOf(seal));
		previous = hasher.Plain(StatementOf(seal));
		head += (number == 1 ? "" : ",") + HeadSeal(published, keys[0].public_key());
		sample.seals.push_back(ToJson(published));
	}
	sample.lines.push_back("{\"format\":\"auren_events archive 1\",\"month\":\"2026-11-01\",\"events\":3,\"seals\":[" + head + "]}");
	for (const std::string &event : events) {
		sample.lines.push_back(event);
		all.Update(event + "\n");
	}
	sample.lines.push_back("{\"end\":\"auren_events archive 1\",\"events\":3,\"sha256\":\"" + Hex(BytesOf(all.Finish())) + "\"}");
	return sample;
}

std::vector<std::string>
FaultsOf(const Sample &sample, const std::string &key = {}) {
	ArchiveCheck check;
	if (!key.empty()) {
		check.Trust(key);
	}
	for (const std::string &seal : sample.seals) {
		check.AddSeal(seal);
	}
	for (const std::string &line : sample.lines) {
		check.AddLine(line);
	}
	check.Finish();
	EXPECT_TRUE(!check.faults().empty() || check.good_seals() == 2);
	return check.faults();
}

bool
AnyContains(const std::vector<std::string> &faults, const std::string &part) {
	for (const std::string &fault : faults) {
		if (Contains(fault, part)) {
			return true;
		}
	}
	return false;
}

} // namespace

TEST(ArchiveCheck, FindsNothingWhereNothingIs) {
	Sample sample = MakeSample();
	EXPECT_EQ(FaultsOf(sample), std::vector<std::string>());
	EXPECT_EQ(FaultsOf(sample, sample.key_id), std::vector<std::string>());
	EXPECT_EQ(FaultsOf(sample, sample.public_key), std::vector<std::string>());
	sample.seals.clear();
	EXPECT_EQ(FaultsOf(sample), std::vector<std::string>());
}

TEST(ArchiveCheck, FindsWhatWasDoneToEvents) {
	const Sample good = MakeSample();
	Sample sample = good;
	sample.lines[2] = "{\"global_position\":5,\"event_id\":\"x\"}";
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "the root of seal 1"));
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "the digest of all lines"));
	sample = good;
	sample.lines.erase(sample.lines.begin() + 3);
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "seal 2 covers 1 events, and there are 0"));
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "the first line counts 3 events"));
	sample = good;
	sample.lines.insert(sample.lines.begin() + 4, "{\"global_position\":12,\"event_id\":\"x\"}");
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "position 12 is under no seal"));
	sample = good;
	std::swap(sample.lines[1], sample.lines[2]);
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "in order of position"));
	sample = good;
	sample.lines.pop_back();
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "the last line is missing"));
	sample = good;
	sample.lines.push_back(good.lines[1]);
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "more after the last line"));
}

TEST(ArchiveCheck, FindsWhatWasDoneToSeals) {
	const Sample good = MakeSample();
	EXPECT_TRUE(AnyContains(FaultsOf(good, "0123456789abcdef"), "was not named as one to trust"));
	Sample sample = good;
	sample.seals.erase(sample.seals.begin());
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "seal 1 of the archive is not among the published ones"));
	sample = good;
	std::swap(sample.seals[0], sample.seals[1]);
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "comes after"));
	sample = good;
	const std::size_t at = sample.lines[0].find("\"root\":\"") + 8;
	sample.lines[0][at] = sample.lines[0][at] == '0' ? '1' : '0';
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "is not signed by key"));
	EXPECT_TRUE(AnyContains(FaultsOf(sample), "does not give its chain"));
}

TEST(ArchiveCheck, SealsAreCheckedWithoutAnArchive) {
	const Sample good = MakeSample();
	ArchiveCheck unknown;
	ArchiveCheck known;
	known.Trust(good.public_key);
	for (const std::string &seal : good.seals) {
		unknown.AddSeal(seal);
		known.AddSeal(seal);
	}
	unknown.FinishSeals();
	known.FinishSeals();
	EXPECT_TRUE(AnyContains(unknown.faults(), "the public half of key"));
	EXPECT_EQ(known.faults(), std::vector<std::string>());
	EXPECT_EQ(known.good_seals(), 2U);
}

TEST(ArchiveCheck, AnEmptyFileIsNoArchive) {
	ArchiveCheck check;
	check.Finish();
	EXPECT_EQ(check.faults(), std::vector<std::string>({"the archive is empty"}));
}

TEST(ArchiveCheck, OtherFilesAreRefused) {
	ArchiveCheck check;
	ExpectError("22023", [&] { check.AddLine("no archive"); });
	ExpectError("22023", [&] { check.AddLine("{\"format\":\"auren_events archive 2\"}"); });
	ExpectError("22023", [&] { check.AddSeal("{}"); });
}

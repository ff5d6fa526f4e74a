#include "core/seals/digest.hpp"

#include <gtest/gtest.h>

#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

TEST(Digest, IsSha256OfPlainTexts) {
	Hasher hasher;
	EXPECT_EQ(Hex(BytesOf(hasher.Plain("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	EXPECT_EQ(Hex(BytesOf(hasher.Plain(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, IsTheSamePieceByPiece) {
	RunningDigest digest;
	digest.Update("a");
	digest.Update("");
	digest.Update("bc");
	EXPECT_EQ(digest.Finish(), Hasher().Plain("abc"));
}

TEST(Digest, TellsLeavesNodesAndTextsApart) {
	Hasher hasher;
	const Digest left = hasher.Plain("left");
	const Digest right = hasher.Plain("right");
	const std::string both = std::string(BytesOf(left)) + std::string(BytesOf(right));
	EXPECT_EQ(hasher.Leaf(both), hasher.Plain(std::string(1, '\0') + both));
	EXPECT_EQ(hasher.Node(left, right), hasher.Plain("\1" + both));
	EXPECT_NE(hasher.Leaf(both), hasher.Node(left, right));
}

TEST(Digest, HexadecimalTextsGoThereAndBack) {
	EXPECT_EQ(FromHex(Hex(std::string("\0\x7f\xff\x10", 4))), std::string("\0\x7f\xff\x10", 4));
	EXPECT_EQ(FromHex(""), "");
	ExpectError("22023", [] { FromHex("abc"); });
	ExpectError("22023", [] { FromHex("zz"); });
	ExpectError("22023", [] { FromHex("AB"); });
	ExpectError("XX001", [] { DigestOf("short"); });
}

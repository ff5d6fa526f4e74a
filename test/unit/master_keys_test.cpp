#include "core/encrypted/master_keys.hpp"

#include <gtest/gtest.h>

#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

namespace {

const std::string kOne = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
const std::string kTwo(64, 'f');

} // namespace

TEST(MasterKeys, TheLastOneIsCurrent) {
	const MasterKeys keys = MasterKeys::Parse("# made on a day\n\n2025 " + kOne + "\r\n\t2026.b_c-d\t " + kTwo, "the file");
	EXPECT_EQ(keys.size(), 2U);
	EXPECT_EQ(keys.current().id, "2026.b_c-d");
	EXPECT_EQ(keys.current().bytes.data()[31], 0xFF);
	ASSERT_NE(keys.Find("2025"), nullptr);
	for (int i = 0; i < 32; i++) {
		EXPECT_EQ(keys.Find("2025")->bytes.data()[i], i);
	}
	EXPECT_EQ(keys.Find("2024"), nullptr);
}

TEST(MasterKeys, ErrorsNameTheLineAndNothingOfIt) {
	const std::string good = "a " + kOne + "\n";
	for (const std::string &bad : {kTwo, "b " + kTwo.substr(1), "b " + kTwo + "0", "b " + kTwo.substr(1) + "g", "b\xC3\xBC " + kTwo, "a " + kTwo,
	                               std::string("b"), std::string(65, 'b') + " " + kTwo, kTwo + " b"}) {
		const DomainError error = ExpectError("F0000", [&] { (void)MasterKeys::Parse(good + bad + "\n", "the file"); });
		EXPECT_NE(error.message().find("line 2 of the file"), std::string::npos) << error.message();
		const std::string all = error.message() + error.detail() + error.hint();
		EXPECT_EQ(all.find("fff"), std::string::npos) << all;
	}
	ExpectError("F0000", [] { (void)MasterKeys::Parse("", "the file"); });
	ExpectError("F0000", [] { (void)MasterKeys::Parse("# nothing\n\n", "the file"); });
}

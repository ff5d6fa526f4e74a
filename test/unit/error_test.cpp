#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace auren {
namespace {

TEST(DomainError, KeepsEveryField) {
	const DomainError error("ZE001", "the message", "The detail.", "The hint.");
	EXPECT_EQ(error.sqlstate(), "ZE001");
	EXPECT_EQ(error.message(), "the message");
	EXPECT_EQ(error.detail(), "The detail.");
	EXPECT_EQ(error.hint(), "The hint.");
	EXPECT_STREQ(error.what(), "the message");
}

TEST(DomainError, DetailAndHintMayBeLeftOut) {
	const DomainError error("22023", "the message");
	EXPECT_TRUE(error.detail().empty());
	EXPECT_TRUE(error.hint().empty());
}

TEST(DomainError, IsCaughtAsAStandardException) {
	try {
		throw DomainError("22023", "the message");
	} catch (const std::exception &error) {
		EXPECT_STREQ(error.what(), "the message");
		return;
	}
	FAIL() << "not caught";
}

TEST(DomainError, OutlivesWhatItWasMadeFrom) {
	char state[] = "ZE002";
	auto original = std::make_unique<DomainError>(state, std::string(100, 'm'), std::string(100, 'd'), std::string(100, 'h'));
	const DomainError copy = *original;
	std::memset(state, 'x', 5);
	original.reset();
	EXPECT_EQ(copy.sqlstate(), "ZE002");
	EXPECT_EQ(copy.message(), std::string(100, 'm'));
	EXPECT_EQ(copy.detail(), std::string(100, 'd'));
	EXPECT_EQ(copy.hint(), std::string(100, 'h'));
}

// Callers compare these with text of their own, so a changed one breaks them silently.
TEST(DomainError, CodesAreThoseOfTheContract) {
	EXPECT_STREQ(sqlstate::kVersionConflict, "ZE001");
	EXPECT_STREQ(sqlstate::kIdReused, "ZE002");
	EXPECT_STREQ(sqlstate::kImmutable, "ZE003");
	EXPECT_STREQ(sqlstate::kStreamClosed, "ZE004");
	EXPECT_STREQ(sqlstate::kInvalidParameter, "22023");
	EXPECT_STREQ(sqlstate::kNullNotAllowed, "22004");
	EXPECT_STREQ(sqlstate::kSerializationFailure, "40001");
	EXPECT_STREQ(sqlstate::kInsufficientPrivilege, "42501");
	EXPECT_STREQ(sqlstate::kUndefinedObject, "42704");
	EXPECT_STREQ(sqlstate::kUndefinedColumn, "42703");
	EXPECT_STREQ(sqlstate::kObjectInUse, "55006");
	EXPECT_STREQ(sqlstate::kNotInState, "55000");
	EXPECT_STREQ(sqlstate::kTriggerProtocol, "39P01");
}

} // namespace
} // namespace auren

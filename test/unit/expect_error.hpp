#pragma once

#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace auren::test {

// The error that a call throws; nothing when it throws none. An exception of another kind fails the test by itself.
template <typename F>
std::optional<DomainError>
ErrorOf(F &&call) {
	try {
		std::forward<F>(call)();
	} catch (const DomainError &error) {
		return error;
	}
	return std::nullopt;
}

// Every error tells its reader what is wrong, with which values, and what to do.
template <typename F>
DomainError
ExpectError(const char *sqlstate, F &&call) {
	const std::optional<DomainError> error = ErrorOf(std::forward<F>(call));
	if (!error) {
		ADD_FAILURE() << "expected an error " << sqlstate << ", but there was none";
		return DomainError("", "");
	}
	EXPECT_EQ(error->sqlstate(), sqlstate) << error->message();
	EXPECT_FALSE(error->message().empty());
	EXPECT_FALSE(error->detail().empty()) << error->message();
	EXPECT_NE(error->message().back(), '.') << error->message();
	EXPECT_EQ(error->detail().back(), '.') << error->detail();
	return *error;
}

inline bool
Contains(const std::string &text, const std::string &part) {
	return text.find(part) != std::string::npos;
}

} // namespace auren::test

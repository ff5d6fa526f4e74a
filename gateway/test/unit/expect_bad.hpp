#pragma once

#include <gtest/gtest.h>

#include "bad_input.hpp"

// The statement throws this kind of error, and its message has the text.
#define EXPECT_REFUSED(statement, Error, text)                                                                                                       \
	try {                                                                                                                                            \
		statement;                                                                                                                                   \
		ADD_FAILURE() << #statement << " was taken";                                                                                                 \
	} catch (const Error &error) {                                                                                                                   \
		EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();                                                          \
	}

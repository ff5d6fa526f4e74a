#include "core/append/expected_version.hpp"

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

ExpectedVersion
ExpectedVersion::FromNumber(std::int64_t number) {
	if (number < kExists) {
		throw DomainError(sqlstate::kInvalidParameter, "expected version must be -1, 0 or the version of the stream",
		                  "The expected version given is " + std::to_string(number) + ".",
		                  "NULL expects nothing, -1 a stream that exists, 0 a stream that does not exist yet.");
	}
	ExpectedVersion expected;
	expected.any_ = false;
	expected.number_ = number;
	return expected;
}

bool
ExpectedVersion::Matches(std::int64_t actual) const {
	if (any_) {
		return true;
	}
	return number_ == kExists ? actual > 0 : actual == number_;
}

std::string
ExpectedVersion::Text() const {
	if (any_) {
		return "any";
	}
	switch (number_) {
	case kExists:
		return "-1 (an existing stream)";
	case 0:
		return "0 (a new stream)";
	default:
		return std::to_string(number_);
	}
}

void
CheckExpectedVersion(std::string_view stream_id, const ExpectedVersion &expected, std::int64_t actual) {
	if (expected.Matches(actual)) {
		return;
	}
	throw DomainError(sqlstate::kVersionConflict, "version conflict in stream \"" + std::string(stream_id) + "\"",
	                  "Expected version " + expected.Text() + ", actual version " + std::to_string(actual) + ".",
	                  "Read the stream again, decide again, and append with the version read.");
}

} // namespace auren

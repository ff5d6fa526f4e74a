#pragma once

#include <exception>
#include <string>
#include <utility>

namespace auren {

// SQLSTATEs that callers react to. ZE... are ours, the others the server's own.
namespace sqlstate {
inline constexpr const char *kVersionConflict = "ZE001";
inline constexpr const char *kIdReused = "ZE002";
inline constexpr const char *kImmutable = "ZE003";
inline constexpr const char *kStreamClosed = "ZE004";
inline constexpr const char *kUserForgotten = "ZE006";
inline constexpr const char *kEpochDiffers = "ZE007";
inline constexpr const char *kConditionFails = "ZE008";
inline constexpr const char *kInvalidParameter = "22023";
inline constexpr const char *kNullNotAllowed = "22004";
inline constexpr const char *kSerializationFailure = "40001";
inline constexpr const char *kInsufficientPrivilege = "42501";
inline constexpr const char *kUndefinedObject = "42704";
inline constexpr const char *kUndefinedColumn = "42703";
inline constexpr const char *kObjectInUse = "55006";
inline constexpr const char *kNotInState = "55000";
inline constexpr const char *kTriggerProtocol = "39P01";
} // namespace sqlstate

/*
 * An error that the core decided on. The entry points turn it into the server's error report with every field; see
 * server/entry.hpp.
 */
class DomainError : public std::exception {
  public:
	DomainError(const char *sqlstate, std::string message, std::string detail = {}, std::string hint = {})
		: sqlstate_(sqlstate), message_(std::move(message)), detail_(std::move(detail)), hint_(std::move(hint)) {
	}

	const char *
	what() const noexcept override {
		return message_.c_str();
	}
	const std::string &
	sqlstate() const noexcept {
		return sqlstate_;
	}
	const std::string &
	message() const noexcept {
		return message_;
	}
	const std::string &
	detail() const noexcept {
		return detail_;
	}
	const std::string &
	hint() const noexcept {
		return hint_;
	}

  private:
	std::string sqlstate_;
	std::string message_;
	std::string detail_;
	std::string hint_;
};

} // namespace auren

#pragma once

#include <stdexcept>
#include <string>

namespace auren::gateway {

// What somebody outside sent cannot be used. The message is for them: it says what is wrong, and tells no secret.
class BadInput : public std::runtime_error {
  public:
	using std::runtime_error::runtime_error;
};

} // namespace auren::gateway

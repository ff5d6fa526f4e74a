#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "token.hpp"

namespace auren::gateway {

// Tickets for who can send neither a header nor a cookie, as a browser's EventSource. A ticket is signed and holds whom it speaks for, so that
// another gateway with the same secret takes it too; each gateway takes it once.
class Tickets {
  public:
	// The secret has 32 bytes or more.
	Tickets(std::string secret, const TokenConfig &config);

	// A ticket that is good for the configured seconds, and never longer than the token.
	std::string Make(const Principal &principal, int64_t now) const;

	// Throws BadToken when the ticket is not one, is too old, or was used.
	Principal Use(std::string_view ticket, int64_t now);

  private:
	const std::string secret_;
	const TokenConfig config_;
	std::map<std::string, int64_t> used_; // and until when they would be good
	int64_t cleared_ = 0;
};

// Random bytes. Throws std::runtime_error when OpenSSL has none.
std::string RandomBytes(size_t count);

} // namespace auren::gateway

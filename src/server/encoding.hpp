#pragma once

#include <string>

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Text of the server as UTF-8, in which the core reads and builds JSON, and back. A database without an encoding may hold any
 * bytes: they stay as they are.
 */
std::string ToUtf8(const char *text);
std::string FromUtf8(const std::string &text);

} // namespace auren::pg

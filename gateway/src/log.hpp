#pragma once

#include <cstdio>
#include <string>

namespace auren::gateway {

// One line for whoever operates the gateway, on standard error. No token, ticket or event goes in there.
inline void
LogLine(const std::string &line) {
	std::string safe = line + '\n';
	for (size_t i = 0; i + 1 < safe.size(); i++) {
		safe[i] = static_cast<unsigned char>(safe[i]) < 0x20 ? ' ' : safe[i];
	}
	std::fwrite(safe.data(), 1, safe.size(), stderr);
}

} // namespace auren::gateway

// A configuration is taken or refused.
#include "bad_input.hpp"
#include "config.hpp"
#include "fuzz.hpp"

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	try {
		const auto config = auren::gateway::ParseConfig(TextOf(data, size));
		REQUIRE(!config.tokens.keys.empty() && !config.tokens.roles.empty() && !config.database.connection.empty());
	} catch (const auren::gateway::BadInput &) {
	}
	return 0;
}

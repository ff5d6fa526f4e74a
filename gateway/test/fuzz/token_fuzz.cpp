// Tokens and tickets of anybody: none is taken that was not signed; signed claims of any shape are taken or refused.
#include <fstream>

#include "bad_input.hpp"
#include "fuzz.hpp"
#include "text.hpp"
#include "tickets.hpp"

using namespace auren::gateway;

namespace {

const std::string kSecret(40, 's');

TokenConfig
MakeConfig() {
	TokenConfig config;
	const std::string file = "fuzz_secret";
	std::ofstream(file) << kSecret;
	config.audience = "a";
	config.roles["viewer"];
	config.keys = {{"k", "HS256", file}};
	return config;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const TokenConfig config = MakeConfig();
	static const TokenVerifier verifier(config);
	static Tickets tickets(kSecret, config);
	const auto text = TextOf(data, size);
	try {
		verifier.Verify(text, 1000);
		std::abort();
	} catch (const BadToken &) {
	}
	try {
		tickets.Use(text, 1000);
		std::abort();
	} catch (const BadToken &) {
	}
	// the input as claims, well signed; and as the header
	for (const auto &head : {std::string(R"({"alg":"HS256"})"), std::string(text)}) {
		const auto signed_text = EncodeBase64Url(head) + '.' + EncodeBase64Url(text);
		try {
			const auto principal = verifier.Verify(signed_text + '.' + EncodeBase64Url(HmacSha256(kSecret, signed_text)), 1000);
			REQUIRE(principal.role == "viewer" && principal.expires >= 1000 && !principal.tenant.empty());
			const auto ticket = tickets.Make(principal, 1000);
			REQUIRE(principal.expires == 1000 || tickets.Use(ticket, 1000).tenant == principal.tenant);
		} catch (const BadToken &) {
		}
	}
	return 0;
}

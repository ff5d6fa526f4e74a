#include "config.hpp"

#include "expect_bad.hpp"

namespace auren::gateway {
namespace {

// A configuration with what must be there, and more keys.
std::string
With(const std::string &more) {
	return R"({"database": {"connection": "dbname=x"}, "tokens": {"audience": "a", "roles": {"viewer": {}}, )"
	       R"("keys": [{"kid": "k", "alg": "HS256", "file": "/f"}]})" +
	       more + "}";
}

TEST(Config, HasDefaults) {
	const auto config = ParseConfig(With(" // a comment\n"));
	EXPECT_EQ(config.port, 8480);
	EXPECT_EQ(config.address, "127.0.0.1");
	EXPECT_EQ(config.channels.size(), 2U);
	EXPECT_EQ(config.channels[0].tenant, "default");
	EXPECT_EQ(config.tokens.roles.count("viewer"), 1U);
}

TEST(Config, NamesTheKeyThatIsWrong) {
	EXPECT_REFUSED(ParseConfig(With(R"(, "prot": 1)")), BadInput, "prot");
	EXPECT_REFUSED(ParseConfig(With(R"(, "limits": {"client": 1})")), BadInput, "limits.client");
	EXPECT_REFUSED(ParseConfig(With(R"(, "limits": {"clients": 0})")), BadInput, "limits.clients must be a whole number from 1");
	EXPECT_REFUSED(ParseConfig(With(R"(, "limits": {"clients": 18446744073709551615})")), BadInput, "limits.clients");
	EXPECT_REFUSED(ParseConfig(With(R"(, "port": "80")")), BadInput, "port");
	EXPECT_REFUSED(ParseConfig(With(R"(, "origins": [1])")), BadInput, "origins");
	EXPECT_REFUSED(ParseConfig(With(R"(, "channels": [{"nam": "x"}])")), BadInput, "channels[0].name");
	EXPECT_REFUSED(ParseConfig("{}"), BadInput, "database must be given");
	EXPECT_REFUSED(ParseConfig("[]"), BadInput, "must be an object");
	EXPECT_REFUSED(ParseConfig("{"), BadInput, "not JSON");
}

TEST(Config, TakesNoPasswordAndNoOtherAlgorithm) {
	EXPECT_REFUSED(ParseConfig(R"({"database": {"connection": "password=x"}})"), BadInput, "passfile");
	auto text = With("");
	text.replace(text.find("HS256"), 5, "none");
	EXPECT_REFUSED(ParseConfig(text), BadInput, "HS256, RS256 or EdDSA");
}

} // namespace
} // namespace auren::gateway

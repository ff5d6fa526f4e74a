#include "token.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "expect_bad.hpp"
#include "text.hpp"
#include "tickets.hpp"

namespace auren::gateway {
namespace {

using Json = nlohmann::json;

constexpr int64_t kNow = 1800000000;
const std::string kSecret(40, 's');

// Tests run beside each other, as processes.
std::string
WriteFile(const std::string &name, const std::string &text) {
	const std::string file = testing::TempDir() + std::to_string(getpid()) + "_" + name;
	std::ofstream(file) << text;
	return file;
}

std::shared_ptr<EVP_PKEY>
MakeKey(int kind, int bits) {
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(kind, nullptr);
	EVP_PKEY *key = nullptr;
	EVP_PKEY_keygen_init(context);
	if (kind == EVP_PKEY_RSA) {
		EVP_PKEY_CTX_ctrl(context, EVP_PKEY_RSA, EVP_PKEY_OP_KEYGEN, EVP_PKEY_CTRL_RSA_KEYGEN_BITS, bits, nullptr);
	}
	EVP_PKEY_keygen(context, &key);
	EVP_PKEY_CTX_free(context);
	return {key, EVP_PKEY_free};
}

std::string
PublicPem(EVP_PKEY *key) {
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(bio, key);
	char *data = nullptr;
	const long size = BIO_get_mem_data(bio, &data);
	std::string pem(data, static_cast<size_t>(size));
	BIO_free(bio);
	return pem;
}

std::string
Sign(EVP_PKEY *key, const EVP_MD *digest, const std::string &text) {
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	const auto *bytes = reinterpret_cast<const unsigned char *>(text.data());
	size_t size = 0;
	EVP_DigestSignInit(context, nullptr, digest, nullptr, key);
	EVP_DigestSign(context, nullptr, &size, bytes, text.size());
	std::string signature(size, '\0');
	EVP_DigestSign(context, reinterpret_cast<unsigned char *>(signature.data()), &size, bytes, text.size());
	signature.resize(size);
	EVP_MD_CTX_free(context);
	return signature;
}

Json
Claims() {
	return {{"tenant", "acme"}, {"role", "viewer"}, {"exp", kNow + 60}, {"aud", "gateway"}};
}

std::string
Unsigned(const Json &header, const Json &claims) {
	return EncodeBase64Url(header.dump()) + '.' + EncodeBase64Url(claims.dump());
}

std::string
Hs256(const Json &claims, const std::string &kid = "h") {
	const auto text = Unsigned({{"alg", "HS256"}, {"kid", kid}}, claims);
	return text + '.' + EncodeBase64Url(HmacSha256(kSecret, text));
}

class Token : public testing::Test {
  protected:
	static void
	SetUpTestSuite() {
		rsa = MakeKey(EVP_PKEY_RSA, 2048);
		edwards = MakeKey(EVP_PKEY_ED25519, 0);
	}
	static void
	TearDownTestSuite() {
		rsa.reset();
		edwards.reset();
	}

	TokenConfig
	Config() {
		TokenConfig config;
		config.audience = "gateway";
		config.roles["viewer"];
		config.keys = {{"h", "HS256", WriteFile("secret", kSecret + "\n")},
		               {"r", "RS256", WriteFile("rsa.pem", PublicPem(rsa.get()))},
		               {"e", "EdDSA", WriteFile("ed.pem", PublicPem(edwards.get()))}};
		return config;
	}
	void
	Refuse(const std::string &token, const std::string &why) {
		EXPECT_REFUSED(TokenVerifier(Config()).Verify(token, kNow), BadToken, why);
	}

	static std::shared_ptr<EVP_PKEY> rsa, edwards;
};

std::shared_ptr<EVP_PKEY> Token::rsa;
std::shared_ptr<EVP_PKEY> Token::edwards;

TEST_F(Token, TakesThreeAlgorithms) {
	const TokenVerifier verifier(Config());
	EXPECT_EQ(verifier.Verify(Hs256(Claims()), kNow).tenant, "acme");
	const auto by_rsa = Unsigned({{"alg", "RS256"}, {"kid", "r"}}, Claims());
	EXPECT_EQ(verifier.Verify(by_rsa + '.' + EncodeBase64Url(Sign(rsa.get(), EVP_sha256(), by_rsa)), kNow).role, "viewer");
	const auto by_edwards = Unsigned({{"alg", "EdDSA"}, {"kid", "e"}}, Claims());
	EXPECT_EQ(verifier.Verify(by_edwards + '.' + EncodeBase64Url(Sign(edwards.get(), nullptr, by_edwards)), kNow).expires, kNow + 60);
}

TEST_F(Token, RefusesNoneAndAnotherAlgorithmThanItsKeys) {
	for (const char *alg : {"none", "None", "", "HS512", "RS256"}) {
		Refuse(Unsigned({{"alg", alg}, {"kid", "h"}}, Claims()) + '.', alg[0] == '\0' ? "text alg" : "algorithm");
	}
	// the public key of RSA taken for a secret
	const auto text = Unsigned({{"alg", "HS256"}, {"kid", "r"}}, Claims());
	Refuse(text + '.' + EncodeBase64Url(HmacSha256(PublicPem(rsa.get()), text)), "algorithm");
	Refuse(text + ".", "algorithm");
	Refuse(Hs256(Claims(), "unknown"), "no key");
	const auto nameless = Unsigned({{"alg", "HS256"}}, Claims());
	Refuse(nameless + '.' + EncodeBase64Url(HmacSha256(kSecret, nameless)), "no key");
	const auto critical = Unsigned({{"alg", "HS256"}, {"kid", "h"}, {"crit", {"exp"}}}, Claims());
	Refuse(critical + '.' + EncodeBase64Url(HmacSha256(kSecret, critical)), "extensions");
}

TEST_F(Token, RefusesASignatureThatIsNotTheKeys) {
	auto token = Hs256(Claims());
	Refuse(token.substr(0, token.rfind('.') + 1), "signature");
	token[token.find('.') + 3] = token[token.find('.') + 3] == 'A' ? 'B' : 'A';
	Refuse(token, "signature");
	Refuse(Hs256(Claims()) + "=", "base64url");
	Refuse(Hs256(Claims()) + ".x", "JSON Web Token");
	Refuse("a.b", "JSON Web Token");
	Refuse("", "JSON Web Token");
	Refuse(std::string(20000, 'a'), "JSON Web Token");
}

TEST_F(Token, RefusesClaimsThatAreMissingOrWrong) {
	const auto refuse = [&](const char *key, const Json &value, const std::string &why) {
		auto claims = Claims();
		if (value.is_null()) {
			claims.erase(key);
		} else {
			claims[key] = value;
		}
		Refuse(Hs256(claims), why);
	};
	refuse("exp", nullptr, "exp must be a number");
	refuse("exp", "tomorrow", "exp must be a number");
	refuse("exp", kNow, "expired");
	refuse("nbf", kNow + 60, "not valid yet");
	refuse("nbf", "now", "nbf must be a number");
	refuse("iat", kNow + 60, "not valid yet");
	refuse("aud", nullptr, "audience");
	refuse("aud", "another", "audience");
	refuse("aud", Json::array({"x", "y"}), "audience");
	refuse("tenant", nullptr, "tenant");
	refuse("tenant", 7, "tenant");
	refuse("tenant", std::string("a\0b", 3), "control");
	refuse("tenant", std::string(2000, 'a'), "too long");
	refuse("role", "owner", "role");
	refuse("streams", "user:1", "array of texts");
	refuse("streams", Json::array({1}), "array of texts");
	refuse("deep", Json::array({{{{1}}}, Json::array({Json::array({Json::array({Json::array()})})})}), "JSON Web Token");
}

TEST_F(Token, RefusesAnObjectWithAKeyTwice) {
	const auto text = EncodeBase64Url(R"({"alg":"HS256","kid":"h"})") + '.' +
	                  EncodeBase64Url(R"({"tenant":"a","tenant":"b","role":"viewer","exp":1800000060,"aud":"gateway"})");
	Refuse(text + '.' + EncodeBase64Url(HmacSha256(kSecret, text)), "JSON Web Token");
}

TEST_F(Token, TakesOneOfSeveralAudiencesAndAFractionOfASecond) {
	auto claims = Claims();
	claims["aud"] = {"x", "gateway"};
	claims["exp"] = kNow + 0.5;
	EXPECT_EQ(TokenVerifier(Config()).Verify(Hs256(claims), kNow).tenant, "acme");
	claims["exp"] = 1e300;
	EXPECT_GT(TokenVerifier(Config()).Verify(Hs256(claims), kNow).expires, kNow);
}

TEST_F(Token, TheIssuerCountsWhereItIsConfigured) {
	auto config = Config();
	config.issuer = "us";
	EXPECT_REFUSED(TokenVerifier(config).Verify(Hs256(Claims()), kNow), BadToken, "issuer");
	auto claims = Claims();
	claims["iss"] = "us";
	EXPECT_EQ(TokenVerifier(config).Verify(Hs256(claims), kNow).tenant, "acme");
}

TEST_F(Token, SaysWhatItsBearerMaySee) {
	auto claims = Claims();
	claims["streams"] = {"user:1"};
	EXPECT_FALSE(TokenVerifier(Config()).Verify(Hs256(claims), kNow).channels);
	claims["types"] = {"a"};
	const auto principal = TokenVerifier(Config()).Verify(Hs256(claims), kNow);
	EXPECT_EQ(*principal.allowed.streams, (Names{"user:1"}));
	EXPECT_EQ(*principal.allowed.types, (Names{"a"}));
	// types alone give no channels
	EXPECT_TRUE(principal.channels->empty());
	claims["streams"] = Json::array();
	EXPECT_TRUE(LetsNothing(TokenVerifier(Config()).Verify(Hs256(claims), kNow).allowed));
}

TEST_F(Token, KeysThatAreWeakOrOfAnotherKindAreRefused) {
	auto config = Config();
	config.keys = {{"h", "HS256", WriteFile("short", "too short")}};
	EXPECT_REFUSED(TokenVerifier verifier(config), BadInput, "32 bytes");
	config.keys = {{"h", "HS256", WriteFile("public", PublicPem(rsa.get()))}};
	EXPECT_REFUSED(TokenVerifier verifier(config), BadInput, "public key");
	config.keys = {{"r", "RS256", WriteFile("other", PublicPem(edwards.get()))}};
	EXPECT_REFUSED(TokenVerifier verifier(config), BadInput, "RSA");
	config.keys = {{"r", "RS256", WriteFile("small", PublicPem(MakeKey(EVP_PKEY_RSA, 1024).get()))}};
	EXPECT_REFUSED(TokenVerifier verifier(config), BadInput, "2048");
	config.keys = {{"r", "RS256", "/nowhere"}};
	EXPECT_REFUSED(TokenVerifier verifier(config), BadInput, "/nowhere");
}

TEST_F(Token, ATicketIsGoodOnceAndForAWhile) {
	const auto config = Config();
	Tickets tickets(std::string(32, 'k'), config);
	auto claims = Claims();
	claims["streams"] = {"user:1"};
	const auto principal = TokenVerifier(config).Verify(Hs256(claims), kNow);
	const auto ticket = tickets.Make(principal, kNow);
	const auto same = tickets.Use(ticket, kNow + 1);
	EXPECT_EQ(same.tenant, "acme");
	EXPECT_EQ(same.expires, principal.expires);
	EXPECT_EQ(*same.allowed.streams, (Names{"user:1"}));
	EXPECT_REFUSED(tickets.Use(ticket, kNow + 1), BadToken, "used already");
	EXPECT_REFUSED(tickets.Use(ticket, kNow + 31), BadToken, "too old");
	EXPECT_REFUSED(tickets.Use(tickets.Make(principal, kNow), kNow + 30), BadToken, "too old");
	// another gateway with the same secret takes it, one with another secret does not
	EXPECT_EQ(Tickets(std::string(32, 'k'), config).Use(tickets.Make(principal, kNow), kNow).tenant, "acme");
	EXPECT_REFUSED(Tickets(std::string(32, 'j'), config).Use(tickets.Make(principal, kNow), kNow), BadToken, "not one of this");
	for (const char *text : {"", ".", "a.b", "a", "YQ.YQ", "\xff.\xff"}) {
		EXPECT_REFUSED(tickets.Use(text, kNow), BadToken, "not one of this");
	}
}

} // namespace
} // namespace auren::gateway

#include "tickets.hpp"

#include <openssl/rand.h>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

constexpr JsonBounds kBounds = {16384, 6};
// What is signed by the secret is a ticket and nothing else.
constexpr std::string_view kPurpose = "auren-events-gateway ticket ";

} // namespace

std::string
RandomBytes(size_t count) {
	std::string bytes(count, '\0');
	if (RAND_bytes(reinterpret_cast<unsigned char *>(bytes.data()), static_cast<int>(count)) != 1) {
		throw std::runtime_error("OpenSSL has no random bytes");
	}
	return bytes;
}

Tickets::Tickets(std::string secret, const TokenConfig &config) : secret_(std::move(secret)), config_(config) {
	if (secret_.size() < 32) {
		throw BadInput("the secret of tickets must have 32 bytes or more");
	}
}

std::string
Tickets::Make(const Principal &principal, int64_t now) const {
	const int64_t until = std::min(now + config_.ticket_seconds, principal.expires);
	const nlohmann::json content = {{"id", EncodeBase64Url(RandomBytes(16))}, {"until", until}, {"claims", ClaimsOf(principal)}};
	const auto text = EncodeBase64Url(content.dump());
	return text + '.' + EncodeBase64Url(HmacSha256(secret_, std::string(kPurpose) + text));
}

Principal
Tickets::Use(std::string_view ticket, int64_t now) {
	try {
		const size_t dot = ticket.find('.');
		const auto text = ticket.substr(0, dot);
		const auto signature = dot == std::string_view::npos ? std::string() : DecodeBase64Url(ticket.substr(dot + 1));
		if (!SameBytes(HmacSha256(secret_, std::string(kPurpose) + std::string(text)), signature)) {
			throw BadToken("the ticket is not one of this gateway");
		}
		const auto content = ParseJson(DecodeBase64Url(text), kBounds);
		const int64_t until = content.at("until").get<int64_t>();
		if (until <= now) {
			throw BadToken("the ticket is too old");
		}
		if (now != cleared_) {
			cleared_ = now;
			for (auto one = used_.begin(); one != used_.end();) {
				one = one->second <= now ? used_.erase(one) : std::next(one);
			}
		}
		if (!used_.emplace(content.at("id").get<std::string>(), until).second) {
			throw BadToken("the ticket was used already");
		}
		return PrincipalOf(content.at("claims"), config_);
	} catch (const BadInput &) {
		throw BadToken("the ticket is not one of this gateway");
	} catch (const nlohmann::json::exception &) {
		throw BadToken("the ticket is not one of this gateway");
	}
}

} // namespace auren::gateway

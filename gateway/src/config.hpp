#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace auren::gateway {

// A key that tokens are signed with. The file holds a secret for HS256, a public key in PEM for RS256 and EdDSA.
struct KeyConfig {
	std::string kid;
	std::string alg;
	std::string file;
};

// What a token's role stands for.
struct RoleConfig {
	std::string database_role; // taken by SET LOCAL ROLE; empty: the role of the connection
};

// A channel of NOTIFY that is passed on.
struct ChannelConfig {
	std::string name;
	std::string tenant = "default";       // whose clients get what names no tenant; "*": those of every tenant
	std::string tenant_key = "tenant_id"; // the key of the payload that names the tenant
	std::string stream_key = "user_id";   // the key of the payload that names the stream, after the prefix
	std::string stream_prefix = "user:";
};

struct DatabaseConfig {
	std::string connection; // a connection string of libpq without a password
	std::string hint_channel;
	int statement_seconds = 10;
	int poll_milliseconds = 5;
	int idle_poll_milliseconds = 50;
};

struct TokenConfig {
	std::string audience;
	std::string issuer; // empty: not asked
	std::string cookie = "auren_token";
	int leeway_seconds = 5;
	int ticket_seconds = 30;
	std::string ticket_secret_file; // empty: a secret of the process's own
	std::vector<KeyConfig> keys;
	std::map<std::string, RoleConfig> roles;
};

struct LimitConfig {
	int clients = 20000;
	int clients_per_address = 200;
	int requests_per_second = 50; // an address
	int header_bytes = 16384;
	int body_bytes = 4096;
	int request_seconds = 10;
	int stall_seconds = 30;
	int heartbeat_seconds = 15;
	int drain_seconds = 5;
	int retry_milliseconds = 2000;
	int ring_bytes = 8388608; // a tenant
	int64_t all_rings_bytes = 268435456;
	int preload_positions = 10000;
	int page_events = 1000;
	int page_bytes = 262144;
	int catch_up_bytes = 67108864; // all clients
	int send_buffer_bytes = 0;     // of a client's socket; 0: the system's
};

struct Config {
	std::string address = "127.0.0.1";
	uint16_t port = 8480;
	std::vector<std::string> origins;
	std::vector<std::string> trusted_proxies;
	std::vector<std::string> metrics_from = {"127.0.0.1", "::1"};
	DatabaseConfig database;
	TokenConfig tokens;
	std::vector<ChannelConfig> channels;
	LimitConfig limits;
};

// Reads a configuration: JSON in which comments may stand. Throws BadInput that names the key which is missing, unknown, of another type or out
// of range. No file is opened.
Config ParseConfig(std::string_view text);

// The file's bytes without line breaks at the end. Throws BadInput when it cannot be read, is empty or has more than 64 kB.
std::string ReadSecret(const std::string &file);

} // namespace auren::gateway

#include "config.hpp"

#include <fstream>
#include <initializer_list>
#include <limits>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "bad_input.hpp"

namespace auren::gateway {
namespace {

using Json = nlohmann::json;

// An object of the configuration: each key is taken once, and Finish refuses what nobody took.
class Section {
  public:
	Section(const Json &object, std::string name) : object_(object), name_(std::move(name)) {
		if (!object.is_object()) {
			throw BadInput(Path("") + " must be an object");
		}
	}

	// The value of the key, nullptr when it is absent.
	const Json *
	Find(const std::string &key) {
		taken_.insert(key);
		const auto found = object_.find(key);
		return found == object_.end() ? nullptr : &*found;
	}

	const Json &
	Need(const std::string &key) {
		const Json *value = Find(key);
		if (value == nullptr) {
			throw BadInput(Path(key) + " must be given");
		}
		return *value;
	}

	void
	Text(const std::string &key, std::string *value) {
		if (const Json *given = Find(key)) {
			*value = TextOf(*given, Path(key));
		}
	}

	void
	NeedText(const std::string &key, std::string *value) {
		*value = TextOf(Need(key), Path(key));
		if (value->empty()) {
			throw BadInput(Path(key) + " must not be empty");
		}
	}

	template <typename Number>
	void
	Whole(const std::string &key, Number *value, int64_t least, int64_t most) {
		const Json *given = Find(key);
		if (given == nullptr) {
			return;
		}
		const bool whole = given->is_number_integer() && (!given->is_number_unsigned() || given->get<uint64_t>() <= static_cast<uint64_t>(most));
		if (!whole || given->get<int64_t>() < least || given->get<int64_t>() > most) {
			throw BadInput(Path(key) + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
		}
		*value = static_cast<Number>(given->get<int64_t>());
	}

	void
	Texts(const std::string &key, std::vector<std::string> *values) {
		const Json *given = Find(key);
		if (given == nullptr) {
			return;
		}
		values->clear();
		for (const auto &item : Array(*given, key)) {
			values->push_back(TextOf(item, Path(key)));
		}
	}

	const Json &
	Array(const Json &value, const std::string &key) const {
		if (!value.is_array()) {
			throw BadInput(Path(key) + " must be an array");
		}
		return value;
	}

	void
	Finish() const {
		for (const auto &item : object_.items()) {
			if (taken_.count(item.key()) == 0) {
				throw BadInput("there is no key " + Path(item.key()));
			}
		}
	}

	std::string
	Path(const std::string &key) const {
		if (key.empty()) {
			return name_.empty() ? "the configuration" : name_;
		}
		return name_.empty() ? key : name_ + "." + key;
	}

  private:
	static std::string
	TextOf(const Json &value, const std::string &path) {
		if (!value.is_string() || value.get_ref<const std::string &>().find('\0') != std::string::npos) {
			throw BadInput(path + " must be a text");
		}
		return value.get<std::string>();
	}

	const Json &object_;
	std::string name_;
	std::set<std::string> taken_;
};

void
ReadDatabase(const Json &value, DatabaseConfig *database) {
	Section section(value, "database");
	section.NeedText("connection", &database->connection);
	section.Text("hint_channel", &database->hint_channel);
	section.Whole("statement_seconds", &database->statement_seconds, 1, 3600);
	section.Whole("poll_milliseconds", &database->poll_milliseconds, 1, 60000);
	section.Whole("idle_poll_milliseconds", &database->idle_poll_milliseconds, 1, 60000);
	section.Finish();
	if (database->connection.find("password") != std::string::npos) {
		throw BadInput("database.connection must not hold a password: name a file of passwords by passfile=, or let the server trust the socket");
	}
}

KeyConfig
ReadKey(const Json &value, size_t index) {
	KeyConfig key;
	Section section(value, "tokens.keys[" + std::to_string(index) + "]");
	section.NeedText("kid", &key.kid);
	section.NeedText("alg", &key.alg);
	section.NeedText("file", &key.file);
	section.Finish();
	if (key.alg != "HS256" && key.alg != "RS256" && key.alg != "EdDSA") {
		throw BadInput(section.Path("alg") + " must be HS256, RS256 or EdDSA");
	}
	return key;
}

void
ReadRoles(const Json &value, std::map<std::string, RoleConfig> *roles) {
	Section section(value, "tokens.roles");
	for (const auto &item : value.items()) {
		Section role(item.value(), section.Path(item.key()));
		role.Text("database_role", &(*roles)[item.key()].database_role);
		role.Finish();
	}
	if (roles->empty()) {
		throw BadInput("tokens.roles must name a role");
	}
}

void
ReadTokens(const Json &value, TokenConfig *tokens) {
	Section section(value, "tokens");
	section.NeedText("audience", &tokens->audience);
	section.Text("issuer", &tokens->issuer);
	section.Text("cookie", &tokens->cookie);
	section.Text("ticket_secret_file", &tokens->ticket_secret_file);
	section.Whole("leeway_seconds", &tokens->leeway_seconds, 0, 300);
	section.Whole("ticket_seconds", &tokens->ticket_seconds, 1, 300);
	std::set<std::string> kids;
	for (const auto &item : section.Array(section.Need("keys"), "keys")) {
		tokens->keys.push_back(ReadKey(item, tokens->keys.size()));
		if (!kids.insert(tokens->keys.back().kid).second) {
			throw BadInput("tokens.keys has the kid " + tokens->keys.back().kid + " twice");
		}
	}
	if (tokens->keys.empty()) {
		throw BadInput("tokens.keys must have a key");
	}
	ReadRoles(section.Need("roles"), &tokens->roles);
	section.Finish();
}

ChannelConfig
ReadChannel(const Json &value, size_t index) {
	ChannelConfig channel;
	Section section(value, "channels[" + std::to_string(index) + "]");
	section.NeedText("name", &channel.name);
	section.Text("tenant", &channel.tenant);
	section.Text("tenant_key", &channel.tenant_key);
	section.Text("stream_key", &channel.stream_key);
	section.Text("stream_prefix", &channel.stream_prefix);
	section.Finish();
	for (const char c : channel.name) {
		if (static_cast<unsigned char>(c) < 0x20) {
			throw BadInput(section.Path("name") + " must have no control characters");
		}
	}
	if (channel.name.size() > 63) {
		throw BadInput(section.Path("name") + " must have at most 63 bytes");
	}
	return channel;
}

void
ReadLimits(const Json &value, LimitConfig *limits) {
	constexpr int64_t kMost = std::numeric_limits<int>::max();
	Section section(value, "limits");
	section.Whole("clients", &limits->clients, 1, 1000000);
	section.Whole("clients_per_address", &limits->clients_per_address, 1, 1000000);
	section.Whole("requests_per_second", &limits->requests_per_second, 1, 1000000);
	section.Whole("header_bytes", &limits->header_bytes, 1024, 1048576);
	section.Whole("body_bytes", &limits->body_bytes, 0, 1048576);
	section.Whole("request_seconds", &limits->request_seconds, 1, 3600);
	section.Whole("stall_seconds", &limits->stall_seconds, 1, 3600);
	section.Whole("heartbeat_seconds", &limits->heartbeat_seconds, 1, 3600);
	section.Whole("drain_seconds", &limits->drain_seconds, 0, 3600);
	section.Whole("retry_milliseconds", &limits->retry_milliseconds, 1, 3600000);
	section.Whole("ring_bytes", &limits->ring_bytes, 4096, kMost);
	section.Whole("all_rings_bytes", &limits->all_rings_bytes, 4096, std::numeric_limits<int64_t>::max());
	section.Whole("preload_positions", &limits->preload_positions, 0, kMost);
	section.Whole("page_events", &limits->page_events, 1, 100000);
	section.Whole("page_bytes", &limits->page_bytes, 4096, kMost);
	section.Whole("catch_up_bytes", &limits->catch_up_bytes, 4096, kMost);
	section.Whole("send_buffer_bytes", &limits->send_buffer_bytes, 0, kMost);
	section.Finish();
}

} // namespace

Config
ParseConfig(std::string_view text) {
	const auto value = Json::parse(text, nullptr, false, true);
	if (value.is_discarded()) {
		throw BadInput("the configuration is not JSON");
	}
	Config config;
	Section section(value, "");
	section.Text("address", &config.address);
	section.Whole("port", &config.port, 0, 65535);
	section.Texts("origins", &config.origins);
	section.Texts("trusted_proxies", &config.trusted_proxies);
	section.Texts("metrics_from", &config.metrics_from);
	ReadDatabase(section.Need("database"), &config.database);
	ReadTokens(section.Need("tokens"), &config.tokens);
	if (const Json *channels = section.Find("channels")) {
		for (const auto &item : section.Array(*channels, "channels")) {
			config.channels.push_back(ReadChannel(item, config.channels.size()));
		}
	} else {
		for (const char *name : {"mode_switch", "memory_tier_change"}) {
			config.channels.emplace_back().name = name;
		}
	}
	if (const Json *limits = section.Find("limits")) {
		ReadLimits(*limits, &config.limits);
	}
	section.Finish();
	return config;
}

std::string
ReadSecret(const std::string &file) {
	constexpr size_t kMost = 65536;
	std::ifstream in(file, std::ios::binary);
	std::string bytes(kMost + 1, '\0');
	in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
	bytes.resize(static_cast<size_t>(in.gcount()));
	const size_t end = bytes.find_last_not_of("\r\n");
	if (in.bad() || bytes.size() > kMost || end == std::string::npos) {
		throw BadInput("the file " + file + " cannot be read, is empty or has more than 64 kB");
	}
	bytes.resize(end + 1);
	return bytes;
}

} // namespace auren::gateway

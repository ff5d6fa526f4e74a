#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "bad_input.hpp"
#include "config.hpp"
#include "log.hpp"
#include "server.hpp"

namespace {

using namespace auren::gateway;

constexpr const char *kUsage = "auren-events-gateway [--check] FILE\n\n"
							   "Gives browsers the feed of an auren_events store by server-sent events and WebSocket.\n"
							   "FILE is the configuration. --check reads it with the keys' files and ends.\n";

Config
ReadConfig(const std::string &file) {
	std::ifstream in(file, std::ios::binary);
	if (!in) {
		throw BadInput("the file " + file + " cannot be read");
	}
	return ParseConfig(std::string(std::istreambuf_iterator<char>(in), {}));
}

void
Serve(const Config &config) {
	boost::asio::io_context loop(1);
	Server server(loop, config);
	server.Start();
	LogLine("listening on " + config.address + " port " + std::to_string(server.Port()));
	boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
	signals.async_wait([&](boost::system::error_code error, int) {
		if (!error) {
			server.Drain();
		}
	});
	loop.run();
	server.GetFeed().Stop();
}

} // namespace

int
main(int argc, char **argv) {
	std::signal(SIGPIPE, SIG_IGN);
	const bool check = argc == 3 && std::string(argv[1]) == "--check";
	if (argc != 2 && !check) {
		std::fputs(kUsage, stderr);
		return 2;
	}
	try {
		const Config config = ReadConfig(argv[argc - 1]);
		if (check) {
			TokenVerifier verifier(config.tokens);
			LogLine("the configuration is good");
			return 0;
		}
		Serve(config);
	} catch (const std::exception &error) {
		LogLine(error.what());
		return 1;
	}
	return 0;
}

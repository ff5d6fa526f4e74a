// Checks archives, seals and proofs from files alone: scripts/verify_archive builds and calls it.

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/archives/archive_check.hpp"
#include "core/seals/seal.hpp"

namespace {

using namespace auren;

const char kUsage[] = "verify_archive [--key KEY]... [--seals FILE] [ARCHIVE]     an archive (- or none: standard input), JSON lines\n"
					  "verify_archive [--key KEY]... --seals FILE --no-archive    the chain of seals alone: column line of events.published_roots\n"
					  "verify_archive [--key KEY]... --proof FILE --line FILE     a proof of events.prove, and the line of events.event_line\n"
					  "\n"
					  "KEY: the id or the public half (64 hexadecimal digits) of a key to trust; without one every key is taken as it is.\n"
					  "Ends with 0 where all is as it was sealed, with 1 where it is not, with 2 where it cannot tell.\n";

struct Options {
	std::vector<std::string> keys;
	std::string seals;
	std::string archive = "-";
	std::string proof;
	std::string line;
	bool no_archive = false;
};

Options
Read(int count, char **arguments) {
	Options options;
	for (int i = 1; i < count; i++) {
		const std::string name = arguments[i];
		const auto value = [&]() -> std::string {
			if (i + 1 >= count) {
				throw DomainError("22023", "option " + name + " needs a value");
			}
			return arguments[++i];
		};
		if (name == "--key") {
			options.keys.push_back(value());
		} else if (name == "--seals") {
			options.seals = value();
		} else if (name == "--proof") {
			options.proof = value();
		} else if (name == "--line") {
			options.line = value();
		} else if (name == "--no-archive") {
			options.no_archive = true;
		} else if (name.size() > 1 && name[0] == '-') {
			throw DomainError("22023", "there is no option " + name);
		} else {
			options.archive = name;
		}
	}
	return options;
}

template <typename F>
void
ForEachLine(const std::string &path, F &&use) {
	std::ifstream file;
	if (path != "-") {
		file.open(path, std::ios::binary);
		if (!file) {
			throw DomainError("58P01", "cannot read " + path);
		}
	}
	std::istream &in = path == "-" ? std::cin : file;
	std::string line;
	while (std::getline(in, line)) {
		use(line);
	}
}

std::string
FirstLine(const std::string &path) {
	std::string first;
	ForEachLine(path, [&](const std::string &line) {
		if (first.empty()) {
			first = line;
		}
	});
	return first;
}

int
CheckProof(const Options &options) {
	const Proof proof = ProofOf(FirstLine(options.proof));
	std::string fault = FaultOf(proof, FirstLine(options.line));
	const std::string &key = proof.published.seal.key_id;
	bool trusted = options.keys.empty();
	for (const std::string &one : options.keys) {
		trusted = trusted || one == key || one == Hex(proof.public_key);
	}
	if (fault.empty() && !trusted) {
		fault = "it is signed by key " + key + ", which was not named as one to trust";
	}
	std::cout << (fault.empty() ? "the event is under seal " + std::to_string(proof.published.seal.seal) + ", signed by key " + key : fault) << "\n";
	return fault.empty() ? 0 : 1;
}

int
CheckArchive(const Options &options) {
	ArchiveCheck check;
	for (const std::string &key : options.keys) {
		check.Trust(key);
	}
	if (!options.seals.empty()) {
		ForEachLine(options.seals, [&](const std::string &line) { check.AddSeal(line); });
	}
	if (options.no_archive) {
		check.FinishSeals();
	} else {
		ForEachLine(options.archive, [&](const std::string &line) { check.AddLine(line); });
		check.Finish();
	}
	for (const std::string &fault : check.faults()) {
		std::cout << fault << "\n";
	}
	std::cout << check.events() << " events, " << check.good_seals() << " seals signed by";
	for (const std::string &key : check.keys()) {
		std::cout << " " << key;
	}
	std::cout << "\n";
	return check.faults().empty() ? 0 : 1;
}

} // namespace

int
main(int count, char **arguments) {
	try {
		if (count < 2 || std::string(arguments[1]) == "--help") {
			std::cerr << kUsage;
			return 2;
		}
		const Options options = Read(count, arguments);
		return options.proof.empty() ? CheckArchive(options) : CheckProof(options);
	} catch (const auren::DomainError &error) {
		std::cerr << "verify_archive: " << error.message() << "\n" << error.detail() << "\n";
	} catch (const std::exception &error) {
		std::cerr << "verify_archive: " << error.what() << "\n";
	}
	return 2;
}

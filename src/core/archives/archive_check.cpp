#include "core/archives/archive_check.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/seals/canonical_line.hpp"
#include "core/seals/signing.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

using nlohmann::json;

std::string
NameOf(const Seal &seal) {
	return "seal " + std::to_string(seal.seal);
}

// A seal as the head of an archive has it, with the names that a published one has.
PublishedSeal
SealOfHead(const json &seal) {
	return PublishedSealOf(json({{"seal", seal.at("seal")},
	                             {"month", seal.at("month").get<std::string>().substr(0, 7)},
	                             {"after", seal.at("after_position")},
	                             {"up_to", seal.at("up_to_position")},
	                             {"last", seal.at("last_position")},
	                             {"events", seal.at("events")},
	                             {"root", seal.at("root")},
	                             {"previous", seal.at("previous")},
	                             {"sealed_at", seal.at("sealed_at")},
	                             {"signature", seal.at("signature")},
	                             {"key", seal.at("key_id")}})
	                           .dump());
}

bool
BeginsWith(std::string_view line, std::string_view start) {
	return line.substr(0, start.size()) == start;
}

} // namespace

void
ArchiveCheck::Fault(const std::string &text) {
	faults_.push_back(text);
}

void
ArchiveCheck::Trust(const std::string &key) {
	if (key.size() == 2 * kPublicKeyBytes) {
		const std::string bytes = FromHex(key);
		public_[SealKeyId(bytes)] = bytes;
		trusted_.insert(SealKeyId(bytes));
	} else {
		trusted_.insert(key);
	}
}

void
ArchiveCheck::AddSeal(std::string_view line) {
	const PublishedSeal published = PublishedSealOf(line);
	const Seal &seal = published.seal;
	const std::int64_t before = chain_.empty() ? seal.seal - 1 : chain_.rbegin()->first;
	if (seal.seal != before + 1) {
		Fault(NameOf(seal) + " comes after seal " + std::to_string(before));
	} else if (!chain_.empty() && Hex(BytesOf(seal.previous)) != chain_.rbegin()->second) {
		Fault(NameOf(seal) + " does not go on from the seal before it");
	} else if (seal.seal == 1 && seal.previous != Digest{}) {
		Fault("seal 1 names a seal before it");
	}
	chain_[seal.seal] = Hex(BytesOf(hasher_.Plain(StatementOf(seal))));
	published_.push_back(published);
}

void
ArchiveCheck::ReadHead(std::string_view line) {
	const json head = json::parse(line);
	if (head.at("format") != "auren_events archive 1") {
		throw DomainError(sqlstate::kInvalidParameter, "the archive has a form that this program does not know",
		                  "Its first line says " + head.at("format").dump() + ".", "Use the program of the version that wrote it.");
	}
	expected_events_ = head.at("events").get<std::int64_t>();
	for (const json &seal : head.at("seals")) {
		const std::string public_key = FromHex(seal.at("public_key").get<std::string>());
		public_.emplace(SealKeyId(public_key), public_key);
		ranges_.push_back(std::unique_ptr<SealedRange>(new SealedRange{SealOfHead(seal), seal.at("chain").get<std::string>(), MerkleTree(&hasher_)}));
	}
}

void
ArchiveCheck::ReadEnd(std::string_view line) {
	const json end = json::parse(line);
	ended_ = true;
	if (end.at("events") != events_) {
		Fault("the last line counts " + end.at("events").dump() + " events, and there are " + std::to_string(events_));
	}
	if (end.at("sha256") != Hex(BytesOf(lines_.Finish()))) {
		Fault("the digest of all lines is another one than the last line says");
	}
}

void
ArchiveCheck::AddEvent(std::string_view line) {
	const std::optional<std::int64_t> position = PositionOfLine(line);
	if (!position || *position <= last_position_) {
		Fault("line " + std::to_string(events_ + 2) + " is not the line of an event in order of position");
		return;
	}
	last_position_ = *position;
	events_++;
	lines_.Update(line);
	lines_.Update("\n");
	for (const auto &range : ranges_) {
		const Seal &seal = range->published.seal;
		if (*position > seal.after_position && *position <= seal.up_to_position) {
			range->tree.Add(hasher_.Leaf(line));
			range->last_position = *position;
			return;
		}
	}
	if (!ranges_.empty()) {
		Fault("position " + std::to_string(*position) + " is under no seal");
	}
}

void
ArchiveCheck::AddLine(std::string_view line) {
	try {
		if (ended_) {
			Fault("there is more after the last line");
		} else if (!expected_events_) {
			ReadHead(line);
		} else if (BeginsWith(line, "{\"end\":")) {
			ReadEnd(line);
		} else {
			AddEvent(line);
		}
	} catch (const json::exception &error) {
		throw DomainError(sqlstate::kInvalidParameter, "the file is not an archive", std::string("The JSON library says: ") + error.what() + ".",
		                  "Give it the whole file that events.archive_month wrote, unpacked.");
	}
}

void
ArchiveCheck::CheckSignature(const PublishedSeal &published, const std::string &public_key) {
	const Seal &seal = published.seal;
	keys_.insert(seal.key_id);
	if (SealKeyId(public_key) != seal.key_id || !IsSignedBy(public_key, StatementOf(seal), published.signature)) {
		Fault(NameOf(seal) + " is not signed by key " + seal.key_id);
	} else if (!trusted_.empty() && trusted_.count(seal.key_id) == 0) {
		Fault(NameOf(seal) + " is signed by key " + seal.key_id + ", which was not named as one to trust");
	} else {
		good_seals_.insert(seal.seal);
	}
}

void
ArchiveCheck::CheckRange(const SealedRange &range) {
	const Seal &seal = range.published.seal;
	if (static_cast<std::int64_t>(range.tree.size()) != seal.events) {
		Fault(NameOf(seal) + " covers " + std::to_string(seal.events) + " events, and there are " + std::to_string(range.tree.size()));
	}
	if (range.tree.Root() != seal.root) {
		Fault("the lines do not give the root of " + NameOf(seal) + ": some between positions " + std::to_string(seal.after_position + 1) + " and " +
		      std::to_string(seal.up_to_position) + " were changed, removed or added");
	}
	const std::string chain = Hex(BytesOf(hasher_.Plain(StatementOf(seal))));
	if (chain != range.chain) {
		Fault("the statement of " + NameOf(seal) + " does not give its chain");
	}
	const auto published = chain_.find(seal.seal);
	if (!chain_.empty() && (published == chain_.end() || published->second != chain)) {
		Fault(NameOf(seal) + " of the archive is not among the published ones");
	}
	CheckSignature(range.published, public_[seal.key_id]);
}

void
ArchiveCheck::Finish() {
	for (const auto &range : ranges_) {
		CheckRange(*range);
	}
	if (!expected_events_) {
		Fault("the archive is empty");
	} else if (*expected_events_ != events_) {
		Fault("the first line counts " + std::to_string(*expected_events_) + " events, and there are " + std::to_string(events_));
	}
	if (expected_events_ && !ended_) {
		Fault("the last line is missing: the archive was not written to its end");
	}
	FinishSeals();
}

void
ArchiveCheck::FinishSeals() {
	for (const PublishedSeal &published : published_) {
		const auto key = public_.find(published.seal.key_id);
		if (key == public_.end()) {
			Fault("the public half of key " + published.seal.key_id + " is not known: name it as one to trust");
		} else {
			CheckSignature(published, key->second);
		}
	}
}

} // namespace auren

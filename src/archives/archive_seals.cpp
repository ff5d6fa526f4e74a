#include "archives/archive_seals.hpp"

#include <algorithm>
#include <cstddef>

#include "access/own_query.hpp"
#include "core/error.hpp"

namespace auren::pg {

namespace {

constexpr const char *kDiffers = "XX001";
constexpr std::size_t kPositionBytes = 8;
constexpr std::size_t kLeafBytes = kPositionBytes + kDigestBytes;

[[noreturn]] void
ThrowNotWhatWasSealed(const std::string &detail) {
	throw DomainError(kDiffers, "the archive does not hold what was sealed", detail,
	                  "Fetch the file again from where it was written to; if it is the same there, somebody changed it.");
}

// 8 bytes, the most significant first.
int64
PositionOf(std::string_view bytes) {
	uint64 position = 0;
	for (const char byte : bytes.substr(0, kPositionBytes)) {
		position = position << 8U | static_cast<unsigned char>(byte);
	}
	return static_cast<int64>(position);
}

std::string
SealText(const ArchivedSeal &seal) {
	return "seal " + std::to_string(seal.seal);
}

} // namespace

std::vector<ArchivedSeal>
SealsOfMonth(Month month) {
	std::vector<ArchivedSeal> seals;
	for (const TextRow &row : QueryAsOwner("SELECT s.seal, s.after_position, s.up_to_position, s.last_position, s.events, encode(s.root, 'hex'), "
	                                       "encode(s.previous, 'hex'), encode(s.chain, 'hex'), s.key_id, encode(s.signature, 'hex'), "
	                                       "to_char(s.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
	                                       "coalesce(encode(k.public_key, 'hex'), '') FROM auren.seals s "
	                                       "LEFT JOIN auren.registered_seal_keys k ON k.key_id = s.key_id WHERE s.month = $1::date ORDER BY s.seal",
	                                       {DateText(month)})) {
		seals.push_back({std::stoll(*row[0]), month, std::stoll(*row[1]), std::stoll(*row[2]), std::stoll(*row[3]), std::stoll(*row[4]), *row[5],
		                 *row[6], *row[7], *row[8], *row[9], *row[10], *row[11]});
	}
	return seals;
}

std::string
DifferenceOfSeals(const std::vector<ArchivedSeal> &archived, const std::vector<ArchivedSeal> &stored) {
	for (std::size_t i = 0; i < std::min(archived.size(), stored.size()); i++) {
		const ArchivedSeal &a = archived[i];
		const ArchivedSeal &b = stored[i];
		if (a.seal != b.seal) {
			return "It has " + SealText(a) + " where the store has " + SealText(b) + ".";
		}
		if (a.chain != b.chain || a.root != b.root || a.events != b.events || a.up_to_position != b.up_to_position) {
			return "In it " + SealText(a) + " has the chain " + a.chain + ", in the store " + b.chain + ".";
		}
	}
	if (archived.size() < stored.size()) {
		return "It lacks " + SealText(stored[archived.size()]) + ", which the store made after it was written, or another store never had.";
	}
	if (archived.size() > stored.size()) {
		return "It has " + SealText(archived[stored.size()]) + ", which the store does not have.";
	}
	return "";
}

SealedLines::SealedLines(std::vector<ArchivedSeal> seals) : seals_(std::move(seals)), tree_(&hasher_) {
}

void
SealedLines::Add(int64 position, std::string_view line) {
	while (current_ < seals_.size() && position > seals_[current_].up_to_position) {
		FinishSeal();
	}
	if (current_ == seals_.size() || position <= seals_[current_].after_position) {
		unsealed_++;
		return;
	}
	const Digest leaf = hasher_.Leaf(line);
	CompareWithLeaf(position, leaf);
	tree_.Add(leaf);
}

void
SealedLines::CompareWithLeaf(int64 position, const Digest &leaf) {
	const auto at = static_cast<int64>(tree_.size());
	const int64 pack = at / static_cast<int64>(kPackLeaves);
	if (pack != pack_) {
		const auto rows = QueryAsOwner("SELECT encode(leaves, 'hex') FROM auren.seal_leaves WHERE seal = $1::bigint AND pack = $2::integer",
		                               {std::to_string(seals_[current_].seal), std::to_string(pack)});
		leaves_ = rows.empty() ? "" : FromHex(*rows[0][0]);
		pack_ = pack;
	}
	const std::size_t offset = static_cast<std::size_t>(at) % kPackLeaves * kLeafBytes;
	if (leaves_.empty()) {
		return;
	}
	const std::string_view kept = std::string_view(leaves_).substr(std::min(offset, leaves_.size()), kLeafBytes);
	if (kept.size() < kLeafBytes || position < PositionOf(kept)) {
		ThrowNotWhatWasSealed("The event at position " + std::to_string(position) + " is not under " + SealText(seals_[current_]) + ".");
	}
	if (position > PositionOf(kept)) {
		ThrowNotWhatWasSealed("The event at position " + std::to_string(PositionOf(kept)) + ", which is under " + SealText(seals_[current_]) +
		                      ", is missing.");
	}
	if (kept.substr(kPositionBytes) != BytesOf(leaf)) {
		ThrowNotWhatWasSealed("The event at position " + std::to_string(position) + " was changed: its digest is " + Hex(BytesOf(leaf)) + ", under " +
		                      SealText(seals_[current_]) + " it is " + Hex(kept.substr(kPositionBytes)) + ".");
	}
}

void
SealedLines::FinishSeal() {
	const ArchivedSeal &seal = seals_[current_++];
	const auto lines = static_cast<int64>(tree_.size());
	if (lines != seal.events) {
		ThrowNotWhatWasSealed("Under " + SealText(seal) + " are " + std::to_string(seal.events) + " events, and the archive has " +
		                      std::to_string(lines) + " of them.");
	}
	if (Hex(BytesOf(tree_.Root())) != seal.root) {
		ThrowNotWhatWasSealed("The events under " + SealText(seal) + " have the root " + Hex(BytesOf(tree_.Root())) + ", and the seal has " +
		                      seal.root + ".");
	}
	tree_ = MerkleTree(&hasher_);
	pack_ = -1;
}

void
SealedLines::Finish() {
	while (current_ < seals_.size()) {
		FinishSeal();
	}
}

} // namespace auren::pg

#include "seals/month_leaves.hpp"

#include "core/error.hpp"

namespace auren::pg {

namespace {

constexpr std::size_t kLeafBytes = 8 + kDigestBytes;

// seal, after, up to, last, events, root; pack, events of the pack, root, leaves
constexpr const char *kSql =
	"SELECT s.seal, s.after_position, s.up_to_position, s.last_position, s.events, s.root, l.pack, l.events, l.root, l.leaves "
	"FROM auren.seals s LEFT JOIN auren.seal_leaves l ON l.seal OPERATOR(pg_catalog.=) s.seal "
	"WHERE s.month OPERATOR(pg_catalog.=) $1 AND s.seal OPERATOR(pg_catalog.>) $2 ORDER BY s.seal, l.pack";

} // namespace

std::vector<Leaf>
LeavesOf(const std::string &bytes) {
	if (bytes.size() % kLeafBytes != 0) {
		throw DomainError("XX001", "a pack of digests has a length that none has", "It has " + std::to_string(bytes.size()) + " bytes.",
		                  "Somebody has changed auren.seal_leaves.");
	}
	std::vector<Leaf> leaves;
	leaves.reserve(bytes.size() / kLeafBytes);
	for (std::size_t at = 0; at < bytes.size(); at += kLeafBytes) {
		uint64 position = 0;
		for (std::size_t i = 0; i < 8; i++) {
			position = position << 8 | static_cast<unsigned char>(bytes[at + i]);
		}
		leaves.push_back({static_cast<int64>(position), DigestOf(std::string_view(bytes).substr(at + 8, kDigestBytes))});
	}
	return leaves;
}

MonthLeaves::MonthLeaves(Month month, int64 since_seal, Snapshot snapshot, const FindingSink &tell)
	: month_(month), tell_(tell), rows_(kSql, {DATEOID, INT8OID}, {DateADTGetDatum(month.StartDays()), Int64GetDatum(since_seal)}, snapshot) {
}

void
MonthLeaves::Tell(const std::string &detail, std::optional<int64> position) {
	tell_({"leaves", month_, position, {}, {}, "Seal " + std::to_string(seal_) + ": " + detail});
}

void
MonthLeaves::BeginSeal() {
	seal_ = rows_.Int(0);
	after_ = rows_.Int(1);
	up_to_ = rows_.Int(2);
	last_ = rows_.Int(3);
	events_ = rows_.Int(4);
	root_ = rows_.Bytes(5);
	found_ = 0;
	packs_ = 0;
	previous_ = after_;
	tree_.emplace(&hasher_);
}

void
MonthLeaves::EndSeal() {
	if (seal_ == 0) {
		return;
	}
	if (found_ != events_) {
		Tell("there are " + std::to_string(found_) + " digests, and the seal covers " + std::to_string(events_) + " events.");
	} else if (previous_ != last_) {
		Tell("its last digest is of position " + std::to_string(previous_) + ", and the seal says " + std::to_string(last_) + ".");
	}
	if (std::string(BytesOf(tree_->Root())) != root_) {
		Tell("the digests do not give its root.");
	}
	seal_ = 0;
}

// Reads the pack of the row, and compares it with what the row says of it.
void
MonthLeaves::CheckPack() {
	const std::string bytes = rows_.Bytes(9);
	leaves_.clear();
	at_ = 0;
	if (bytes.size() % kLeafBytes == 0) {
		leaves_ = LeavesOf(bytes);
	}
	const int32 pack = DatumGetInt32(Int64GetDatum(rows_.Int(6)));
	const std::string name = "pack " + std::to_string(pack);
	const auto events = static_cast<std::size_t>(DatumGetInt32(Int64GetDatum(rows_.Int(7))));
	if (pack != packs_++ || leaves_.size() != events || leaves_.empty() || leaves_.size() > kPackLeaves) {
		Tell(name + " has " + std::to_string(leaves_.size()) + " digests where " + std::to_string(events) + " belong, or stands for another one.");
	}
	std::vector<Digest> digests;
	for (const Leaf &leaf : leaves_) {
		if (leaf.position <= previous_ || leaf.position > up_to_) {
			Tell(name + " has a position that is out of order.", leaf.position);
		}
		previous_ = leaf.position;
		digests.push_back(leaf.digest);
	}
	const Digest root = RootOf(&hasher_, digests.data(), digests.size());
	if (std::string(BytesOf(root)) != rows_.Bytes(8) && !leaves_.empty()) {
		Tell(name + ", positions " + std::to_string(leaves_.front().position) + " to " + std::to_string(leaves_.back().position) +
		     ", does not give the root that was kept for it.");
	}
	tree_->Add(root);
	found_ += static_cast<int64>(leaves_.size());
}

bool
MonthLeaves::NextPack() {
	while (rows_.Next()) {
		if (rows_.Int(0) != seal_) {
			EndSeal();
			BeginSeal();
		}
		if (!rows_.IsNull(6)) {
			CheckPack();
		}
		if (at_ < leaves_.size()) {
			return true;
		}
	}
	EndSeal();
	return false;
}

std::optional<Leaf>
MonthLeaves::Next() {
	if (at_ >= leaves_.size()) {
		leaves_.clear();
		at_ = 0;
		if (!NextPack()) {
			return std::nullopt;
		}
	}
	return leaves_[at_++];
}

void
MonthLeaves::End() {
	rows_.End();
}

} // namespace auren::pg

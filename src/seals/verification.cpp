#include "seals/verification.hpp"

#include <map>
#include <set>
#include <vector>

#include "access/store_rows.hpp"
#include "core/seals/seal.hpp"
#include "core/seals/signing.hpp"
#include "seals/month_comparison.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

struct RegisteredKey {
	std::string public_key;
	std::string endorsed_by;
	std::string endorsement;
	bool first;
};

// What the chain of seals is known to be so far.
struct Chain {
	int64 seal = 0;
	int64 after = 0;
	int64 up_to = 0;
	Digest chain = {};
	std::set<std::int32_t> months; // of the seals that were checked
	int64 events = 0;              // that they cover
};

class Verification {
  public:
	Verification(const VerifyPart &part, const FindingSink &tell)
		: part_(part), tell_([this, &tell](const Finding &finding) {
			  verified_.findings++;
			  tell(finding);
		  }) {
	}
	Verified Run();

  private:
	void
	Tell(const char *problem, const std::string &detail) {
		tell_({problem, std::nullopt, std::nullopt, {}, {}, detail});
	}
	bool
	IsAsked(Month month) const {
		return (!part_.from || *part_.from <= month) && (!part_.to || month <= *part_.to);
	}
	void ReadKeys();
	void ReadAnchor();
	void CheckSeals();
	void CheckSeal(const PublishedSeal &published, const std::string &chain);
	void CheckOrder(const Seal &seal);
	void CheckEnd();
	void CheckKey(const std::string &key_id);
	void ReadDropped();
	void ReadMonths();
	void CheckMonths();
	int64 SealedBefore(Month month);
	SealedRanges RangesOf(Month month);
	int64 Single(const char *sql);

	const VerifyPart part_;
	const FindingSink tell_;
	Verified verified_ = {};
	Snapshot snapshot_ = nullptr;
	Hasher hasher_;
	std::map<std::string, RegisteredKey> keys_;
	std::set<std::string> checked_keys_;
	Chain chain_;
	std::set<std::int32_t> dropped_;
	std::map<std::int32_t, Oid> partitions_;
};

void
Verification::ReadKeys() {
	StoreRows rows("SELECT key_id, public_key, endorsed_by, endorsement FROM auren.registered_seal_keys ORDER BY registered_at, key_id", {}, {},
	               snapshot_);
	while (rows.Next()) {
		RegisteredKey key = {rows.Bytes(1), {}, {}, keys_.empty()};
		if (!rows.IsNull(2) && !rows.IsNull(3)) {
			key.endorsed_by = rows.Bytes(2);
			key.endorsement = rows.Bytes(3);
		}
		keys_.emplace(rows.Bytes(0), key);
	}
	rows.End();
}

// A key is good if it is the first one, or a good one endorsed it.
void
Verification::CheckKey(const std::string &key_id) {
	if (!checked_keys_.insert(key_id).second) {
		return;
	}
	const auto found = keys_.find(key_id);
	if (found == keys_.end() || SealKeyId(found->second.public_key) != key_id) {
		Tell("key", "Key " + key_id + " signed seals and is not registered, or another key stands under its id.");
		return;
	}
	const RegisteredKey &key = found->second;
	if (key.endorsed_by.empty()) {
		if (!key.first) {
			Tell("key", "Key " + key_id + " was registered without an endorsement by the key before it.");
		}
		return;
	}
	const auto before = keys_.find(key.endorsed_by);
	if (before == keys_.end() || !IsSignedBy(before->second.public_key, EndorsementText(key.public_key, key.endorsed_by), key.endorsement)) {
		Tell("key", "Key " + key_id + " is not endorsed by key " + key.endorsed_by + " as it says.");
	}
	CheckKey(key.endorsed_by);
}

// The seal after which the verification begins: what it says is taken as it is.
void
Verification::ReadAnchor() {
	if (part_.since_seal <= 0) {
		return;
	}
	StoreRows rows("SELECT after_position, up_to_position, chain FROM auren.seals WHERE seal OPERATOR(pg_catalog.=) $1", {INT8OID},
	               {Int64GetDatum(part_.since_seal)}, snapshot_);
	chain_.seal = part_.since_seal;
	if (rows.Next()) {
		chain_.after = rows.Int(0);
		chain_.up_to = rows.Int(1);
		chain_.chain = DigestOf(rows.Bytes(2));
	} else {
		Tell("seal", "Seal " + std::to_string(part_.since_seal) + ", after which to begin, is not there.");
	}
	rows.End();
}

void
Verification::CheckOrder(const Seal &seal) {
	const std::string name = "Seal " + std::to_string(seal.seal);
	if (seal.seal != chain_.seal + 1) {
		Tell("seal", name + " comes after seal " + std::to_string(chain_.seal) + ": those between them were removed.");
	}
	if (seal.previous != chain_.chain) {
		Tell("seal", name + " does not go on from the seal before it.");
	}
	const bool same_call = seal.after_position == chain_.after && seal.up_to_position == chain_.up_to;
	if (seal.after_position != chain_.up_to && !same_call) {
		Tell("seal", name + " begins after position " + std::to_string(seal.after_position) + ", and the one before it ends at " +
		                 std::to_string(chain_.up_to) + ".");
	}
}

void
Verification::CheckSeal(const PublishedSeal &published, const std::string &chain) {
	const Seal &seal = published.seal;
	CheckOrder(seal);
	const std::string statement = StatementOf(seal);
	const Digest digest = hasher_.Plain(statement);
	const std::string name = "Seal " + std::to_string(seal.seal);
	if (std::string(BytesOf(digest)) != chain) {
		Tell("seal", name + " was changed: its statement does not give its chain.");
	}
	CheckKey(seal.key_id);
	const auto key = keys_.find(seal.key_id);
	if (key != keys_.end() && !IsSignedBy(key->second.public_key, statement, published.signature)) {
		Tell("signature", name + " is not signed by key " + seal.key_id + ".");
	}
	chain_.seal = seal.seal;
	chain_.after = seal.after_position;
	chain_.up_to = seal.up_to_position;
	chain_.chain = digest;
	if (IsAsked(seal.month)) {
		chain_.months.insert(seal.month.index());
		chain_.events += seal.events;
	}
	verified_.seals++;
}

void
Verification::CheckSeals() {
	StoreRows rows("SELECT seal, month, after_position, up_to_position, last_position, events, root, previous, chain, key_id, signature, sealed_at "
	               "FROM auren.seals WHERE seal OPERATOR(pg_catalog.>) $1 ORDER BY seal",
	               {INT8OID}, {Int64GetDatum(part_.since_seal)}, snapshot_);
	while (rows.Next()) {
		PublishedSeal published;
		Seal &seal = published.seal;
		seal.seal = rows.Int(0);
		seal.month = Month::FromDays(rows.Day(1));
		seal.after_position = rows.Int(2);
		seal.up_to_position = rows.Int(3);
		seal.last_position = rows.Int(4);
		seal.events = rows.Int(5);
		const std::string root = rows.Bytes(6);
		const std::string previous = rows.Bytes(7);
		if (root.size() != kDigestBytes || previous.size() != kDigestBytes) {
			Tell("seal", "Seal " + std::to_string(seal.seal) + " was changed: its digests have not the length of digests.");
			continue;
		}
		seal.root = DigestOf(root);
		seal.previous = DigestOf(previous);
		seal.key_id = rows.Bytes(9);
		published.signature = rows.Bytes(10);
		seal.sealed_at = rows.Int(11);
		CheckSeal(published, rows.Bytes(8));
		const int64 done = verified_.seals;
		Call([&](Server server) { ReportProgress(server, done); });
	}
	rows.End();
}

int64
Verification::Single(const char *sql) {
	StoreRows rows(sql, {}, {}, snapshot_);
	const int64 value = rows.Next() && !rows.IsNull(0) ? rows.Int(0) : 0;
	rows.End();
	return value;
}

// The position up to which the month was sealed by the seals that are taken as they are. No event has a position below 1, unless somebody inserts
// one.
int64
Verification::SealedBefore(Month month) {
	if (part_.since_seal <= 0) {
		return PG_INT64_MIN;
	}
	StoreRows rows("SELECT pg_catalog.min(after_position) FROM auren.seals WHERE month OPERATOR(pg_catalog.=) $1 AND seal OPERATOR(pg_catalog.>) $2",
	               {DATEOID, INT8OID}, {DateADTGetDatum(month.StartDays()), Int64GetDatum(part_.since_seal)}, snapshot_);
	const int64 after = rows.Next() && !rows.IsNull(0) ? rows.Int(0) : 0;
	rows.End();
	return after;
}

SealedRanges
Verification::RangesOf(Month month) {
	SealedRanges ranges = SealedRanges::value_type();
	StoreRows rows("SELECT after_position, up_to_position FROM auren.seals WHERE month OPERATOR(pg_catalog.=) $1 ORDER BY seal", {DATEOID},
	               {DateADTGetDatum(month.StartDays())}, snapshot_);
	while (rows.Next()) {
		ranges->emplace_back(rows.Int(0), rows.Int(1));
	}
	rows.End();
	return ranges;
}

// Seals that were removed at the end leave traces only where nobody looked after these too.
void
Verification::CheckEnd() {
	const int64 leaves = Single("SELECT pg_catalog.max(seal) FROM auren.seal_leaves");
	const int64 verified = Single("SELECT pg_catalog.max(last_seal) FROM auren.verifications");
	if (leaves > chain_.seal) {
		Tell("seal", "There are digests of seal " + std::to_string(leaves) + ", and seal " + std::to_string(chain_.seal) + " is the last one.");
	}
	if (verified > chain_.seal) {
		Tell("seal", "Seal " + std::to_string(verified) + " was verified before, and seal " + std::to_string(chain_.seal) + " is the last one.");
	}
}

void
Verification::ReadDropped() {
	if (Single(
			"SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('auren.month_records')") ==
	    0) {
		return;
	}
	StoreRows rows("SELECT month FROM auren.month_records WHERE dropped_at IS NOT NULL", {}, {}, snapshot_);
	while (rows.Next()) {
		dropped_.insert(Month::FromDays(rows.Day(0)).index());
	}
	rows.End();
}

void
Verification::ReadMonths() {
	int64 lower = PG_INT64_MIN;
	for (;;) {
		const PartitionRange range = Call([&](Server server) {
			Relation events = table_open(own::events.Get(server), AccessShareLock);
			const PartitionRange next = FirstPartition(server, events, lower, PG_INT64_MAX, ForwardScanDirection);
			table_close(events, NoLock);
			return next;
		});
		if (!OidIsValid(range.relid)) {
			return;
		}
		lower = range.upper;
		partitions_[Month::FromMicros(range.lower).index()] = range.relid;
	}
}

void
Verification::CheckMonths() {
	for (const std::int32_t index : chain_.months) {
		if (partitions_.count(index) == 0 && dropped_.count(index) == 0) {
			const Month month = Month::FromIndex(index);
			tell_({"month missing",
			       month,
			       std::nullopt,
			       {},
			       {},
			       "Its events are sealed, and it is not attached; that it was dropped is not recorded."});
		}
	}
	UnmatchedEvents unmatched(tell_);
	for (const auto &[index, partition] : partitions_) {
		const Month month = Month::FromIndex(index);
		// what comes after a seal is in the months of later seals; all else has been looked at when the seals up to it were
		if (!IsAsked(month) || (part_.since_seal > 0 && chain_.months.count(index) == 0)) {
			continue;
		}
		const bool came_back = dropped_.count(index) != 0;
		const MonthPart part = {month, partition, part_.since_seal, SealedBefore(month), chain_.up_to, came_back ? RangesOf(month) : SealedRanges()};
		verified_.events += CompareMonth(part, snapshot_, verified_.events, &unmatched);
	}
	unmatched.TellAll(snapshot_);
}

Verified
Verification::Run() {
	snapshot_ = Call([](Server server) {
		BeginProgress(server, WorkPhase::kVerifyingSeals, 0);
		return RegisterSnapshot(GetLatestSnapshot());
	});
	ReadKeys();
	ReadAnchor();
	CheckSeals();
	CheckEnd();
	ReadDropped();
	ReadMonths();
	const int64 events = chain_.events;
	Call([&](Server server) { BeginProgress(server, WorkPhase::kVerifyingEvents, events); });
	CheckMonths();
	Call([&](Server server) {
		UnregisterSnapshot(snapshot_);
		EndProgress(server);
	});
	verified_.last_seal = chain_.seal;
	verified_.up_to = chain_.up_to;
	return verified_;
}

} // namespace

Verified
VerifySeals(const VerifyPart &part, const FindingSink &tell) {
	return Verification(part, tell).Run();
}

} // namespace auren::pg

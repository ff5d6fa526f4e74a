#pragma once

#include <optional>
#include <string>
#include <vector>

#include "access/store_rows.hpp"
#include "core/seals/digest.hpp"
#include "core/seals/merkle.hpp"
#include "seals/verification.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

struct Leaf {
	int64 position;
	Digest digest;
};

// The leaves of a pack, as auren.seal_leaves has them. Throws DomainError XX001 where the bytes are not such leaves.
std::vector<Leaf> LeavesOf(const std::string &bytes);

/*
 * The digests that the seals of a month have kept, in order of position, a pack at a time. On the way it looks whether the packs give the roots of
 * the seals, and tells what does not.
 */
class MonthLeaves {
  public:
	// The month's seals after a seal.
	MonthLeaves(Month month, int64 since_seal, Snapshot snapshot, const FindingSink &tell);

	// The next leaf; nothing after the last one.
	std::optional<Leaf> Next();
	void End();

  private:
	bool NextPack();
	void BeginSeal();
	void EndSeal();
	void CheckPack();
	void Tell(const std::string &detail, std::optional<int64> position = std::nullopt);

	const Month month_;
	const FindingSink &tell_;
	Hasher hasher_;
	StoreRows rows_;
	// the seal that is read
	int64 seal_ = 0;
	int64 events_ = 0;
	int64 after_ = 0;
	int64 up_to_ = 0;
	int64 last_ = 0;
	std::string root_;
	int64 found_ = 0;
	int32 packs_ = 0;
	std::optional<MerkleTree> tree_;
	int64 previous_ = 0; // position of the leaf before
	std::vector<Leaf> leaves_;
	std::size_t at_ = 0;
};

} // namespace auren::pg

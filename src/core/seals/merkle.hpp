#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/seals/digest.hpp"

namespace auren {

/*
 * A Merkle tree as RFC 9162 has it (section 2.1), to which leaves are added one by one; it keeps a digest for each level.
 */
class MerkleTree {
  public:
	// The hasher outlives the tree.
	explicit MerkleTree(Hasher *hasher) : hasher_(hasher) {
	}
	void Add(const Digest &leaf);
	std::uint64_t
	size() const {
		return size_;
	}
	// That of a tree without leaves is the digest of nothing.
	Digest Root() const;

  private:
	Hasher *hasher_;
	std::uint64_t size_ = 0;
	std::vector<Digest> peaks_; // roots of the full subtrees, the largest first
};

Digest RootOf(Hasher *hasher, const Digest *leaves, std::size_t count);

// The inclusion path of a leaf (section 2.1.3), from the leaf up.
std::vector<Digest> PathOf(Hasher *hasher, const Digest *leaves, std::size_t count, std::size_t index);

// The root that follows from a leaf and its path; nothing where the path has not the length that index and count ask for.
std::optional<Digest> RootFromPath(Hasher *hasher, Digest leaf, std::uint64_t index, std::uint64_t count, const std::vector<Digest> &path);

/*
 * Leaves of a large tree are kept in packs. The tree of the packs' roots is the tree of all leaves, because a full pack has a power of two leaves and
 * only the last one may have fewer: so the path of a leaf is its path within the pack, then that of the pack.
 */
inline constexpr std::size_t kPackLeaves = 256;

} // namespace auren

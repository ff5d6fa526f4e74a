#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/archives/archive_format.hpp"
#include "core/seals/digest.hpp"
#include "core/seals/merkle.hpp"
#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// The store's epoch (feed/store_epoch.hpp) as a text.
std::string StoreEpochText();

// The seals that cover events of a month, in their order.
std::vector<ArchivedSeal> SealsOfMonth(Month month);

// The first thing in which the seals of an archive are not those that the store has of the month; empty where there is none.
std::string DifferenceOfSeals(const std::vector<ArchivedSeal> &archived, const std::vector<ArchivedSeal> &stored);

/*
 * Holds the lines of an archive against the seals that the store has of its month: each against the digest that was kept of it, where it is still
 * there, and those under a seal against its root.
 */
class SealedLines {
  public:
	explicit SealedLines(std::vector<ArchivedSeal> seals);

	// Lines come in order of position. Throws XX001 where the line is not what was sealed, or one before it is missing.
	void Add(int64 position, std::string_view line);
	// After the last one. Throws XX001 likewise.
	void Finish();
	// Lines that no seal covers.
	int64
	unsealed() const {
		return unsealed_;
	}

  private:
	void CompareWithLeaf(int64 position, const Digest &leaf);
	void FinishSeal();

	std::vector<ArchivedSeal> seals_;
	std::size_t current_ = 0; // seal whose lines come
	Hasher hasher_;
	MerkleTree tree_;
	std::string leaves_; // of the pack in which the next line is; empty where they were not kept
	int64 pack_ = -1;
	int64 unsealed_ = 0;
};

} // namespace auren::pg

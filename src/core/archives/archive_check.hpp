#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/seals/digest.hpp"
#include "core/seals/merkle.hpp"
#include "core/seals/seal.hpp"

namespace auren {

/*
 * Checks what a store has given away, from texts alone: the lines of an archive with the seals over them, and a chain of seals. It collects what is
 * wrong and goes on; its memory grows with the seals, not with the events.
 */
class ArchiveCheck {
  public:
	// A key that seals may be signed by, as its id or its public half in hexadecimal. Where none is named, every key is taken as it is.
	void Trust(const std::string &key);
	// The next seal of a chain, as events.published_roots shows it, in order of the numbers.
	void AddSeal(std::string_view line);
	// The next line of an archive: its first one (which has the seals), the events in order of position, its last one.
	void AddLine(std::string_view line);
	// What is found only at the end. Afterwards faults() has all. Whoever gave no line of an archive says so by FinishSeals.
	void Finish();
	void FinishSeals();

	const std::vector<std::string> &
	faults() const {
		return faults_;
	}
	std::int64_t
	events() const {
		return events_;
	}
	// Seals whose root, statement and signature are right.
	std::size_t
	good_seals() const {
		return good_seals_.size();
	}
	const std::set<std::string> &
	keys() const {
		return keys_;
	}

  private:
	struct SealedRange {
		PublishedSeal published;
		std::string chain;
		MerkleTree tree;
		std::int64_t last_position = 0;
	};
	void Fault(const std::string &text);
	void ReadHead(std::string_view line);
	void ReadEnd(std::string_view line);
	void AddEvent(std::string_view line);
	void CheckSignature(const PublishedSeal &published, const std::string &public_key);
	void CheckRange(const SealedRange &range);

	Hasher hasher_;
	RunningDigest lines_;
	std::vector<std::string> faults_;
	std::set<std::string> trusted_;
	std::set<std::string> keys_;                // ids of those that signed
	std::map<std::string, std::string> public_; // public halves that are known, by their ids
	std::map<std::int64_t, std::string> chain_; // of the seals that were published, by their numbers
	std::vector<PublishedSeal> published_;
	std::vector<std::unique_ptr<SealedRange>> ranges_; // of the archive, in order of position
	std::int64_t events_ = 0;
	std::set<std::int64_t> good_seals_;
	std::int64_t last_position_ = 0;
	std::optional<std::int64_t> expected_events_;
	bool ended_ = false;
};

} // namespace auren

#pragma once

#include <memory>
#include <string>

#include "core/archives/archive_format.hpp"
#include "core/seals/digest.hpp"
#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/query.hpp"

namespace auren::pg {

// Throws 42501 where an archive would not be for the caller, or would lack what a policy hides from him.
void RequireMayArchive();

/*
 * A closed month on its way into an archive: its manifest, then the lines of its events in order of position, then the trailer. The events are read
 * by a snapshot taken after the month was found to be closed, so none of them is missing, whatever snapshot the statement has.
 */
class ArchiveSource {
  public:
	// Counts the events. Throws 55000 for a month that is not closed or was dropped, 42704 where there is none.
	explicit ArchiveSource(Month month);
	ArchiveSource(const ArchiveSource &) = delete;
	ArchiveSource &operator=(const ArchiveSource &) = delete;

	const ArchiveManifest &
	manifest() const {
		return manifest_;
	}
	// The next event's line without its line feed, valid until the one after; false after the last one. Its memory is given back with the next one.
	bool Next();
	const std::string &
	line() const {
		return line_;
	}
	// After the last event.
	ArchiveTrailer Trailer();
	// Closes what is open. After an error the end of the transaction does it.
	void End();

  private:
	void Count(int64 lower, int64 upper);
	void Open(int64 lower, int64 upper);

	ArchiveManifest manifest_;
	RunningDigest digest_;
	std::string line_;
	Snapshot snapshot_ = nullptr;
	RunningQuery query_ = {};
	MemoryContext each_ = nullptr; // for one event
	int64 events_ = 0;
};

} // namespace auren::pg

#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "server/arguments.hpp"
#include "state/reducers.hpp"
#include "state/server_fold.hpp"
#include "state/snapshots.hpp"
#include "store/dropped_months.hpp"
#include "store/event_read.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

struct State {
	int64 version;    // of the last event in it, 0 when there is none
	int64 event_time; // created_at of that event
	Datum state;      // jsonb, in the caller's memory context
};

// Whether an event is folded with its personal fields as they are stored, encrypted, or decrypted: for the caller, or for a state that is kept
// encrypted and that nobody is given.
enum class PersonalData { kAsStored, kDecrypted, kDecryptedToKeep };

/*
 * Folds streams, one after the other: from the newest snapshot that can be trusted, else from the first event. Where row
 * security applies a state is of the events that the caller may see, and no snapshot is read or taken.
 *
 * An event that cannot be applied is an error that names it: the SQLSTATE, DETAIL and HINT are those of the reason.
 *
 * A stream whose first months were dropped begins with its opening balance: a version before it is 22023. Events that somebody took away otherwise
 * are 55000, and 40001 where a month was dropped after a fixed snapshot was taken.
 *
 * End() is called on success only: after an error the transaction's end closes what is open.
 */
class StateReader {
  public:
	// No snapshot is read or taken where personal fields are decrypted.
	StateReader(const Tenant &tenant, Snapshot snapshot, PersonalData personal = PersonalData::kAsStored);
	// The state at a version, PG_INT64_MAX for now; takes a snapshot by itself when the fold to now was long.
	State Read(const Text &stream, int64 to_version);
	void End();
	const Tenant &
	tenant() const {
		return tenant_;
	}
	const pg_uuid_t &
	reducers_version() const {
		return reducers_->version;
	}
	bool
	row_security() const {
		return scan_.row_security;
	}
	// The persons of whom something was decrypted for the state that was read last; of kDecryptedToKeep alone.
	const std::set<std::string> &
	persons() const {
		return persons_;
	}
	StreamRows *
	stream_rows() {
		return &scan_.rows;
	}

  private:
	// One way through a stream.
	struct Reading {
		State state;
		int64 folded;
		bool events_missing;   // there are events after those in the state, and they are not there
		int64 opening_version; // of the opening balance, where the version asked for lies before it and an archive may have it; else 0
	};
	Reading TryRead(const Text &stream, int64 to_version, Snapshot openings);
	void GoTo(const Text &stream, const State &from, int64 to_version);
	void BeginAtOpening(const Text &stream, int64 to_version, Fold *fold, Reading *reading, Snapshot snapshot);
	void StartAt(const Text &stream, const OpeningState &opening, Fold *fold);
	Datum Decrypt(const Text &stream, Datum event_type, Datum data);
	void FoldEvents(const Text &stream, int64 to_version, Fold *fold, Reading *reading);

	Tenant tenant_;
	std::shared_ptr<const Reducers> reducers_;
	ServerFold json_;
	StreamScan scan_;
	Snapshots snapshots_;
	bool use_snapshots_;
	PersonalData personal_;
	std::set<std::string> persons_;
};

} // namespace auren::pg

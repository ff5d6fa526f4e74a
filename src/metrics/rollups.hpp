#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/borrowed.hpp"
#include "core/metrics/summary.hpp"
#include "metrics/buckets.hpp"
#include "server/btree.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "server/row_writer.hpp"

namespace auren::pg {

enum Level : int { kFive, kHourly, kDaily, kLevels };

// A summary on its way into a bucket, five minutes' or a longer one's that begins then.
struct Change {
	int64 series;
	TimestampTz bucket;
	Borrowed bytes;
};

// The bytes of a summary in a row.
std::string_view SummaryBytes(Server server, Datum summary);

// What the rollups hold of five minutes of a series, palloc'ed; nothing where that is none.
std::string_view MergedFiveMinutes(Server server, int64 series, TimestampTz bucket, Snapshot snapshot);
// Before when retention has dropped buckets of five minutes.
TimestampTz FiveMinutesDroppedBefore(Server server, Snapshot snapshot);

/*
 * Raises 40001 where the transaction has one server snapshot: a table that was rewritten, emptied or attached since looks empty to it, or is
 * counted twice.
 */
void RequireNewSnapshot(Server server);

// The rollups of all levels, open for the session that has locked them (metrics/refresh.hpp).
class Rollups {
  public:
	// `counting`: where to note the source whose readings are being counted anew, 0 while none are; nullptr: nowhere.
	explicit Rollups(Snapshot snapshot, int32 *counting = nullptr);

	int64
	buckets() const {
		return buckets_;
	}
	// Changes in the order of series and bucket.
	void Apply(const std::vector<Change> &changes, int first_level = kFive);
	void Close();

	/*
	 * For a source that is counted as a whole: sets of readings count too where retention has dropped five minutes. To know which readings
	 * came twice, those five minutes are kept until DropOldFiveMinutes().
	 */
	void
	KeepOldSets() {
		sets_from_ = DT_NOBEGIN;
	}
	void DropOldFiveMinutes();

  private:
	// A level, open for writing.
	struct Rollup {
		Relation heap;
		Relation key;
		IndexScanDesc scan;
		IndexFetchTableData *fetch;
		TupleTableSlot *found;
		TupleTableSlot *row; // that takes its place
		RowWriter added;
		LeafCopy leaf;
	};

	// A row's key, but for its period. A day is a number, a time as it is.
	struct BucketKey {
		int level;
		int64 series;
		int64 bucket;
	};

	// The days of infinite times come after those of the calendar.
	static int32 PeriodOf(int level, int64 bucket);
	// A day as a number, a time as it is.
	int64 BucketOf(int level, TimestampTz five_minutes);
	void Open(Server server);
	void ReadRetention(Server server);
	// Whether there is a row of that key; it is in the level's slot `found` then.
	bool Find(Server server, const BucketKey &key);
	static bool Fetch(Server server, Rollup *rollup, ItemPointer tid);
	static Datum BucketDatum(int level, int64 bucket);
	void ApplyLevel(int level, const std::vector<Change> &changes);
	/*
	 * Merges the sets of readings among the changes into five minutes. `plain`: the other changes. `longer`: those, and what the sets add to
	 * hours and days, which know no moments. The bytes of that are kept in `kept`.
	 */
	void ApplySets(const std::vector<Change> &changes, std::vector<Change> *plain, std::vector<Change> *longer, std::deque<std::string> *kept);
	std::optional<std::string> ApplySet(const Change *first, const Change *end);
	void ApplyTo(int level, int64 bucket, const Change *first, const Change *end);
	void Insert(const BucketKey &key, std::string_view bytes);
	// Takes the place of the row that Find() has found.
	void Update(const BucketKey &key, std::string_view bytes);
	static void Fill(Server server, MemoryContext context, TupleTableSlot *row, const BucketKey &key, std::string_view bytes);
	static void Delete(Server server, Rollup *rollup);
	/*
	 * Only the readings know: a day's and an hour's are asked of the five minutes in them, which are settled by now; five minutes'
	 * of the source.
	 */
	void CountExactly(const BucketKey &key, Summary *summary);
	void NoteCounting(int32 source); // that it is being counted
	Summary FromFiveMinutes(int64 series, const Bucket &whole);
	// Writes down that there are rows in a period.
	void RecordPeriod(int level, int64 bucket);
	void ReadPeriods();

	std::set<std::pair<int, int32>> periods_;
	int last_level_ = -1;
	int32 last_period_ = 0;
	IndexScanDesc part_scan_ = nullptr;
	TupleTableSlot *part_ = nullptr;
	Snapshot snapshot_;
	int32 *counting_;
	pg_tz *zone_ = nullptr;
	TimestampTz dropped_before_[kLevels];
	TimestampTz sets_from_ = DT_NOBEGIN; // sets of readings before that time are not counted
	Rollup rollups_[kLevels];
	MemoryContext home_ = nullptr;    // of the scans, not that of a query which reads a source
	MemoryContext context_ = nullptr; // of what one bucket needs
	int64 buckets_ = 0;
};

} // namespace auren::pg

#include "append/append.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "append/event_write.hpp"
#include "append/relations.hpp"
#include "append/rule_tags.hpp"
#include "conditions/key_locks.hpp"
#include "core/append/import.hpp"
#include "core/error.hpp"
#include "core/store/month.hpp"
#include "core/tags/tag_hash.hpp"
#include "counts/counts.hpp"
#include "encrypted/personal_rules.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/relations.hpp"
#include "metrics/event_readings.hpp"
#include "metrics/readings.hpp"
#include "notify/announce.hpp"
#include "server/as_owner.hpp"
#include "server/btree.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "server/random.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/dropped_months.hpp"
#include "store/event_columns.hpp"
#include "store/event_read.hpp"
#include "store/months.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/stream_row.hpp"
#include "store/tag_months.hpp"
#include "store/tenant.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

// Between the epochs of PostgreSQL and Unix, in microseconds.
constexpr int64 kUnixEpochOffset = INT64CONST(946684800000000);

EventIdMaker id_maker;

// A batch of which others see how far it is, and after how many events they see more.
constexpr std::size_t kShownEvents = 10000;
constexpr int64 kShownEvery = 1000;

// How the name of each month's index on positions begins.
constexpr std::string_view kPositionIndex = "idx_event_store_position_";

// The times of a transaction's last append and of its first: a transaction that has made one holds streams. Some may have gone with a savepoint
// since.
struct LastAppend {
	FullTransactionId transaction = InvalidFullTransactionId;
	int64 time = 0;
	int64 first = 0;
};
LastAppend last_append;

bool
HoldsStreams() {
	const FullTransactionId current = GetTopFullTransactionIdIfAny();
	return FullTransactionIdIsValid(current) && FullTransactionIdEquals(current, last_append.transaction);
}

// What the lock on a stream's row showed.
struct LockedStream {
	StreamRow row;
	int64 last_created_at = PG_INT64_MIN;
	int64 last_position = 0;
	int64 created_at = 0; // of its new events
};

// Columns of auren.supplied_ids
enum SuppliedIdColumn : int { kSuppliedTenant, kSuppliedId, kSuppliedMonth, kSuppliedPosition, kSuppliedIdColumns };

[[noreturn]] void
ThrowLostRace(std::string_view stream_id) {
	throw DomainError(sqlstate::kSerializationFailure, "could not serialize the append to stream \"" + std::string(stream_id) + "\"",
	                  "A concurrent transaction appended to the stream after this transaction's snapshot was taken.", "Retry the whole transaction.");
}

// Somebody set the sequence of positions back: an event that is appended from there would have the place of another one in the feed.
[[noreturn]] void
ThrowSetBack(int64 position) {
	throw DomainError(
		sqlstate::kNotInState, "positions from " + std::to_string(position) + " on were given before",
		"Sequence auren.global_position_seq was set back (ALTER SEQUENCE ... RESTART, setval()), has CACHE above 1, or did not come along "
		"with replicated events.",
		"Its owner sets it right: SELECT setval('auren.global_position_seq', greatest(max(global_position), (SELECT last_value FROM "
		"auren.global_position_seq))) FROM events.event_store.");
}

// Whether an error is that of the index on the positions of a month.
bool
IsTakenPosition(const ErrorData &report) {
	return report.sqlerrcode == ERRCODE_UNIQUE_VIOLATION && report.constraint_name != nullptr &&
	       std::strncmp(report.constraint_name, kPositionIndex.data(), kPositionIndex.size()) == 0;
}

Datum
UuidDatum(const EventId &id) {
	return PointerGetDatum(id.data());
}

/*
 * An append on its way: the tables that it holds open, the plan, and what the store said. One object per call; on an
 * error the transaction's end closes what is open.
 */
class Appending {
  public:
	explicit Appending(const AppendRequest &request)
		: request_(request), plan_(request.elements), tenant_(CurrentTenant()), results_(request.elements.size()) {
		for (std::size_t i = 0; i < request.expectations.size(); i++) {
			plan_.Expect(i, request.expectations[i]);
		}
		plan_.ResolveRepeats(request.elements);
		if (request.import != nullptr) {
			import_.emplace(plan_, request.import->elements, GetCurrentTimestamp());
		}
	}

	std::vector<AppendedEvent>
	Run() {
		try {
			AppendAll();
		} catch (const Error &error) {
			if (IsTakenPosition(*error.report)) {
				ThrowSetBack(first_position_);
			}
			throw;
		}
		CountAppended();
		return std::move(results_);
	}

  private:
	struct Newest {
		bool found;
		bool visible;
		int64 version;
		int64 created_at;
		int64 position;
	};
	void
	AppendAll() {
		OpenStore();
		LockStreams();
		FindStored();
		plan_.AssignVersions();
		if (plan_.new_events() > 0) {
			RequireRuled();
			CheckCondition();
			SealPersonal();
			if (import_) {
				PlaceImported();
			} else {
				GiveTimes();
			}
			GivePositions();
			InsertSuppliedIds();
			Write();
			WriteReadings();
		}
		FillRepeats();
		CloseStore();
	}

	void
	CountAppended() const {
		const auto added = static_cast<int64>(plan_.new_events());
		const int64 repeats = static_cast<int64>(results_.size()) - added;
		if (repeats > 0) {
			Count(Work::kRepeats, repeats);
		}
		if (added > 0 && import_) {
			CountWhenCommitted(Committed::kEventsImported, added);
		} else if (added > 0) {
			CountWhenCommitted(Committed::kAppends);
			CountWhenCommitted(Committed::kEventsAppended, added);
			if (request_.condition != nullptr) {
				CountWhenCommitted(Committed::kConditionalAppends);
			}
		}
	}

	// The month of now is made before any stream is locked: months, then streams, then ids is the order of every append;
	// a transaction that holds streams from earlier waits for no month.
	void
	OpenStore() {
		if (import_) {
			MakeMonthsOfImport();
		}
		OpenEvents();
		now_ = GetCurrentTimestamp();
		EnsureMonthOfNow();
		FindRules();
		EnsureTagMonthOfNow();
		LockStore();
		MakeTags();
		Call([this](Server server) { rows_ = OpenStreamRows(server, RowExclusiveLock); });
		LockKeys();
		OpenWriter();
	}

	// While months are dropped no import is under way: it may have looked at one already. That lock comes before those of months.
	void
	MakeMonthsOfImport() {
		Call([](Server server) { HoldOffDrops(server); });
		for (const Month month : import_->months()) {
			if (Call([&](Server server) { return MonthWasDropped(server, month); })) {
				dropped_months_.push_back(month);
			} else {
				MakeMonths(month, 1);
			}
		}
	}

	// A month that was dropped takes no events, also while its archive is attached. Those that it had can be given again.
	void
	RequireNotDropped() const {
		if (dropped_months_.empty()) {
			return;
		}
		for (std::size_t i = 0; i < results_.size(); i++) {
			const Month month = Month::FromMicros(CreatedAt(i));
			if (plan_.elements()[i].fate == Fate::kNew && std::binary_search(dropped_months_.begin(), dropped_months_.end(), month)) {
				throw DomainError(sqlstate::kNotInState, "month " + month.Suffix() + " was dropped, and takes no events",
				                  "Element " + std::to_string(i + 1) + " of the batch is of that month.",
				                  "Leave it out, or import it into another database.");
			}
		}
	}

	// No month is open yet: ReadNewest has the writer open that of a stream's newest event, which for most streams is the month that the
	// writer writes to as well.
	void
	OpenWriter() {
		const int expected = static_cast<int>(request_.elements.size());
		Call([&](Server server) { BeginWrite(server, &writer_, events_, expected); });
	}

	void
	OpenEvents() {
		Call([this](Server server) { events_ = table_open(own::events.Get(server), EventsMode()); });
	}

	// Two that are about to lock the table as a whole must not hold what the other waits for.
	LOCKMODE
	EventsMode() const {
		return LocksStore() ? AccessShareLock : RowExclusiveLock;
	}

	// Whether the condition is checked under a lock of the whole table, beside which nobody appends.
	bool
	LocksStore() const {
		return request_.condition != nullptr && request_.condition->locks_store();
	}

	void
	LockStore() {
		if (LocksStore()) {
			Call([](Server server) { LockRelationOid(own::events.Get(server), ShareRowExclusiveLock); });
			FindRules();
		}
	}

	// Asked for under the lock of the table: no rule is declared before the end of the transaction.
	void
	FindRules() {
		Call([this](Server server) {
			tag_rules_ = AnyTagRules(server);
			span_rules_ = AnySpanRules(server);
		});
	}

	/*
	 * The tags by which each event is to be found: those that were given and those that rules make. They are known before any stream is locked. Where
	 * a value can make no tag this is said later, of new events alone: a stored one that is given again gets its first result.
	 */
	void
	MakeTags() {
		if (!tag_rules_) {
			return;
		}
		written_.resize(results_.size());
		for (std::size_t i = 0; i < results_.size(); i++) {
			tags_refused_ |= !Call([&](Server server) { return TryTagsToWrite(server, Ruled(i), GivenTags(i), &written_[i]); });
		}
	}

	// What rules make of new events must be tags and spans.
	void
	RequireRuled() {
		if (!tags_refused_ && !span_rules_) {
			return;
		}
		for (std::size_t i = 0; i < results_.size(); i++) {
			if (plan_.elements()[i].fate == Fate::kNew) {
				Call([&](Server server) {
					if (tags_refused_) {
						RequireTagsToWrite(server, Ruled(i), GivenTags(i));
					}
					CheckSpanOf(server, Ruled(i));
				});
			}
		}
	}

	void
	EnsureMonthOfNow() {
		const bool exists = Call([this](Server server) { return OidIsValid(FindPartition(server, events_, now_).relid); });
		if (exists) {
			return;
		}
		// The maker refuses while anybody in this session has the table open, us included. The lock goes too: whoever makes the month may want the
		// table as a whole next, and would wait for us while we wait for the month.
		Call([this] { table_close(events_, EventsMode()); });
		const Month month = Month::FromMicros(now_);
		const bool done = HoldsStreams() && (MakeMonthsUnlessBusy(month, 1 + kMonthsAhead) || KeepTimeOfLast(Wanted::kEvents));
		if (!done) {
			MakeMonths(month, 1 + kMonthsAhead);
		}
		OpenEvents();
	}

	// A month that is older than the version that brought tags has no partition for them until the first one comes.
	void
	EnsureTagMonthOfNow() {
		if (!tag_rules_ && request_.tags.empty()) {
			return;
		}
		const Month month = Month::FromMicros(now_);
		if (!Call([&](Server server) { return OidIsValid(FindTagMonth(server, month)); })) {
			// without the lock, as in EnsureMonthOfNow: a rule may come meanwhile
			Call([this] { table_close(events_, EventsMode()); });
			const bool done = HoldsStreams() && (MakeMonthsUnlessBusy(month, 1) || KeepTimeOfLast(Wanted::kWithTags));
			if (!done) {
				MakeMonths(month, 1);
			}
			OpenEvents();
			FindRules();
		}
	}

	// What an append needs of a month.
	enum class Wanted { kEvents, kWithTags };

	bool
	HasMonth(Server server, int64 time, Wanted wanted) const {
		return OidIsValid(FindPartition(server, events_, time).relid) &&
		       (wanted == Wanted::kEvents || OidIsValid(FindTagMonth(server, Month::FromMicros(time))));
	}

	// The transaction that makes the month may wait for a stream of ours: this append keeps the time of the last one, or of the first one where the
	// month of the last went with a savepoint.
	bool
	KeepTimeOfLast(Wanted wanted) {
		OpenEvents();
		const int64 kept = Call([this, wanted](Server server) {
			int64 time = last_append.time;
			if (!HasMonth(server, time, wanted)) {
				time = last_append.first;
			}
			const bool there = HasMonth(server, time, wanted);
			table_close(events_, NoLock);
			return there ? time : PG_INT64_MIN;
		});
		if (kept == PG_INT64_MIN) {
			return false;
		}
		now_ = kept;
		return true;
	}

	void
	LockKeys() {
		if (LocksStore()) {
			return;
		}
		if (AnyTags()) {
			const TagHash hash(tenant_.id);
			for (std::size_t i = 0; i < results_.size(); i++) {
				const EventTags tags = TagsToWrite(i);
				for (int tag = 0; tag < tags.count; tag++) {
					keys_.Write(hash.Of(TextBytes(tags.items[tag])));
				}
			}
		}
		if (request_.condition != nullptr) {
			request_.condition->AddKeys(tenant_.id, &keys_);
		}
		keys_.ExpectNewStreams(StreamsToMake());
		keys_.Lock();
	}

	// At most so many streams of the batch have no row. They are only counted where there may be too many for the keys of all.
	std::size_t
	StreamsToMake() {
		const auto &streams = plan_.streams();
		if (keys_.HasRoomFor(streams.size())) {
			return streams.size();
		}
		return static_cast<std::size_t>(std::count_if(streams.begin(), streams.end(), [this](const AppendPlan::Stream &stream) {
			const Datum stream_id = DatumOfStream(&stream);
			return !Call([&](Server server) { return HasStreamRow(server, &rows_, tenant_.text, stream_id); });
		}));
	}

	// Those of the batch and those of the condition, in one order.
	void
	LockStreams() {
		auto &streams = plan_.streams();
		locked_.resize(streams.size());
		Condition::Stream *asked = nullptr;
		Condition::Stream *asked_end = nullptr;
		if (request_.condition != nullptr) {
			asked = request_.condition->streams().data();
			asked_end = asked + request_.condition->streams().size();
		}
		for (std::size_t i = 0; i < streams.size(); i++) {
			for (; asked != asked_end && asked->id < streams[i].id; asked++) {
				LockAskedStream(asked);
			}
			const bool is_asked = asked != asked_end && asked->id == streams[i].id;
			LockStream(&streams[i], &locked_[i], {true, is_asked});
			if (is_asked) {
				asked->version = streams[i].version;
				asked->last_position = locked_[i].last_position;
				asked++;
			}
		}
		for (; asked != asked_end; asked++) {
			LockAskedStream(asked);
		}
		const int64 first = HoldsStreams() ? last_append.first : now_;
		last_append = {Call([] { return GetTopFullTransactionId(); }), now_, first};
	}

	StreamRow
	LockRow(Datum stream_id) {
		return Call([&](Server server) { return LockStreamRow(server, &rows_, tenant_.text, stream_id); });
	}

	/*
	 * Locks the row of a stream, or its key where it has none: then whoever asks whether it exists and whoever makes it wait for each other. `use` is
	 * what this call does.
	 */
	StreamRow
	LockRowOrKey(std::string_view id, Datum stream_id, KeyUse use) {
		StreamRow row = LockRow(stream_id);
		if (!row.found && !LocksStore() && keys_.LockStream(StreamKey(tenant_.id, id), use)) {
			row = LockRow(stream_id);
		}
		return row;
	}

	// A stream that is not written to.
	void
	LockAskedStream(Condition::Stream *asked) {
		const StreamRow row = LockRowOrKey(asked->id, asked->text, {false, true});
		if (row.found) {
			const Newest newest = NewestOf(row, asked->id, asked->text);
			asked->version = newest.version;
			asked->last_position = newest.position;
		}
	}

	// What a new stream is once the batch is written. Its first month is not later than that of its first event, which is that of now or a later
	// one unless it is imported.
	NewStream
	MadeBy(const AppendPlan::Stream *stream) {
		if (!import_) {
			const int32 month = Month::FromMicros(now_).StartDays();
			return {month, month, 0};
		}
		const ImportPlan::Stream &imported = import_->streams()[static_cast<std::size_t>(stream - plan_.streams().data())];
		return {Month::FromMicros(imported.first).StartDays(), Month::FromMicros(imported.last).StartDays(), imported.events};
	}

	void
	LockStream(AppendPlan::Stream *stream, LockedStream *locked, KeyUse use) {
		const Datum stream_id = DatumOfStream(stream);
		locked->row = LockRowOrKey(stream->id, stream_id, use);
		for (int turn = 0; !locked->row.found; turn++) {
			const NewStream made = MadeBy(stream);
			const bool inserted = Call([&](Server server) { return InsertStreamRow(server, &rows_, tenant_.text, stream_id, made); });
			if (inserted) {
				// version 0: nobody else can see the stream before this transaction ends
				locked->row.last_month = made.last_month;
				return;
			}
			if (turn == 1000) {
				ThrowLostRace(stream->id);
			}
			locked->row = LockRow(stream_id);
		}
		stream->closed = locked->row.closed;
		const Newest newest = NewestOf(locked->row, stream->id, stream_id);
		if (newest.found && !newest.visible) {
			ThrowLostRace(stream->id);
		}
		stream->version = newest.version;
		locked->last_created_at = newest.created_at;
		locked->last_position = newest.position;
	}

	// The newest event of a locked stream; its version, at least, where the months of all were dropped.
	Newest
	NewestOf(const StreamRow &row, std::string_view id, Datum stream_id) {
		const Month last = Month::FromDays(row.last_month);
		Newest newest = Call([&](Server server) { return ReadNewest(server, last, stream_id); });
		if (newest.found) {
			return newest;
		}
		const OpeningState opening =
			Call([&](Server server) { return ReadOpeningState(server, tenant_.text, stream_id, nullptr, OpeningParts::kVersion); });
		if (opening.version > 0 && last <= Month::FromMicros(opening.event_time)) {
			newest.version = opening.version;
			newest.created_at = opening.event_time;
			return newest;
		}
		if (row.dropped_version == 0) {
			throw DomainError(sqlstate::kNotInState, "the newest events of stream \"" + std::string(id) + "\" are missing",
			                  "They were in partition event_store_" + last.Suffix() + ", which was detached or dropped.",
			                  "Attach it again: without it the stream's next version is not known.");
		}
		newest.version = row.dropped_version;
		newest.created_at = PG_INT64_MIN;
		return newest;
	}

	// The month of tags that is most likely written to is open for the condition as well.
	void
	CheckCondition() {
		if (request_.condition == nullptr) {
			return;
		}
		const bool open = AnyTags() && Call([this](Server server) {
							  const bool there = OidIsValid(FindTagMonth(server, Month::FromMicros(now_)));
							  if (there) {
								  OpenTagsAt(server, &writer_, now_);
							  }
							  return there;
						  });
		request_.condition->Check(tenant_, open ? &writer_.tags_month : nullptr);
	}

	Newest
	ReadNewest(Server server, Month month, Datum stream_id) {
		Newest newest = {};
		OpenMonth(server, &writer_, month.StartMicros());
		if (!writer_.partition_open) {
			return newest;
		}
		const WritablePartition &partition = writer_.partition;
		const StoredEvent event =
			NewestEvent(server, partition.heap, StreamIndex(server, &writer_), partition.attnum, partition.slot, tenant_.text, stream_id);
		newest.found = event.found;
		if (event.found) {
			newest.visible = event.visible;
			newest.version = DatumGetInt64(event.row.values[kStreamVersion]);
			newest.created_at = DatumGetTimestampTz(event.row.values[kCreatedAt]);
			newest.position = DatumGetInt64(event.row.values[kGlobalPosition]);
		}
		ExecClearTuple(partition.slot);
		return newest;
	}

	// A supplied id that the store holds was appended before; with the same content its first result is the answer.
	void
	FindStored() {
		if (plan_.supplied().empty()) {
			return;
		}
		Call([this](Server server) {
			ids_ = table_open(own::supplied_ids.Get(server), RowExclusiveLock);
			ids_pkey_ = index_open(own::supplied_ids_pkey.Get(server), RowExclusiveLock);
		});
		for (const std::uint32_t element : plan_.supplied()) {
			const EventId &id = *request_.elements[element].supplied_id;
			const Stored stored = Call([&](Server server) { return LookUp(server, element, id); });
			if (!stored.found) {
				continue;
			}
			if (stored.month_gone) {
				throw DomainError(sqlstate::kIdReused, "event id " + IdText(id) + " was used in a month that has been dropped",
				                  "What it was used for can no longer be compared.", "Give a new event a new id.");
			}
			if (!stored.same_content && !(stored.other_data != 0 && SameWhenOpened(element, stored.other_data))) {
				ThrowReused(id);
			}
			if (stored.data_differs && !IsPersonal(Subject(element))) {
				ThrowReused(id);
			}
			if (!stored.visible) {
				ThrowLostRace(request_.elements[element].stream_id);
			}
			plan_.MarkStored(element, stored.version);
			results_[element] = {id, stored.version, stored.position};
		}
	}

	[[noreturn]] void
	ThrowReused(const EventId &id) const {
		import_ ? ThrowImportReused(id) : ThrowIdReused(id);
	}

	struct Stored {
		bool found;
		bool visible;
		bool same_content;
		Datum other_data;  // of an event that has other data and is the same in all else
		bool data_differs; // of an event whose month was dropped
		bool month_gone;
		int64 version;
		int64 position;
	};

	// Where the event of an id is: an id that a caller supplied says so in auren.supplied_ids, one that the store made
	// says it itself.
	Stored
	LookUp(Server server, std::uint32_t element, const EventId &id) {
		Stored stored = {};
		const Datum keys[2] = {UuidDatum(id), tenant_.text};
		int64 position = 0;
		int64 micros = 0;
		if (FindSuppliedId(server, keys, &micros, &position)) {
			stored.found = true;
		} else if (!TimeOfMadeId(id, &micros)) {
			return stored;
		}
		const PartitionRange range = FindPartition(server, events_, micros);
		if (!OidIsValid(range.relid)) {
			LookUpDropped(server, element, keys, Month::FromMicros(micros), position, &stored);
			return stored;
		}
		Relation partition = table_open(range.relid, RowExclusiveLock);
		const PartitionShape *shape = ShapeOf(server, partition);
		// a month that is over may do without the index of ids (events.set_settle_policy)
		const bool has_ids = OidIsValid(shape->event_id_index);
		if (!shape->direct_read || !OidIsValid(shape->position_index) || (!has_ids && range.upper > GetCurrentTimestamp())) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			                errmsg("partition \"%s\" lacks its index on event_id or on global_position", RelationGetRelationName(partition)),
			                errhint("Make it again as in the other partitions; supplied ids are looked up by them.")));
		}
		const bool by_id = !stored.found && has_ids;
		if (!stored.found && !by_id && !PositionOfId(server, keys, range, &position)) {
			table_close(partition, NoLock);
			return stored;
		}
		TupleTableSlot *slot = table_slot_create(partition, nullptr);
		const StoredEvent event =
			by_id ? EventWithId(server, partition, shape, slot, keys[0], keys[1]) : EventAtPosition(server, partition, shape, slot, position);
		if (event.found) {
			stored.found = true;
			stored.visible = event.visible;
			const bool same_data = SameBytes(server, event.row.values[kEventData], request_.datums[element].data);
			const bool same_else = SameButForData(server, event.row, element);
			stored.same_content = same_data && same_else;
			if (same_else && !same_data) {
				stored.other_data = JsonbPGetDatum(DatumGetJsonbPCopy(event.row.values[kEventData]));
			}
			stored.version = DatumGetInt64(event.row.values[kStreamVersion]);
			stored.position = DatumGetInt64(event.row.values[kGlobalPosition]);
		}
		ExecDropSingleTupleTableSlot(slot);
		table_close(partition, NoLock);
		return stored;
	}

	// The position of the event that has an id, in a month without an index that finds ids one by one.
	static bool
	PositionOfId(Server server, const Datum *keys, const PartitionRange &month, int64 *position) {
		Oid types[4] = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
		const Datum values[4] = {keys[0], keys[1], TimestampTzGetDatum(month.lower), TimestampTzGetDatum(month.upper - 1)};
		const SavedUser before = SwitchToOwner(server, own::stream_rows.Get(server));
		RunningQuery query;
		StartQuery(server, &query,
		           "SELECT global_position FROM events.event_store WHERE event_id OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 "
		           "AND created_at OPERATOR(pg_catalog.>=) $3 AND created_at OPERATOR(pg_catalog.<=) $4",
		           4, types, values, GetLatestSnapshot());
		const Datum *row;
		const bool *isnull;
		const bool found = NextRow(server, &query, &row, &isnull);
		if (found) {
			*position = DatumGetInt64(row[0]);
		}
		EndQuery(server, &query);
		SwitchBack(server, before);
		return found;
	}

	// An id whose month is gone. Of an event with encrypted fields the data is not compared: each encryption of it has other bytes. Of the time that
	// an import gives, the month is compared: no more of it is kept.
	void
	LookUpDropped(Server server, std::uint32_t element, const Datum *keys, Month month, int64 position, Stored *stored) {
		if (!stored->found) {
			stored->found = stored->month_gone = MonthWasDropped(server, month);
			return;
		}
		const DroppedId dropped = FindDroppedId(server, keys[0], keys[1]);
		stored->month_gone = !dropped.found;
		if (!dropped.found) {
			return;
		}
		const AppendRequest::Datums &given = request_.datums[element];
		const ContentDigest digest =
			DigestOf(server, {given.stream_id, given.event_type, given.data, given.metadata, CreatedBy(element), TagsGiven(element)});
		stored->visible = true;
		stored->same_content = std::memcmp(digest.rest, dropped.content.rest, sizeof digest.rest) == 0 &&
		                       (!import_ || Month::FromMicros(request_.import->elements[element].created_at) == month);
		stored->data_differs = std::memcmp(digest.data, dropped.content.data, sizeof digest.data) != 0;
		stored->version = dropped.version;
		stored->position = position;
	}

	bool
	FindSuppliedId(Server server, const Datum *keys, int64 *micros, int64 *position) {
		static const Oid equal[2] = {F_UUID_EQ, F_TEXTEQ};
		TupleTableSlot *slot = table_slot_create(ids_, nullptr);
		const bool found = FindLast(server, ids_, ids_pkey_, keys, equal, 2, slot);
		if (found) {
			slot_getallattrs(slot);
			*micros = Month::FromDays(DatumGetDateADT(slot->tts_values[kSuppliedMonth])).StartMicros();
			*position = DatumGetInt64(slot->tts_values[kSuppliedPosition]);
		}
		ExecDropSingleTupleTableSlot(slot);
		return found;
	}

	static bool
	TimeOfMadeId(const EventId &id, int64 *micros) {
		const auto unix_micros = MicrosOfEventId(id);
		if (unix_micros) {
			*micros = *unix_micros - kUnixEpochOffset;
		}
		return unix_micros.has_value();
	}

	bool
	SameButForData(Server server, const EventRow &row, std::uint32_t element) const {
		const AppendRequest::Datums &given = request_.datums[element];
		return SameBytes(server, row.values[kStreamId], given.stream_id) && SameBytes(server, row.values[kEventType], given.event_type) &&
		       SameBytes(server, row.values[kMetadata], given.metadata) && SameBytes(server, row.values[kCreatedBy], CreatedBy(element)) &&
		       SameBytes(server, row.values[kTags], TagsGiven(element)) &&
		       (!import_ || DatumGetTimestampTz(row.values[kCreatedAt]) == request_.import->elements[element].created_at);
	}

	// jsonb and text have one form for one value, so equal bytes are equal content, digits included.
	static bool
	SameBytes(Server, Datum a, Datum b) {
		struct varlena *detoasted = PG_DETOAST_DATUM_PACKED(a);
		const bool same = SameText(PointerGetDatum(detoasted), b);
		if (PointerGetDatum(detoasted) != a) {
			pfree(detoasted);
		}
		return same;
	}

	EventNames
	Subject(std::size_t element) const {
		const BatchElement &given = request_.elements[element];
		return {tenant_.id, given.stream_id, given.event_type};
	}

	/*
	 * Whether a stored event is the given one with its personal fields encrypted: each envelope has a nonce of its own, so what it holds is
	 * compared. The data of a person who was forgotten cannot be compared, and no event of theirs is appended again.
	 */
	bool
	SameWhenOpened(std::size_t element, Datum stored) const {
		if (!IsPersonal(Subject(element))) {
			return false;
		}
		const Datum given = request_.datums[element].data;
		return TextBytes(OpenEvent(Subject(element), stored, Audited::kAsSet)) == TextBytes(OpenEvent(Subject(element), given, Audited::kNo));
	}

	// What the rules of encrypted.add_rule say is personal is encrypted, before anything is drawn or written.
	void
	SealPersonal() {
		for (std::size_t i = 0; i < results_.size(); i++) {
			if (plan_.elements()[i].fate != Fate::kNew || !IsPersonal(Subject(i))) {
				continue;
			}
			sealed_.resize(results_.size(), 0);
			sealed_[i] = SealEvent(Subject(i), request_.datums[i].data);
		}
	}

	// Taken after the locks, and never earlier than a stream's last event: a late transaction cannot append to an older month.
	void
	GiveTimes() {
		const int64 now = GetCurrentTimestamp();
		// No month is made after the locks are taken, where its maker may be waiting for this stream: an append that waited over a
		// month's border keeps the time at which it began.
		const Wanted wanted = AnyTags() ? Wanted::kWithTags : Wanted::kEvents;
		if (Call([&](Server server) { return HasMonth(server, now, wanted); })) {
			now_ = now;
		}
		const auto &streams = plan_.streams();
		for (std::size_t i = 0; i < streams.size(); i++) {
			if (streams[i].new_events == 0) {
				continue;
			}
			LockedStream &locked = locked_[i];
			locked.created_at = std::max(now_, locked.last_created_at);
			const int32 month = Month::FromMicros(locked.created_at).StartDays();
			if (locked.row.last_month == month) {
				continue;
			}
			if (!locked.row.found) {
				// inserted by this call, a moment before the month ended
				const Datum stream_id = DatumOfStream(&streams[i]);
				locked.row = Call([&](Server server) { return LockStreamRow(server, &rows_, tenant_.text, stream_id); });
			}
			Call([&](Server server) { SetLastMonth(server, rows_, locked.row, month); });
		}
	}

	// The streams that were not made by this call say from now on what is imported of them.
	void
	PlaceImported() {
		RequireNotDropped();
		const auto &streams = plan_.streams();
		std::vector<ImportPlan::Found> found(streams.size(), {0, PG_INT64_MIN});
		for (std::size_t i = 0; i < streams.size(); i++) {
			const LockedStream &locked = locked_[i];
			if (streams[i].new_events > 0 && locked.row.found) {
				found[i] = {Call([&](Server server) { return ImportedVersion(server, rows_, locked.row); }), locked.last_created_at};
			}
		}
		ImportPlan::CheckStreams(plan_, request_.import->elements, found);
		for (std::size_t i = 0; i < streams.size(); i++) {
			const StreamRow &row = locked_[i].row;
			if (streams[i].new_events > 0 && row.found) {
				const int32 month = std::max(row.last_month, Month::FromMicros(import_->streams()[i].last).StartDays());
				Call([&](Server server) { SetImported(server, rows_, row, month, streams[i].next_version); });
			}
		}
	}

	void
	GivePositions() {
		const Oid sequence = Call([](Server server) { return own::positions.Get(server); });
		bool tagged = false;
		int64 first = 0;
		int64 last = 0;
		for (std::size_t i = 0; i < results_.size(); i++) {
			const AppendPlan::Element &element = plan_.elements()[i];
			if (element.fate != Fate::kNew) {
				continue;
			}
			AppendedEvent &result = results_[i];
			result.version = element.version;
			result.position = Call([&](Server server) {
				if (!tagged) {
					HoldBackHorizon(server);
				}
				return nextval_internal(sequence, false);
			});
			tagged = true;
			if (result.position <= locked_[element.stream].last_position) {
				ThrowSetBack(result.position);
			}
			last = result.position;
			first = first == 0 ? last : first;
			const auto &supplied = request_.elements[i].supplied_id;
			result.id = supplied ? *supplied : id_maker.Make(locked_[element.stream].created_at + kUnixEpochOffset, RandomBits());
		}
		first_position_ = first;
		if ((first - 1) / kHorizonEvery != last / kHorizonEvery) {
			Call([](Server server) { (void)WriteFeedHorizon(server); });
		}
	}

	// In the order of their bytes, as they were looked up. An id that another transaction took meanwhile belongs to
	// another stream (this one is locked), so to other content.
	void
	InsertSuppliedIds() {
		for (const std::uint32_t i : plan_.supplied()) {
			const AppendPlan::Element &element = plan_.elements()[i];
			if (element.fate != Fate::kNew) {
				continue;
			}
			static const int key_columns[2] = {kSuppliedId, kSuppliedTenant};
			const bool isnull[kSuppliedIdColumns] = {};
			Datum values[kSuppliedIdColumns];
			values[kSuppliedTenant] = tenant_.text;
			values[kSuppliedId] = UuidDatum(results_[i].id);
			values[kSuppliedMonth] = DateADTGetDatum(Month::FromMicros(CreatedAt(i)).StartDays());
			values[kSuppliedPosition] = Int64GetDatum(results_[i].position);
			const bool inserted = Call([&](Server server) { return InsertIfAbsent(server, ids_, ids_pkey_, key_columns, values, isnull); });
			if (!inserted) {
				ThrowReused(results_[i].id);
			}
		}
	}

	void
	Write() {
		if (IsShown()) {
			Call([this](Server server) { BeginProgress(server, WorkPhase::kAppendWriting, static_cast<int64>(results_.size())); });
		}
		if (!import_) {
			for (std::size_t i = 0; i < results_.size(); i++) {
				WriteElement(i);
			}
		} else {
			for (const std::uint32_t i : import_->WriteOrder(request_.import->elements)) {
				WriteElement(i);
			}
		}
	}

	// A batch of which others see how far it is.
	bool
	IsShown() const {
		return results_.size() >= kShownEvents;
	}

	void
	ShowWritten() {
		if (IsShown() && ++written_events_ % kShownEvery == 0) {
			Call([this](Server server) { ReportProgress(server, written_events_); });
		}
	}

	void
	WriteElement(std::size_t i) {
		if (plan_.elements()[i].fate != Fate::kNew) {
			return;
		}
		const AppendRequest::Datums &given = request_.datums[i];
		const int64 created_at = CreatedAt(i);
		Datum values[kEventColumns];
		values[kEventId] = UuidDatum(results_[i].id);
		values[kStreamId] = given.stream_id;
		values[kStreamVersion] = Int64GetDatum(results_[i].version);
		values[kEventType] = given.event_type;
		values[kEventData] = !sealed_.empty() && sealed_[i] != 0 ? sealed_[i] : given.data;
		values[kMetadata] = given.metadata;
		values[kCreatedAt] = TimestampTzGetDatum(created_at);
		values[kCreatedBy] = CreatedBy(i);
		values[kTenantId] = tenant_.text;
		values[kGlobalPosition] = Int64GetDatum(results_[i].position);
		values[kTags] = TagsGiven(i);
		Call([&](Server server) { WriteEvent(server, &writer_, values, TagsToWrite(i)); });
		ShowWritten();
		if (!import_) {
			// what is imported has happened long ago: nobody waits for news of it
			Announce(tenant_.id, TextBytes(given.stream_id), TextBytes(given.event_type), results_[i].position);
		}
		// as it is stored: what was encrypted is not a reading
		RecordEvent(tenant_.id, TextBytes(given.stream_id), TextBytes(given.event_type), values[kEventData], created_at, results_[i].position);
	}

	// When a new element happened, and who made it.
	int64
	CreatedAt(std::size_t element) const {
		return import_ ? request_.import->elements[element].created_at : locked_[plan_.elements()[element].stream].created_at;
	}
	Datum
	CreatedBy(std::size_t element) const {
		return request_.import != nullptr ? request_.import->created_by[element] : request_.created_by;
	}

	void
	FillRepeats() {
		for (std::size_t i = 0; i < results_.size(); i++) {
			if (plan_.elements()[i].fate == Fate::kRepeated) {
				results_[i] = results_[plan_.elements()[i].original];
			}
		}
	}

	void
	CloseStore() {
		Call([this](Server server) {
			EndWrite(server, &writer_);
			if (IsShown()) {
				EndProgress(server);
			}
			if (ids_ != nullptr) {
				index_close(ids_pkey_, NoLock);
				table_close(ids_, NoLock);
			}
			Close(server, rows_);
			table_close(events_, NoLock);
		});
	}

	// The tags of an element that its caller gave, and those by which it is to be found.
	EventTags
	GivenTags(std::size_t element) const {
		return request_.tags.empty() ? EventTags{nullptr, 0} : request_.tags[element].tags;
	}
	EventTags
	TagsToWrite(std::size_t element) const {
		return written_.empty() ? GivenTags(element) : written_[element];
	}
	bool
	AnyTags() const {
		return written_.empty() ? !request_.tags.empty()
		                        : std::any_of(written_.begin(), written_.end(), [](const EventTags &tags) { return tags.count > 0; });
	}

	RuledEvent
	Ruled(std::size_t element) const {
		const AppendRequest::Datums &given = request_.datums[element];
		return {tenant_.id, TextBytes(given.event_type), given.data};
	}

	Datum
	TagsGiven(std::size_t element) const {
		return request_.tags.empty() ? NoTags() : request_.tags[element].array;
	}

	// a stream's id as the datum of one of its elements
	Datum
	DatumOfStream(const AppendPlan::Stream *stream) const {
		return request_.datums[stream->element].stream_id;
	}

	const AppendRequest &request_;
	AppendPlan plan_;
	std::optional<ImportPlan> import_;  // of import_events
	std::vector<Month> dropped_months_; // of the import's, in order
	Tenant tenant_;
	std::vector<AppendedEvent> results_;
	std::vector<LockedStream> locked_;
	std::vector<Datum> sealed_;      // of the elements, their data where some of it was encrypted; empty where nothing was
	std::vector<EventTags> written_; // the tags to write, of the elements; empty where no rule is declared: those that were given
	bool tag_rules_ = false;         // whether any is declared
	int64 written_events_ = 0;       // of a batch that is shown
	bool span_rules_ = false;
	bool tags_refused_ = false; // whether an element has a value of which no tag can be made
	KeyLocks keys_;
	int64 now_ = 0;
	int64 first_position_ = 0; // of the new events
	Relation events_ = nullptr;
	StreamRows rows_ = {};
	EventWriter writer_ = {};
	Relation ids_ = nullptr;
	Relation ids_pkey_ = nullptr;
};

} // namespace

std::vector<AppendedEvent>
Append(const AppendRequest &request) {
	// what the executor would have refused: a read-only transaction, a standby, a parallel worker
	const char *function = request.import != nullptr      ? "events.import_events()"
	                       : request.condition != nullptr ? "events.append_if()"
	                                                      : "events.append_event()";
	Call([&] {
		PreventCommandIfReadOnly(function);
		PreventCommandIfParallelMode(function);
	});
	return Appending(request).Run();
}

} // namespace auren::pg

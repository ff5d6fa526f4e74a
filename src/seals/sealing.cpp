#include "seals/sealing.hpp"

#include <map>
#include <memory>
#include <string>

#include "access/store_rows.hpp"
#include "core/error.hpp"
#include "core/seals/canonical_line.hpp"
#include "core/seals/merkle.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/feed_read.hpp"
#include "notify/announce.hpp"
#include "seals/event_line.hpp"
#include "seals/relations.hpp"
#include "seals/seal_key.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "server/row_writer.hpp"
#include "server/table_row.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr const char *kChannel = "seal";

// What the chain goes on from.
struct LastSeal {
	int64 seal = 0;
	int64 up_to = 0;
	Digest chain = {};
};

LastSeal
ReadLastSeal() {
	Snapshot snapshot = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	StoreRows rows("SELECT seal, up_to_position, chain FROM auren.seals ORDER BY seal DESC LIMIT 1", {}, {}, snapshot);
	LastSeal last;
	if (rows.Next()) {
		last = {rows.Int(0), rows.Int(1), DigestOf(rows.Bytes(2))};
	}
	rows.End();
	Call([&] { UnregisterSnapshot(snapshot); });
	return last;
}

// The events of a month that are being sealed.
struct MonthTree {
	MonthTree(Hasher *hasher, int64 number, Month month) : tree(hasher) {
		seal.seal = number;
		seal.month = month;
		digests.reserve(kPackLeaves);
	}
	Seal seal;
	MerkleTree tree; // of the packs' roots
	int32 packs = 0;
	int64 first_position = 0;    // of the pack that is being filled
	std::vector<Digest> digests; // of that pack
	std::string leaves;          // what stands for it in auren.seal_leaves
};

void
AppendPosition(std::string *out, int64 position) {
	for (int shift = 56; shift >= 0; shift -= 8) {
		*out += static_cast<char>(static_cast<uint64>(position) >> shift & 255);
	}
}

class Sealing {
  public:
	Sealing(const SealKey &key, const LastSeal &last) : key_(key), last_(last) {
	}

	std::vector<Seal>
	Run(int64 limit) {
		Open(limit);
		EventLine line;
		while (NextLine(&line)) {
			Add(line);
		}
		const int64 up_to = scan_.examined;
		Call([&](Server server) {
			EndFeedScan(server, &scan_);
			MemoryContextDelete(event_context_);
		});
		std::vector<Seal> seals = WriteSeals(up_to);
		Call([&](Server server) {
			CloseWriter(server, &writer_);
			EndProgress(server);
			if (!seals.empty()) {
				ForceSyncCommit();
			}
		});
		return seals;
	}

  private:
	void Open(int64 limit);
	bool NextLine(EventLine *line);
	void Add(const EventLine &event);
	void WritePack(MonthTree *month);
	std::vector<Seal> WriteSeals(int64 up_to);
	void WriteSeal(const Seal &seal, const Digest &chain);

	const SealKey &key_;
	const LastSeal last_;
	Hasher hasher_;
	std::map<std::int32_t, std::unique_ptr<MonthTree>> months_; // by their index
	std::vector<MonthTree *> in_order_;                         // of their numbers
	std::string text_;
	FeedScan scan_;
	RowWriter writer_;
	MemoryContext event_context_ = nullptr;
	int64 budget_ = 0;
	int64 done_ = 0;
};

void
Sealing::Open(int64 limit) {
	budget_ = limit;
	Call([&](Server server) {
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		if (RowSecurityApplies(server, events)) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("a policy keeps events from the owner of the store"),
			                errdetail("The seals would leave out the events that it hides."),
			                errhint("ALTER TABLE events.event_store NO FORCE ROW LEVEL SECURITY.")));
		}
		table_close(events, NoLock);
		const int64 horizon = FeedHorizon(server);
		BeginFeedScan(server, &scan_, FeedFilter{}, last_.up_to, horizon, FeedEvents::kCommitted);
		OpenWriter(server, &writer_, own::seal_leaves.Get(server));
		event_context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events event", ALLOCSET_DEFAULT_SIZES);
		BeginProgress(server, WorkPhase::kSealing, Min(limit, horizon - last_.up_to));
	});
}

bool
Sealing::NextLine(EventLine *line) {
	return Call([&](Server server) {
		EventRow row;
		if (!NextFeedEvent(server, &scan_, &row, &budget_)) {
			return false;
		}
		MemoryContextReset(event_context_);
		MemoryContext before = MemoryContextSwitchTo(event_context_);
		*line = ReadEventLine(server, row);
		MemoryContextSwitchTo(before);
		ReportProgress(server, ++done_);
		return true;
	});
}

void
Sealing::Add(const EventLine &event) {
	text_.clear();
	AppendLine(&text_, event);
	const Month month = Month::FromMicros(event.created_at);
	std::unique_ptr<MonthTree> &tree = months_[month.index()];
	if (!tree) {
		tree = std::make_unique<MonthTree>(&hasher_, last_.seal + static_cast<int64>(months_.size()), month);
		in_order_.push_back(tree.get());
	}
	if (tree->digests.empty()) {
		tree->first_position = event.global_position;
	}
	const Digest digest = hasher_.Leaf(text_);
	tree->digests.push_back(digest);
	AppendPosition(&tree->leaves, event.global_position);
	tree->leaves += BytesOf(digest);
	tree->seal.last_position = event.global_position;
	tree->seal.events++;
	if (tree->digests.size() == kPackLeaves) {
		WritePack(tree.get());
	}
}

void
Sealing::WritePack(MonthTree *month) {
	const Digest root = RootOf(&hasher_, month->digests.data(), month->digests.size());
	month->tree.Add(root);
	const int64 number = month->seal.seal;
	const int64 last = month->seal.last_position;
	const int64 first = month->first_position;
	const auto events = static_cast<int32>(month->digests.size());
	const int32 pack = month->packs++;
	const char *leaves = month->leaves.data();
	const Size size = month->leaves.size();
	Call([&](Server server) {
		TupleTableSlot *slot = NextRow(server, &writer_);
		slot->tts_values[0] = Int64GetDatum(number);
		slot->tts_values[1] = Int32GetDatum(pack);
		slot->tts_values[2] = Int64GetDatum(first);
		slot->tts_values[3] = Int64GetDatum(last);
		slot->tts_values[4] = Int32GetDatum(events);
		slot->tts_values[5] = BytesValue(server, writer_.context, reinterpret_cast<const char *>(root.data()), root.size());
		slot->tts_values[6] = BytesValue(server, writer_.context, leaves, size);
	});
	month->digests.clear();
	month->leaves.clear();
}

std::vector<Seal>
Sealing::WriteSeals(int64 up_to) {
	const int64 now = Call([] { return GetCurrentTimestamp(); });
	Digest previous = last_.chain;
	std::vector<Seal> seals;
	for (MonthTree *month : in_order_) {
		if (!month->digests.empty()) {
			WritePack(month);
		}
		Seal &seal = month->seal;
		seal.after_position = last_.up_to;
		seal.up_to_position = up_to;
		seal.root = month->tree.Root();
		seal.previous = previous;
		seal.key_id = key_.id();
		seal.sealed_at = now;
		previous = hasher_.Plain(StatementOf(seal));
		WriteSeal(seal, previous);
		seals.push_back(seal);
	}
	return seals;
}

void
Sealing::WriteSeal(const Seal &seal, const Digest &chain) {
	const std::string signature = key_.Sign(StatementOf(seal));
	const std::string payload = "{\"seal\": " + std::to_string(seal.seal) + ", \"month\": \"" + TimeText(seal.month.StartMicros()).substr(0, 7) +
	                            "\", \"up_to\": " + std::to_string(seal.up_to_position) + ", \"events\": " + std::to_string(seal.events) +
	                            ", \"chain\": \"" + Hex(BytesOf(chain)) + "\"}";
	const int32 month = seal.month.StartDays();
	const char *key_id = seal.key_id.c_str();
	const char *signed_by = signature.data();
	const Size size = signature.size();
	const char *message = payload.c_str();
	const auto digest = [](Server server, const Digest &value) {
		return BytesValue(server, CurrentMemoryContext, reinterpret_cast<const char *>(value.data()), value.size());
	};
	Call([&](Server server) {
		const Datum values[12] = {Int64GetDatum(seal.seal),
		                          DateADTGetDatum(month),
		                          Int64GetDatum(seal.after_position),
		                          Int64GetDatum(seal.up_to_position),
		                          Int64GetDatum(seal.last_position),
		                          Int64GetDatum(seal.events),
		                          digest(server, seal.root),
		                          digest(server, seal.previous),
		                          digest(server, chain),
		                          CStringGetTextDatum(key_id),
		                          BytesValue(server, CurrentMemoryContext, signed_by, size),
		                          TimestampTzGetDatum(seal.sealed_at)};
		const bool isnull[12] = {};
		Relation heap = table_open(own::seals.Get(server), RowExclusiveLock);
		InsertRow(server, heap, values, isnull);
		table_close(heap, NoLock);
		NotifyUnlessFull(server, kChannel, message);
	});
}

} // namespace

std::vector<Seal>
SealEvents(int64 limit) {
	const std::vector<SealKey> keys = ConfiguredSealKeys();
	LockSealer();
	AsStoreOwner owner;
	RequireRegistered(keys.back());
	std::vector<Seal> seals = Sealing(keys.back(), ReadLastSeal()).Run(limit);
	owner.SwitchBack();
	return seals;
}

} // namespace auren::pg

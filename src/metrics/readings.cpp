#include "metrics/readings.hpp"

#include <algorithm>

#include "core/metrics/delta_pack.hpp"
#include "core/metrics/distinct.hpp"
#include "metrics/relations.hpp"
#include "server/entry.hpp"
#include "server/guard.hpp"
#include "server/row_writer.hpp"
#include "server/table_row.hpp"

namespace auren::pg {

namespace {

constexpr std::size_t kMostGathered = 50000;
enum DeltaColumn : int { kSeries, kBucket, kSummary };
enum PackColumn : int { kLot, kSource, kFirstSeries, kLastSeries, kCount, kDeltas };

// How often something was not a reading, by source, tenant and reason.
struct RefusalCount {
	int32 source;
	std::string tenant;
	Refusal reason;
	int64 count;
	int64 last_position;
};

// What each part of the transaction gathered: the running subtransaction is the last.
struct Gathered {
	SubTransactionId level;
	std::vector<Reading> readings;
	std::vector<RefusalCount> refusals;
};
std::vector<Gathered> gathered;

Gathered &
GatheredOfSubtransaction() {
	const SubTransactionId level = GetCurrentSubTransactionId();
	if (gathered.empty() || gathered.back().level != level) {
		gathered.push_back({level, {}, {}});
	}
	return gathered.back();
}

const char *
NameOf(Refusal reason) {
	switch (reason) {
	case Refusal::kTime:
		return "time";
	case Refusal::kValue:
		return "value";
	case Refusal::kNames:
		return "names";
	case Refusal::kUser:
		return "user";
	default:
		return "samples";
	}
}

void
WriteRefusals(std::vector<RefusalCount> *refusals) {
	for (const RefusalCount &refusal : *refusals) {
		Call([&](Server server) {
			const Datum values[5] = {Int32GetDatum(refusal.source),
			                         PointerGetDatum(cstring_to_text_with_len(refusal.tenant.data(), static_cast<int>(refusal.tenant.size()))),
			                         CStringGetTextDatum(NameOf(refusal.reason)), Int64GetDatum(refusal.count), Int64GetDatum(refusal.last_position)};
			const bool isnull[5] = {false, false, false, false, refusal.last_position == 0};
			Relation heap = table_open(own::refusals.Get(server), RowExclusiveLock);
			InsertRow(server, heap, values, isnull);
			table_close(heap, NoLock);
		});
	}
	refusals->clear();
}

// Deltas of so many series and five minutes are packed: each pack is looked into by whoever reads a series of its lot, and not by so
// few deltas that this would cost readers more than it saves the writer.
constexpr std::size_t kPackedFrom = 256;

void
WriteEach(std::vector<Reading> *readings) {
	RowWriter writer;
	Call([&](Server server) { OpenWriter(server, &writer, own::deltas.Get(server)); });
	ForEachSummary(readings, [&](const Reading &of, std::string_view summary) {
		Call([&](Server server) {
			TupleTableSlot *row = NextRow(server, &writer);
			row->tts_values[kSeries] = Int64GetDatum(of.series);
			row->tts_values[kBucket] = TimestampTzGetDatum(of.bucket);
			row->tts_values[kSummary] = BytesValue(server, writer.context, summary.data(), summary.size());
		});
	});
	Call([&](Server server) { CloseWriter(server, &writer); });
}

void
WritePacked(std::vector<Reading> *readings, std::size_t deltas) {
	RowWriter writer;
	Call([&](Server server) { OpenWriter(server, &writer, own::delta_packs.Get(server)); });
	DeltaPack pack;
	int32 source = 0;
	int lot = 0;
	const auto put = [&] {
		Call([&](Server server) {
			TupleTableSlot *row = NextRow(server, &writer);
			row->tts_values[kLot] = Int32GetDatum(lot);
			row->tts_values[kSource] = Int32GetDatum(source);
			row->tts_values[kFirstSeries] = Int64GetDatum(pack.first_series());
			row->tts_values[kLastSeries] = Int64GetDatum(pack.last_series());
			row->tts_values[kCount] = Int32GetDatum(static_cast<int32>(pack.count()));
			auto *bytes = static_cast<bytea *>(MemoryContextAlloc(writer.context, VARHDRSZ + pack.size()));
			SET_VARSIZE(bytes, VARHDRSZ + pack.size());
			pack.Write(VARDATA(bytes));
			row->tts_values[kDeltas] = PointerGetDatum(bytes);
		});
		pack.Clear();
	};
	ForEachSummary(readings, [&](const Reading &of, std::string_view summary) {
		const int its_lot = LotOf(of.series, deltas);
		if (!pack.empty() && (its_lot != lot || of.source != source || pack.IsFullFor(summary.size()))) {
			put();
		}
		lot = its_lot;
		source = of.source;
		pack.Add(of.series, of.bucket, summary);
	});
	if (!pack.empty()) {
		put();
	}
	Call([&](Server server) { CloseWriter(server, &writer); });
}

// How many series and five minutes the readings are of; they are sorted.
std::size_t
CountDeltas(const std::vector<Reading> &readings) {
	std::size_t deltas = readings.empty() ? 0 : 1;
	for (std::size_t i = 1; i < readings.size(); i++) {
		deltas += readings[i].series != readings[i - 1].series || readings[i].bucket != readings[i - 1].bucket ? 1 : 0;
	}
	return deltas;
}

void
Write(std::vector<Reading> *readings) {
	internal::SortReadings(readings);
	const std::size_t deltas = readings->size() < kPackedFrom ? 0 : CountDeltas(*readings);
	if (deltas < kPackedFrom) {
		WriteEach(readings);
	} else {
		WritePacked(readings, deltas);
	}
	readings->clear();
	if (readings->capacity() > 10000) {
		readings->shrink_to_fit();
	}
}

void
OnTransaction(XactEvent event, void *) {
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && !gathered.empty()) {
		(void)Entry([] {
			// the last statement's server snapshot is gone, and rows go into tables that can hold values out of line with one only
			Call([](Server) { PushActiveSnapshot(GetTransactionSnapshot()); });
			WriteReadings();
			Call([](Server) { PopActiveSnapshot(); });
			return Datum(0);
		});
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
		gathered.clear();
	}
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId parent, void *) {
	if (gathered.empty()) {
		return;
	}
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		gathered.erase(std::remove_if(gathered.begin(), gathered.end(), [&](const Gathered &g) { return g.level >= level; }), gathered.end());
	} else if (event == SUBXACT_EVENT_COMMIT_SUB) {
		for (Gathered &part : gathered) {
			part.level = part.level == level ? parent : part.level;
		}
	}
}

} // namespace

namespace internal {

void
SortReadings(std::vector<Reading> *readings) {
	const auto before = [](const Reading &a, const Reading &b) {
		return a.source != b.source ? a.source < b.source : a.series != b.series ? a.series < b.series : a.bucket < b.bucket;
	};
	if (!std::is_sorted(readings->begin(), readings->end(), before)) {
		std::stable_sort(readings->begin(), readings->end(), before);
	}
}

} // namespace internal

std::string
DistinctBytes(const Reading *first, const Reading *end) {
	DistinctReadings set({first->source, first->series, first->bucket});
	for (const Reading *reading = first; reading < end; reading++) {
		set.Put(reading->offset, reading->value);
	}
	set.Sort();
	return set.Bytes();
}

void
RecordReading(const Reading &reading) {
	Gathered &part = GatheredOfSubtransaction();
	part.readings.push_back(reading);
	if (part.readings.size() >= kMostGathered) {
		Write(&part.readings);
	}
}

void
RecordRefusal(const Refused &refused) {
	Gathered &part = GatheredOfSubtransaction();
	const int64 count = refused.taken ? -1 : 1;
	for (RefusalCount &known : part.refusals) {
		if (known.source == refused.source && known.reason == refused.reason && known.tenant == refused.tenant) {
			known.count += count;
			known.last_position = std::max(known.last_position, refused.position);
			return;
		}
	}
	part.refusals.push_back({refused.source, std::string(refused.tenant), refused.reason, count, refused.position});
}

void
WriteReadings() {
	const SubTransactionId level = GetCurrentSubTransactionId();
	for (std::size_t i = 0; i < gathered.size(); i++) {
		// what an outer part gathered stays its own: a rollback of this one must not take it along
		if (gathered[i].level == level && !gathered[i].readings.empty()) {
			Write(&gathered[i].readings);
		}
		if (gathered[i].level == level) {
			WriteRefusals(&gathered[i].refusals);
		}
	}
	const auto is_written = [](const Gathered &g) {
		return g.readings.empty() && g.refusals.empty();
	};
	gathered.erase(std::remove_if(gathered.begin(), gathered.end(), is_written), gathered.end());
}

void
RegisterReadingCallbacks(Server) {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
}

} // namespace auren::pg

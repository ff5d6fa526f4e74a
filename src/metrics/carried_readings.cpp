#include "metrics/carried_readings.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metrics/relations.hpp"
#include "metrics/series_numbers.hpp"
#include "server/as_owner.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr int kCarriedColumns = 7;

class CarrySink : public ReadingSink {
  public:
	CarrySink(DateADT month, int32 source) : month_(month), source_(source) {
	}

	int64
	SeriesFor(const SeriesNames &names) override {
		return series_.NumberOf(names);
	}

	void
	Take(std::vector<Reading> *readings) override {
		ForEachSummary(readings, [&](const Reading &of, std::string_view summary) { Write(series_.At(of.series), of.bucket, summary); });
		readings->clear();
	}

	void
	TakeSummary(const SeriesNames &, TimestampTz, std::string_view) override {
	}

	void
	Refuse(const Refused &) override {
	}

  private:
	void
	Write(const SeriesNumbers::Named &named, TimestampTz bucket, std::string_view summary) const {
		Call([&](Server server) {
			Datum values[kCarriedColumns] = {Int32GetDatum(source_), DateADTGetDatum(month_)};
			bool isnull[kCarriedColumns] = {};
			const std::optional<std::string> *names[3] = {&named.user, &named.device, &named.metric};
			for (int i = 0; i < 3; i++) {
				isnull[i + 2] = !names[i]->has_value();
				values[i + 2] =
					isnull[i + 2] ? 0 : PointerGetDatum(cstring_to_text_with_len((*names[i])->data(), static_cast<int>((*names[i])->size())));
			}
			values[5] = TimestampTzGetDatum(bucket);
			values[6] = PointerGetDatum(cstring_to_text_with_len(summary.data(), static_cast<int>(summary.size())));
			Relation carried = table_open(own::carried_readings.Get(server), RowExclusiveLock);
			InsertRow(server, carried, values, isnull);
			table_close(carried, NoLock);
		});
	}

	DateADT month_;
	int32 source_;
	SeriesNumbers series_;
};

// A text of a row, as long as the row lives.
std::optional<std::string_view>
NameIn(Server, HeapTuple row, TupleDesc descriptor, int column) {
	bool isnull;
	const Datum value = heap_getattr(row, column, descriptor, &isnull);
	if (isnull) {
		return std::nullopt;
	}
	const auto *text = PG_DETOAST_DATUM_PACKED(value);
	return std::string_view(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

void
GiveRow(const Source &source, HeapTuple row, TupleDesc descriptor, ReadingSink *sink) {
	SeriesNames names = {};
	TimestampTz bucket = 0;
	std::string_view summary;
	Call([&](Server server) {
		bool isnull;
		names.user = NameIn(server, row, descriptor, 1);
		names.device = NameIn(server, row, descriptor, 2);
		names.metric = NameIn(server, row, descriptor, 3);
		bucket = DatumGetTimestampTz(heap_getattr(row, 4, descriptor, &isnull));
		summary = *NameIn(server, row, descriptor, 5);
	});
	names.source = source.id;
	names.tenant = source.tenant;
	sink->TakeSummary(names, bucket, summary);
}

// By the newest snapshot: the events were looked for in the months that are there now, whatever snapshot looked.
Portal
OpenCarried(Server, const Source &source) {
	SPI_connect();
	Oid types[1] = {INT4OID};
	Datum values[1] = {Int32GetDatum(source.id)};
	SPIPlanPtr plan = SPI_prepare("SELECT c.user_id, c.device_type, c.metric_type, c.bucket, c.summary FROM auren.carried_readings c "
	                              "JOIN auren.month_records m ON m.month OPERATOR(pg_catalog.=) c.month "
	                              "WHERE c.source_id OPERATOR(pg_catalog.=) $1 AND m.dropped_at IS NOT NULL AND m.attached_at IS NULL",
	                              1, types);
	PushActiveSnapshot(GetLatestSnapshot());
	Portal portal = SPI_cursor_open(nullptr, plan, values, nullptr, true);
	PopActiveSnapshot();
	return portal;
}

} // namespace

void
CarryReadingsIn(DateADT month, const EventRange &range) {
	const Sources sources = Call([](Server server) { return ReadSources(server, GetActiveSnapshot()); });
	for (int i = 0; i < sources.count; i++) {
		const Source &source = sources.items[i];
		if (source.event_type != nullptr && !source.detached) {
			CarrySink sink(month, source.id);
			ScanEventsIn(range, source, &sink);
		}
	}
}

void
ScanCarried(const Source &source, ReadingSink *sink) {
	if (!Call([](Server server) { return OidIsValid(own::carried_readings.GetIfThere(server)); })) {
		return;
	}
	SavedUser before;
	Portal portal = Call([&](Server server) {
		before = SwitchToOwner(server, own::events.Get(server));
		return OpenCarried(server, source);
	});
	for (;;) {
		const uint64 rows = Call([&] {
			CHECK_FOR_INTERRUPTS();
			SPI_cursor_fetch(portal, true, kRowsFetched);
			return SPI_processed;
		});
		if (rows == 0) {
			break;
		}
		SPITupleTable *table = SPI_tuptable;
		for (uint64 i = 0; i < rows; i++) {
			GiveRow(source, table->vals[i], table->tupdesc, sink);
		}
		Call([&] { SPI_freetuptable(table); });
	}
	Call([&](Server server) {
		SPI_cursor_close(portal);
		SPI_finish();
		SwitchBack(server, before);
	});
}

} // namespace auren::pg

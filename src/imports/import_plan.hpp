#pragma once

#include <string>

#include "imports/import_source.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// The columns of ImportPlanQuery.
enum PlanColumn : int {
	kPlanTenant,
	kPlanStream, // NULL: the row has none
	kPlanVersion,
	kPlanId,
	kPlanType, // NULL: the row has none
	kPlanData,
	kPlanMetadata,
	kPlanTime, // NULL: the row has none
	kPlanCreator,
	kPlanStored, // whether it is in the store already, as the columns before say
	kPlanOldVersion,
	kPlanOldId,
	kPlanOldTime,
	kPlanNoTenant,
	kPlanNoData,
	kPlanStreamVersion,   // of the stream in the store
	kPlanImportedVersion, // up to which that was imported
	kPlanClosed,
	kPlanColumns
};

// The rows of a source as they have to be in the store, in the order in which they are imported; $1 is the tenant of rows that name none.
std::string ImportPlanQuery(const ImportSource &source);
// The events of the store that came from a source, all columns of events.event_store.
std::string ImportedEventsQuery(const ImportSource &source);
// The events of the store that came from a source and differ from it: tenant, stream, version and type, and whether only the data differ.
std::string DifferencesQuery(const ImportSource &source);

// Gives an error of a value of the source a hint, since the server says what is wrong with it and not whose it is. ImportCursor::Fetch does it
// itself.
void SayHowToFindValue(ErrorData *report);

// Whether a cursor outlives commits: then its rows are put aside, on disk where they exceed work_mem.
enum class Kept { kOverCommits, kInTransaction };

struct FetchedRow {
	const Datum *values;
	const bool *isnull;
};

/*
 * A query on a source and the store that reads the source as the current user, with all that the caller may see and no more, and the store with the
 * rights of its table waived. Inside an SPI connection; an error ends it.
 */
class ImportCursor {
  public:
	ImportCursor(const std::string &sql, const std::string &tenant, Kept kept);
	ImportCursor(const ImportCursor &) = delete;
	ImportCursor &operator=(const ImportCursor &) = delete;

	// The next rows; how many there are, 0 after the last one. Those before are gone, and so is what was allocated in context().
	int Fetch(int count);
	FetchedRow
	Row(int row) const {
		return {values_ + row * columns_, isnull_ + row * columns_};
	}
	// Where what belongs to the fetched rows is allocated.
	MemoryContext
	context() const {
		return context_;
	}
	// To before the first row.
	void Rewind();
	void Close();

  private:
	void Deform(Server server);

	Portal portal_;
	bool pinned_;
	MemoryContext context_;
	SPITupleTable *table_ = nullptr;
	int columns_ = 0;
	Datum *values_ = nullptr;
	bool *isnull_ = nullptr;
};

} // namespace auren::pg

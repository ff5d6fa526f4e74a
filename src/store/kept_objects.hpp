#pragma once

#include <string>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What a DBA adds to the store's tables (policies, triggers, indexes and so on) hangs on tables of an extension, and pg_dump leaves
 * it out. auren.kept_objects holds it as statements and is dumped; auren.present_objects, which is not, says what of it is there. So an
 * object that was kept and is not present came with a dump and has to be made: until that is done the store is closed.
 * doc/architecture.md, "What a DBA adds".
 */

// Whether the tables of this are there: they are made and dropped one after the other.
bool HasObjectTables(Server server);

// Whether something may have changed on the store's tables since the last RecordObjects of this session.
bool TableObjectsMayDiffer(Server server);

// Throws 0A000 when a table of the store has something that a dump of it could not be restored with: a column, an index of the parent.
void RefuseWhatCannotBeKept();
// Likewise when a trigger that a month has from events.event_store is enabled or disabled there alone.
void RefuseMonthTrigger(Oid month);

// Brings auren.kept_objects up to date with the catalogs, closes the store when an object is missing and opens it when none is.
void RecordObjects();

// Closes the tables when objects are kept that are not present. Locks them (ACCESS EXCLUSIVE).
void CloseWhenObjectsAreMissing();

// Opens the tables again. Locks them (ACCESS EXCLUSIVE).
void OpenTables();

// While one lives, what happens to the store's tables is our own doing and is not written down.
class ObjectRecordingPause {
  public:
	ObjectRecordingPause();
	~ObjectRecordingPause();
	ObjectRecordingPause(const ObjectRecordingPause &) = delete;
	ObjectRecordingPause &operator=(const ObjectRecordingPause &) = delete;
	static bool Active();

  private:
	const bool before_;
};

// Throws 55000 while the store is closed. What it found is kept until events.event_store changes.
void RequireStoreOpen();

// Throws 0A000: `what`, an object of the extension on one of its tables, was dropped or renamed, or would be.
[[noreturn]] void ThrowObjectIsNeeded(const std::string &what);

// For _PG_init.
void RegisterKeptObjects(Server server);

/*
 * Sets what decides how the server writes a definition, and reads it, until the end of the caller's level of settings: whoever's statement it is
 * that has definitions written down, they say the same.
 */
void FixDefinitionSettings(Server server);

/*
 * Runs statements of ours as the owner of the event triggers, a superuser, and returns the first column of the first row, or an empty string.
 * They see what is committed now, whatever the transaction's snapshot.
 */
std::string RunAsTriggerOwner(const std::string &sql);

} // namespace auren::pg

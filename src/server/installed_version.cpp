#include "server/installed_version.hpp"

#include <cstring>

namespace auren::pg {

const char *const kModuleVersion = AUREN_VERSION;

const char *
InstalledVersion(Server) {
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("auren_events"));
	Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(extensions, ExtensionNameIndexId, true, nullptr, 1, &key);
	HeapTuple tuple = systable_getnext(scan);
	const char *version = nullptr;
	if (HeapTupleIsValid(tuple)) {
		bool isnull;
		const Datum value = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &isnull);
		version = isnull ? nullptr : TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return version;
}

void
RaiseMissingRelation(Server server, const char *schema, const char *name) {
	const char *installed = InstalledVersion(server);
	if (installed != nullptr && std::strcmp(installed, kModuleVersion) != 0) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("an update of the extension auren_events is due in this database"),
		                errdetail("The module is of version %s and the SQL objects are of version %s, which has no %s.%s.", kModuleVersion, installed,
		                          schema, name),
		                errhint("Run ALTER EXTENSION auren_events UPDATE as a superuser.")));
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %s.%s does not exist", schema, name),
	                errhint("Install the extension with CREATE EXTENSION auren_events.")));
}

} // namespace auren::pg

// What the install script asks for before it makes anything.

#include <string>

#include "core/error.hpp"
#include "server/entry.hpp"

namespace auren {

namespace {

using pg::Call;

constexpr const char *kSchemas[] = {"events", "biometric", "analytics", "encrypted", "auren"};

// The owner of a schema, nullptr when there is no such schema.
const char *
OwnerOfSchema(const char *name) {
	return Call([&]() -> const char * {
		HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(name));
		if (!HeapTupleIsValid(tuple)) {
			return nullptr;
		}
		const Oid owner = reinterpret_cast<const FormData_pg_namespace *>(GETSTRUCT(tuple))->nspowner;
		ReleaseSysCache(tuple);
		return GetUserNameFromId(owner, true) == nullptr ? "a role that was dropped" : GetUserNameFromId(owner, true);
	});
}

} // namespace

AUREN_FUNCTION(auren_require_free_schemas) {
	for (const char *schema : kSchemas) {
		const char *owner = OwnerOfSchema(schema);
		if (owner != nullptr) {
			const std::string name(schema);
			std::string hint = "Rename it (ALTER SCHEMA " + name;
			hint += " RENAME TO my_" + name;
			hint += "), or drop it where nothing of it is needed; then create the extension again.";
			throw DomainError("42P06", "schema \"" + name + "\" is there already, and auren_events makes one of that name",
			                  "It belongs to role \"" + std::string(owner) + "\". The extension takes over nothing that somebody made before it.",
			                  hint);
		}
	}
	PG_RETURN_VOID();
}

} // namespace auren

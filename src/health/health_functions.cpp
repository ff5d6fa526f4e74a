// Whether the installation is well: events.verify_installation.

#include <string>

#include <sys/statvfs.h>

#include "access/store_rows.hpp"
#include "core/error.hpp"
#include "encrypted/master_key.hpp"
#include "health/checks.hpp"
#include "seals/seal_key.hpp"
#include "server/as_owner.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "server/settings.hpp"
#include "server/subtransaction.hpp"
#include "store/kept_objects.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// Messages that are shown of a check that fails; of the others it says how many there are.
constexpr uint64 kMostMessages = 5;
// How long a call waits for locks in all, and for one of them when that is used up: monitoring asks again.
constexpr int64 kPatienceMs = 1000;
constexpr int64 kLeastPatienceMs = 10;

// What a check found. The message is in the memory of the call, nullptr where there is nothing to say.
struct Finding {
	bool bad;
	const char *message;
	const char *hint; // nullptr: the check's
};

// What is left of the time that a call waits for locks.
struct Patience {
	int64 left_ms;
};

// Joins the messages of the bad rows, or of all where none is.
Finding
JoinRows(Server) {
	Finding found = {};
	for (uint64 row = 0; row < SPI_processed; row++) {
		const char *bad = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		found.bad = found.bad || (bad != nullptr && *bad == 't');
	}
	StringInfoData text;
	initStringInfo(&text);
	uint64 shown = 0;
	uint64 more = 0;
	for (uint64 row = 0; row < SPI_processed; row++) {
		const char *bad = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		const char *message = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2);
		if (message == nullptr || (found.bad && (bad == nullptr || *bad != 't'))) {
			continue;
		}
		if (shown == kMostMessages) {
			more++;
			continue;
		}
		appendStringInfo(&text, "%s%s", shown == 0 ? "" : "; ", message);
		shown++;
	}
	if (more > 0) {
		appendStringInfo(&text, "; and " UINT64_FORMAT " more", more);
	}
	found.message = shown == 0 ? nullptr : text.data;
	return found;
}

// The bytes that are free, to those who are no superuser, where the database lies.
int64
FreeBytes(Server) {
	struct statvfs disk;
	char *directory = GetDatabasePath(MyDatabaseId, MyDatabaseTableSpace);
	if (statvfs(directory, &disk) != 0) {
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not look at the disk of \"%s\": %m", directory)));
	}
	return static_cast<int64>(disk.f_bavail) * static_cast<int64>(disk.f_frsize);
}

Finding
Ask(Server server, const char *statement, MemoryContext context) {
	const bool of_disk = strstr(statement, "$1") != nullptr;
	Oid types[1] = {INT8OID};
	Datum values[1] = {of_disk ? Int64GetDatum(FreeBytes(server)) : 0};
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::stream_rows.Get(server));
	pg::FixDefinitionSettings(server);
	SPI_connect();
	const int result = SPI_execute_with_args(statement, of_disk ? 1 : 0, types, values, nullptr, false, 0);
	if (result != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a check failed: %s", SPI_result_code_string(result))));
	}
	Finding found = JoinRows(server);
	found.message = found.message == nullptr ? nullptr : MemoryContextStrdup(context, found.message);
	SPI_finish();
	pg::SwitchBack(server, before);
	return found;
}

// Until the settings are taken back no lock is waited for any longer; a session that has less patience keeps its own.
void
BoundLockWaits(Server, const Patience &patience) {
	const int64 most = Max(patience.left_ms, kLeastPatienceMs);
	if (LockTimeout == 0 || LockTimeout > most) {
		(void)set_config_option("lock_timeout", psprintf(INT64_FORMAT, most), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
}

// What is told where `look` has failed; a cancel goes on.
Finding
NotChecked(Server, const ErrorData *error) {
	Finding found = {true, psprintf("could not be checked: %s", error->message), nullptr};
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE) {
		found.hint = "A table or index that it looks at is locked: pg_locks shows by whom. Ask again when that has ended.";
	}
	return found;
}

// Does `look` in a subtransaction, which leaves nothing. What cannot be looked at has failed.
template <typename F>
Finding
Try(Server server, Patience *patience, F &&look) {
	Finding found = {};
	const TimestampTz began = GetCurrentTimestamp();
	ErrorData *error = pg::TryInSubtransaction(server, [&] {
		const int settings = NewGUCNestLevel();
		BoundLockWaits(server, *patience);
		found = look(server);
		AtEOXact_GUC(true, settings);
	});
	if (error == nullptr) {
		return found;
	}
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION) {
		ReThrowError(error);
	}
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE) {
		patience->left_ms -= (GetCurrentTimestamp() - began) / 1000;
	}
	return NotChecked(server, error);
}

Finding
Look(Server server, const pg::Check &check, Patience *patience) {
	if (check.extension != nullptr && !OidIsValid(get_extension_oid(check.extension, true))) {
		return {false, check.absent, nullptr};
	}
	MemoryContext context = CurrentMemoryContext;
	return Try(server, patience, [&](Server inner) { return Ask(inner, check.statement, context); });
}

void
Put(const pg::Rows &rows, const pg::Check &check, const Finding &found) {
	Call([&](Server server) {
		const char *message = found.message != nullptr ? found.message : "well";
		const Datum values[5] = {CStringGetTextDatum(check.name), BoolGetDatum(!found.bad), CStringGetTextDatum(check.severity),
		                         CStringGetTextDatum(message),
		                         CStringGetTextDatum(!found.bad              ? ""
		                                             : found.hint != nullptr ? found.hint
		                                                                     : check.hint)};
		const bool isnull[5] = {false, false, false, false, !found.bad};
		pg::PutRow(server, rows, values, isnull);
	});
}

// A check of a key: `read` gives what is said of it, or throws where it cannot be read.
template <typename Read>
void
PutKey(const pg::Rows &rows, const pg::Check &check, Patience *patience, Read read) {
	std::string message;
	bool bad = false;
	const Finding tried = Call([&](Server server) {
		return Try(server, patience, [&](Server) {
			(void)pg::Entry([&] {
				try {
					message = read();
				} catch (const DomainError &error) {
					bad = true;
					message = error.message();
				}
				return Datum(0);
			});
			return Finding{};
		});
	});
	Put(rows, check, tried.bad ? tried : Finding{bad, message.c_str(), nullptr});
}

bool
HasRows(const char *statement) {
	return Call([&](Server server) { return Ask(server, statement, CurrentMemoryContext).bad; });
}

std::string
CurrentMasterKey() {
	if (!HasRows("SELECT true, NULL::text WHERE EXISTS (SELECT FROM auren.data_keys) OR EXISTS (SELECT FROM auren.declared_personal_rules)")) {
		return "nothing is encrypted";
	}
	return "the current one is " + pg::CurrentMasterKeys()->current().id;
}

std::string
CurrentSealKey() {
	if (!HasRows("SELECT true, NULL::text WHERE EXISTS (SELECT FROM auren.registered_seal_keys)")) {
		return "nothing is sealed";
	}
	const std::vector<SealKey> keys = pg::ConfiguredSealKeys();
	pg::AsStoreOwner owner;
	try {
		pg::RequireRegistered(keys.back());
	} catch (const DomainError &) {
		// it becomes a row of the answer, so that no end of a transaction takes the rights back
		owner.SwitchBack();
		throw;
	}
	owner.SwitchBack();
	return "the current one is " + keys.back().id();
}

constexpr pg::Check kMasterKey = {
	"master key", "error", nullptr,
	nullptr,      nullptr, "Set auren_events.master_key_file or master_key_command, and let the server's user alone read the file."};
constexpr pg::Check kSealKey = {"seal key", "error", nullptr,
                                nullptr,    nullptr, "Set auren_events.seal_key_file; register a new key by events.register_seal_key()."};

} // namespace

AUREN_FUNCTION(auren_verify_installation) {
	pg::RequireUnbound("verify the installation", "What is told is of all tenants.");
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	Patience patience = {kPatienceMs};
	for (const pg::Check &check : pg::Checks()) {
		Put(rows, check, Call([&](Server server) { return Look(server, check, &patience); }));
	}
	PutKey(rows, kMasterKey, &patience, CurrentMasterKey);
	PutKey(rows, kSealKey, &patience, CurrentSealKey);
	return 0;
}

} // namespace auren

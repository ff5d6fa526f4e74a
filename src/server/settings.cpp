#include "server/settings.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

namespace {

int naming = static_cast<int>(Naming::kOff);
bool allow_drop = false;
int snapshot_after = 1000;
bool read_flushed = true;
bool notifier = true;
double notify_below = 0.95;
int max_notification_rules = 100;
char *master_key_file = nullptr;
char *master_key_command = nullptr;
char *seal_key_file = nullptr;
int master_key_timeout = 10000;
int max_key_uses = INT_MAX;
bool audit_decrypt = false;
bool stats_by_tenant = false;
char *decrypt_reason = nullptr;
int progress_notices = -1;

const struct config_enum_entry kNamingValues[] = {{"off", static_cast<int>(Naming::kOff), false},
                                                  {"warn", static_cast<int>(Naming::kWarn), false},
                                                  {"error", static_cast<int>(Naming::kError), false},
                                                  {nullptr, 0, false}};

/*
 * A client may name any setting when it connects (PGOPTIONS). Before the module is loaded the server does not know which roles may set ours: it
 * keeps the client's value in the place of what the configuration says, and drops it when the module defines the setting and refuses
 * it, so that the default would hold. A session that brought such a value is not served.
 */
constexpr char kPrefix[] = "auren_events.";
// Settings that the client brought, by name; after DefineSettings those that were refused. They live as long as the session.
char **brought = nullptr;
int brought_count = 0;

bool
IsOurs(const char *name) {
	return pg_strncasecmp(name, kPrefix, sizeof kPrefix - 1) == 0;
}

/*
 * Whether every role could read where the master keys or the seal keys are: until the module is loaded the server shows a setting of ours to anybody.
 * Statements come after what is preloaded.
 */
bool
IsSourceShown(const compat::Settings &known) {
	if (debug_query_string == nullptr) {
		return false;
	}
	for (int i = 0; i < known.count; i++) {
		const config_generic *setting = known.settings[i];
		if ((setting->flags & GUC_CUSTOM_PLACEHOLDER) == 0 || setting->vartype != PGC_STRING) {
			continue;
		}
		const char *value = *reinterpret_cast<const config_string *>(setting)->variable;
		if ((pg_strcasecmp(setting->name, "auren_events.master_key_file") == 0 ||
		     pg_strcasecmp(setting->name, "auren_events.master_key_command") == 0 ||
		     pg_strcasecmp(setting->name, "auren_events.seal_key_file") == 0) &&
		    value != nullptr && value[0] != '\0') {
			return true;
		}
	}
	return false;
}

bool source_shown = false;

// Notes the settings of ours that the client's connection brought.
void
RememberClientSettings(Server) {
	const compat::Settings known = compat::KnownSettings();
	for (int i = 0; i < known.count; i++) {
		const config_generic *setting = known.settings[i];
		if ((setting->flags & GUC_CUSTOM_PLACEHOLDER) == 0 || setting->reset_source != PGC_S_CLIENT || !IsOurs(setting->name)) {
			continue;
		}
		if (brought == nullptr) {
			brought = static_cast<char **>(MemoryContextAlloc(TopMemoryContext, sizeof(char *) * static_cast<Size>(known.count)));
		}
		brought[brought_count++] = MemoryContextStrdup(TopMemoryContext, setting->name);
	}
}

bool
WasAccepted(const compat::Settings &known, const char *name) {
	for (int i = 0; i < known.count; i++) {
		if (pg_strcasecmp(known.settings[i]->name, name) == 0) {
			return known.settings[i]->reset_source == PGC_S_CLIENT;
		}
	}
	return false;
}

// Leaves of them those that were refused.
void
KeepRefusedSettings(Server) {
	const compat::Settings known = compat::KnownSettings();
	int refused = 0;
	for (int i = 0; i < brought_count; i++) {
		if (!WasAccepted(known, brought[i])) {
			brought[refused++] = brought[i];
		}
	}
	brought_count = refused;
}

void
RequireNoneRefused(Server) {
	if (brought_count > 0) {
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the client may not set %s when it connects", brought[0]),
		                errdetail("The client's value has taken the place of what the server's configuration says, so the session is not served."),
		                errhint("Connect without it (PGOPTIONS, or \"options\" of the connection string). A superuser may set it in postgresql.conf, "
		                        "or with ALTER DATABASE or ALTER ROLE.")));
	}
}

// A reason goes into the audit with every row.
bool
CheckReason(char **value, void **, GucSource) {
	if (*value != nullptr && std::strlen(*value) > kLongestReason) {
		GUC_check_errdetail("It has %zu bytes, and the audit keeps reasons of up to %zu.", std::strlen(*value), kLongestReason);
		return false;
	}
	return true;
}

void Define(Server server);

} // namespace

Naming
NamingMode() {
	return static_cast<Naming>(naming);
}

bool
AllowDrop() {
	return allow_drop;
}

int
SnapshotAfter() {
	return snapshot_after;
}

bool
ReadFlushed() {
	return read_flushed;
}

double
NotifyBelow() {
	return notify_below;
}

int
MaxNotificationRules() {
	return max_notification_rules;
}

bool
NotifierAllowed() {
	return notifier;
}

const char *
MasterKeyFile() {
	return master_key_file;
}

const char *
MasterKeyCommand() {
	return master_key_command;
}

const char *
SealKeyFile() {
	return seal_key_file;
}

int
MasterKeyTimeout() {
	return master_key_timeout;
}

int
MaxKeyUses() {
	return max_key_uses;
}

bool
AuditDecrypt() {
	return audit_decrypt;
}

bool
StatsByTenant() {
	return stats_by_tenant;
}

const char *
DecryptReason() {
	return decrypt_reason;
}

int
ProgressNoticesEvery() {
	return progress_notices;
}

void
WarnIfKeySourceIsShown(Server) {
	if (!source_shown || !superuser()) {
		return;
	}
	source_shown = false; // once a session
	ereport(NOTICE,
	        (errmsg("every role can see where the store's secret keys are"),
	         errdetail("The server hides auren_events.master_key_file, auren_events.master_key_command and auren_events.seal_key_file only where "
	                   "the module is loaded before a session's first statement."),
	         errhint("Add auren_events to session_preload_libraries in postgresql.conf and reload the configuration.")));
}

void
DefineSettings(Server server) {
	// an error below does not take the module out of memory: it is initialized again by the session's next call
	static bool defined = false;
	if (!defined) {
		RememberClientSettings(server);
		source_shown = IsSourceShown(compat::KnownSettings());
		Define(server);
		KeepRefusedSettings(server);
		defined = true;
	}
	RequireNoneRefused(server);
}

namespace {

void
Define(Server) {
	DefineCustomEnumVariable("auren_events.naming", "How event types and stream ids that do not follow the naming practice are treated.",
	                         "Event types in snake_case, stream ids with a prefix before a colon.", &naming, static_cast<int>(Naming::kOff),
	                         kNamingValues, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.allow_drop", "Lets DROP EXTENSION auren_events take the events with it.", nullptr, &allow_drop, false,
	                         PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("auren_events.snapshot_after", "Events after which reading a stream's state leaves a snapshot of it.", "0 takes none.",
	                        &snapshot_after, 1000, 0, INT_MAX, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.read_flushed", "Feed reads give only events that a crash cannot take back.",
	                         "An event whose commit is not on disk yet is flushed first. Off for readers within the database.", &read_flushed, true,
	                         PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.notifier", "Leaves notifications of appended events to a background worker.",
	                         "Off: a transaction notifies when it commits, which takes a lock of the whole cluster.", &notifier, true, PGC_SUSET, 0,
	                         nullptr, nullptr, nullptr);
	DefineCustomRealVariable("auren_events.notify_below", "How full the queue of notifications may be for listeners to be told, 1 being full.",
	                         "A full queue would fail the commit that notifies.", &notify_below, 0.95, 0.0, 1.0, PGC_SUSET, 0, nullptr, nullptr,
	                         nullptr);
	DefineCustomIntVariable("auren_events.max_notification_rules", "Notification rules that a tenant may have.",
	                        "They are kept by every session that appends.", &max_notification_rules, 100, 0, 10000, PGC_SUSET, 0, nullptr, nullptr,
	                        nullptr);
	DefineCustomStringVariable("auren_events.master_key_file", "File that holds the master keys of encrypted fields.",
	                           "A line \"<id> <64 hexadecimal digits>\" for each; the last one is current.", &master_key_file, "", PGC_SIGHUP,
	                           GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("auren_events.master_key_command", "Command that writes the master keys of encrypted fields.",
	                           "What it writes is read as the file would be.", &master_key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr,
	                           nullptr, nullptr);
	DefineCustomStringVariable("auren_events.seal_key_file", "File that holds the private keys that sign seals.",
	                           "Ed25519 keys in PEM, as scripts/make_seal_key writes them; the last one is current.", &seal_key_file, "", PGC_SIGHUP,
	                           GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("auren_events.master_key_timeout", "Time after which the command for the master keys is ended.", nullptr,
	                        &master_key_timeout, 10000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("auren_events.max_key_uses", "Values that a data key encrypts before another takes its place.",
	                        "Random nonces of 96 bits are safe for some 4 billion values.", &max_key_uses, INT_MAX, 1, INT_MAX, PGC_SUSET, 0, nullptr,
	                        nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.audit_decrypt",
	                         "Writes each decryption, with its user and field, to encrypted.audit_log before anything is decrypted.",
	                         "The row stays when the transaction is rolled back.", &audit_decrypt, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("auren_events.decrypt_reason", "Why the session decrypts, for the audit.", nullptr, &decrypt_reason, "", PGC_USERSET,
	                           0, CheckReason, nullptr, nullptr);
	DefineCustomBoolVariable("auren_events.stats_by_tenant", "Counts what events.stats shows for each tenant too.",
	                         "For the first 1,000 tenants that come, and for the others together; events.stats_by_tenant shows it.", &stats_by_tenant,
	                         false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("auren_events.progress_notices", "Time after which a NOTICE tells again how far a long call is.",
	                        "-1 tells nothing, 0 tells of each report.", &progress_notices, -1, -1, INT_MAX / 1000, PGC_USERSET, GUC_UNIT_S, nullptr,
	                        nullptr, nullptr);
	MarkGUCPrefixReserved("auren_events");
}

} // namespace

} // namespace auren::pg

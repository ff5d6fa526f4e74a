#pragma once

#include <cstddef>

#include "server/guard.hpp"

namespace auren::pg {

// Bytes of a reason, and of a field's name, that the audit keeps.
inline constexpr std::size_t kLongestReason = 1000;
inline constexpr std::size_t kLongestAuditedField = 1000;

// How auren_events.naming treats event types and stream ids that do not follow the naming practice (core/store/names.hpp).
enum class Naming : int { kOff, kWarn, kError };

Naming NamingMode();
// auren_events.allow_drop
bool AllowDrop();
// auren_events.snapshot_after: events that a fold to now must have read before it leaves a snapshot; 0: none does.
int SnapshotAfter();
// auren_events.read_flushed: whether feed reads wait until what they give is safe from a crash.
bool ReadFlushed();
// auren_events.notify_below: how full the queue of notifications may be for us to use it, 1 being full.
double NotifyBelow();
// auren_events.max_notification_rules: how many a tenant may have.
int MaxNotificationRules();
// auren_events.notifier: whether announcements may be left to a background worker.
bool NotifierAllowed();

/*
 * Where the master keys come from: a file, or a command whose output they are. "" where it is not set; the server's configuration alone
 * can name them, and superusers alone see it.
 */
const char *MasterKeyFile();
const char *MasterKeyCommand();
// The file with the keys that sign seals; likewise.
const char *SealKeyFile();
// Tells a superuser, once a session, where the server shows these three to every role: the module was loaded after the session's first
// statement had begun.
void WarnIfKeySourceIsShown(Server server);
// auren_events.master_key_timeout, in milliseconds
int MasterKeyTimeout();
// auren_events.max_key_uses: values that a data key encrypts before another takes its place.
int MaxKeyUses();
// auren_events.audit_decrypt and the reason that the caller gives (may be "").
bool AuditDecrypt();
const char *DecryptReason();
// auren_events.progress_notices: seconds after which the client is told again how far a long work is; 0: at each report, -1: never.
int ProgressNoticesEvery();

// auren_events.stats_by_tenant: whether what is counted is counted for each tenant too.
bool StatsByTenant();

// Defines the settings, when the module is loaded. Raises 42501, at each call, where the client's connection brought a value of ours that
// it may not set.
void DefineSettings(Server server);

} // namespace auren::pg

#include "encrypted/decrypt_audit.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/error.hpp"
#include "encrypted/relations.hpp"
#include "server/compat.hpp"
#include "server/guard.hpp"
#include "server/lock_classes.hpp"
#include "server/settings.hpp"
#include "server/table_row.hpp"
#include "server/worker.hpp"

namespace auren::pg {

namespace {

constexpr Size kQueueBytes = 16 * 1024;
constexpr long kLinger = 2000;       // milliseconds that an idle worker stays
constexpr long kLook = 100;          // milliseconds after which an idle worker looks whether another session wants one
constexpr int kSlotPatience = 20000; // milliseconds that are waited for a free slot of a worker
constexpr const char *kBusy = "\1";  // the answer of a worker that found others in all places of the audit's

// A row of encrypted.audit_log but for its time and action.
struct Record {
	const char *tenant;
	const char *user;
	const char *field; // nullptr: none
	const char *role;
	const char *session_role;
	const char *reason; // nullptr: none
	const char *outer_role;
};

enum Column : int { kAt, kAction, kTenant, kUser, kField, kRole, kSessionRole, kReason, kKeys, kOuterRole, kColumns };

void
InsertRecord(Server server, const char *action, const Record &record, const int *keys) {
	Relation heap = table_open(own::audit_log.Get(server), RowExclusiveLock);
	Datum values[kColumns] = {};
	bool isnull[kColumns] = {};
	const auto put = [&](Column column, const char *text) {
		isnull[column] = text == nullptr;
		values[column] = text == nullptr ? 0 : CStringGetTextDatum(text);
	};
	values[kAt] = TimestampTzGetDatum(GetCurrentTimestamp());
	put(kAction, action);
	put(kTenant, record.tenant);
	put(kUser, record.user);
	put(kField, record.field);
	put(kRole, record.role);
	put(kSessionRole, record.session_role);
	put(kReason, record.reason);
	put(kOuterRole, record.outer_role);
	isnull[kKeys] = keys == nullptr;
	values[kKeys] = keys == nullptr ? 0 : Int32GetDatum(*keys);
	InsertRow(server, heap, values, isnull);
	table_close(heap, NoLock);
}

// ---- slots: all sessions of the server share a few workers ---------------------------------------------------------------

// How many workers may write audits. Others need worker processes too.
int
WorkerSlots() {
	return Max(1, max_worker_processes / 2);
}

LOCKTAG
TagOf(uint16 lock_class, int slot) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, InvalidOid, 0, static_cast<uint32>(slot), lock_class);
	return tag;
}

// The number of a free slot, held until this process ends; -1 where there is none.
int
TakeWorkerSlot(Server) {
	for (int slot = 0; slot < WorkerSlots(); slot++) {
		const LOCKTAG tag = TagOf(kAuditSlotLockClass, slot);
		if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL) {
			return slot;
		}
	}
	return -1;
}

bool
IsWorkerSlotFree(Server server) {
	const int slot = TakeWorkerSlot(server);
	if (slot >= 0) {
		const LOCKTAG tag = TagOf(kAuditSlotLockClass, slot);
		(void)LockRelease(&tag, ExclusiveLock, true);
	}
	return slot >= 0;
}

// Whether a session waits for a slot. Sessions that wait share a lock.
bool
IsWorkerSlotWanted(Server) {
	const LOCKTAG tag = TagOf(kAuditWantedLockClass, 0);
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL) {
		return true;
	}
	(void)LockRelease(&tag, ShareLock, true);
	return false;
}

// A session's wait for a slot.
struct Wait {
	TimestampTz since;
	bool told; // the workers know of it
};

// The lock is the transaction's, so that an error ends it too.
void
AnnounceWait(Server, Wait *wait) {
	if (!wait->told) {
		const LOCKTAG tag = TagOf(kAuditWantedLockClass, 0);
		(void)LockAcquire(&tag, RowExclusiveLock, false, false);
		wait->told = true;
	}
}

void
EndWait(Server, const Wait &wait) {
	if (wait.told) {
		const LOCKTAG tag = TagOf(kAuditWantedLockClass, 0);
		(void)LockRelease(&tag, RowExclusiveLock, false);
	}
}

// Waits a moment for a worker of another session to go.
void
WaitForWorkerSlot(Server server, Wait *wait) {
	if (TimestampDifferenceMilliseconds(wait->since, GetCurrentTimestamp()) > kSlotPatience) {
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("It needs a background worker. max_worker_processes is %d, of which the audit uses up to %d, and none is free.",
		                          max_worker_processes, WorkerSlots()),
		                errhint("Raise max_worker_processes, or try again.")));
	}
	AnnounceWait(server, wait);
	(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 50, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

// ---- what was written for the statement that runs -------------------------------------------------------------------------

struct Message {
	const char *bytes;
	Size size;
};

// A table of messages in a context that goes with the transaction; nullptr where nothing was written.
HTAB *written = nullptr;
MemoryContext written_context = nullptr;
TimestampTz written_at = 0;

uint32
HashOf(const void *key, Size /*size*/) {
	const auto *message = static_cast<const Message *>(key);
	return hash_bytes(reinterpret_cast<const unsigned char *>(message->bytes), static_cast<int>(message->size));
}

int
Compare(const void *a, const void *b, Size /*size*/) {
	const auto *one = static_cast<const Message *>(a);
	const auto *other = static_cast<const Message *>(b);
	return one->size == other->size && std::memcmp(one->bytes, other->bytes, one->size) == 0 ? 0 : 1;
}

bool
IsWritten(Server, const Message &message) {
	if (written_context != nullptr && written_at != GetCurrentStatementStartTimestamp()) {
		MemoryContextDelete(written_context);
	}
	return written != nullptr && hash_search(written, &message, HASH_FIND, nullptr) != nullptr;
}

void
StartSetOfWritten(Server) {
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "auren_events audited", ALLOCSET_SMALL_SIZES);
	auto *callback = static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
	callback->func = [](void *) {
		written = nullptr;
		written_context = nullptr;
	};
	HASHCTL control = {};
	control.keysize = sizeof(Message);
	control.entrysize = sizeof(Message);
	control.hash = HashOf;
	control.match = Compare;
	control.hcxt = context;
	written = hash_create("auren_events audited", 16, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	MemoryContextRegisterResetCallback(context, callback);
	written_context = context;
	written_at = GetCurrentStatementStartTimestamp();
}

void
RememberWritten(Server server, const Message &message) {
	if (written_context == nullptr) {
		StartSetOfWritten(server);
	}
	const Message kept = {static_cast<const char *>(std::memcpy(MemoryContextAlloc(written_context, message.size), message.bytes, message.size)),
	                      message.size};
	bool found;
	(void)hash_search(written, &kept, HASH_ENTER, &found);
}

// ---- the session's side ------------------------------------------------------------------------------------------------

struct Link {
	dsm_segment *segment = nullptr;
	BackgroundWorkerHandle *worker = nullptr;
	shm_mq_handle *out = nullptr;
	shm_mq_handle *in = nullptr;
};
Link link_to_worker;

// The worker sees that its session has left, and ends.
void
LeaveWorker(Server) {
	if (link_to_worker.segment != nullptr) {
		const Link link = link_to_worker;
		link_to_worker = Link();
		if (link.out != nullptr) {
			shm_mq_detach(link.out);
		}
		if (link.in != nullptr) {
			shm_mq_detach(link.in);
		}
		if (link.worker != nullptr) {
			pfree(link.worker);
		}
		dsm_detach(link.segment);
	}
}

void
RequireWorkers(Server) {
	if (RecoveryInProgress()) {
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("The server is a standby, on which nothing is written."),
		                errhint("Decrypt on the primary, or do not ask for the audit here (auren_events.audit_decrypt).")));
	}
	if (max_worker_processes == 0) {
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("It needs a background worker, and max_worker_processes is 0."), errhint("Raise max_worker_processes.")));
	}
}

// Both queues lie in one segment, one after the other.
void
StartWorker(Server server, Wait *wait) {
	LeaveWorker(server);
	RequireWorkers(server);
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Link link;
	link.segment = dsm_create(2 * kQueueBytes, 0);
	dsm_pin_mapping(link.segment);
	link_to_worker.segment = link.segment; // from here on LeaveWorker gives it back
	auto *memory = static_cast<char *>(dsm_segment_address(link.segment));
	shm_mq *out = shm_mq_create(memory, kQueueBytes);
	shm_mq *in = shm_mq_create(memory + kQueueBytes, kQueueBytes);
	shm_mq_set_sender(out, MyProc);
	shm_mq_set_receiver(in, MyProc);

	BackgroundWorker worker = WorkerOf("auren_events audit", "auren_audit_main");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(link.segment));
	std::memcpy(worker.bgw_extra, &MyDatabaseId, sizeof MyDatabaseId);
	while (!IsWorkerSlotFree(server) || !RegisterDynamicBackgroundWorker(&worker, &link.worker)) {
		WaitForWorkerSlot(server, wait);
	}
	link.out = shm_mq_attach(out, link.segment, link.worker);
	link.in = shm_mq_attach(in, link.segment, link.worker);
	link_to_worker = link;
	MemoryContextSwitchTo(old);
}

// Whether a process waits for a lock of this session, or for a process that does.
bool
WaitsForThisSession(Server, int pid) {
	constexpr int kMost = 64;
	int pids[kMost] = {pid};
	int count = 1;
	for (int i = 0; i < count; i++) {
		Datum *blockers;
		int found;
		deconstruct_array(DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pids[i]))), INT4OID, sizeof(int32), true,
		                  TYPALIGN_INT, &blockers, nullptr, &found);
		for (int k = 0; k < found; k++) {
			const int blocker = DatumGetInt32(blockers[k]);
			if (blocker == MyProcPid) {
				return true;
			}
			if (count < kMost && std::find(pids, pids + count, blocker) == pids + count) {
				pids[count++] = blocker;
			}
		}
	}
	return false;
}

/*
 * The session waits for its worker by a latch, which the server's search for deadlocks does not see: it is made here, as
 * often as the server makes its own.
 */
void
RequireNoDeadlock(Server server) {
	pid_t pid;
	if (GetBackgroundWorkerPid(link_to_worker.worker, &pid) == BGWH_STARTED && WaitsForThisSession(server, pid)) {
		ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("The worker that writes it waits for a lock of this transaction's, which waits for the worker."),
		                errhint("Commit what changes or locks encrypted.audit_log before you decrypt.")));
	}
}

shm_mq_result
Receive(Server server, Size *size, void **data) {
	for (;;) {
		const shm_mq_result result = shm_mq_receive(link_to_worker.in, size, data, true);
		if (result != SHM_MQ_WOULD_BLOCK) {
			return result;
		}
		const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, DeadlockTimeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if ((events & WL_TIMEOUT) != 0) {
			RequireNoDeadlock(server);
		}
	}
}

// Sends a message and takes the answer, "" when the row is committed; false where the worker is gone.
bool
Ask(Server server, const std::string &message, const char **answer) {
	if (shm_mq_send(link_to_worker.out, message.size(), message.data(), false, true) != SHM_MQ_SUCCESS) {
		return false;
	}
	Size size;
	void *data;
	if (Receive(server, &size, &data) != SHM_MQ_SUCCESS) {
		return false;
	}
	*answer = pnstrdup(static_cast<const char *>(data), size);
	return true;
}

// The answer to a message of a worker that is there or is started, nullptr where each ends.
const char *
AskWorker(const std::string &message) {
	Wait wait = {GetCurrentTimestamp(), false};
	// a worker that lingered may just be going: it is asked once, a new one twice
	for (int ended = 0; ended < 3;) {
		const char *answer = nullptr;
		if (ended > 0 || link_to_worker.segment == nullptr) {
			Call([&](Server server) { StartWorker(server, &wait); });
		}
		if (!Call([&](Server server) { return Ask(server, message, &answer); })) {
			ended++;
			continue;
		}
		if (std::strcmp(answer, kBusy) == 0) {
			Call([&](Server server) {
				LeaveWorker(server);
				WaitForWorkerSlot(server, &wait);
			});
			continue;
		}
		Call([&](Server server) { EndWait(server, wait); });
		return answer;
	}
	return nullptr;
}

void
Append(std::string *message, const char *text) {
	*message += text == nullptr ? '0' : '1';
	*message += text == nullptr ? "" : text;
	*message += '\0';
}

// A field as the audit keeps it: the beginning of one that is very long, and its length.
std::string
AuditedField(std::string_view field) {
	if (field.size() <= kLongestAuditedField) {
		return std::string(field);
	}
	const int kept = Call([&] { return pg_mbcliplen(field.data(), static_cast<int>(field.size()), static_cast<int>(kLongestAuditedField)); });
	return std::string(field.substr(0, static_cast<std::size_t>(kept))) + "... (" + std::to_string(field.size()) + " bytes)";
}

/*
 * The role that did it is the one whose rights count. Beside it stand the role that the session had taken, where a function runs as its
 * owner, and the role that logged in, which neither SET ROLE nor SET SESSION AUTHORIZATION changes.
 */
Record
RecordOf(const char *tenant, const char *user, const char *field, const char *reason) {
	return Call([&] {
		return Record{tenant,
		              user,
		              field,
		              GetUserNameFromId(GetUserId(), false),
		              GetUserNameFromId(GetAuthenticatedUserId(), false),
		              reason == nullptr || reason[0] == '\0' ? nullptr : reason,
		              GetUserNameFromId(GetOuterUserId(), false)};
	});
}

// ---- the worker's side -------------------------------------------------------------------------------------------------

const char *
NextPart(const char **at) {
	const char *begin = *at;
	*at += std::strlen(begin) + 1;
	return begin[0] == '0' ? nullptr : begin + 1;
}

void
WriteMessage(Server server, const char *message) {
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	Record record;
	for (const char **part : {&record.tenant, &record.user, &record.field, &record.role, &record.session_role, &record.reason, &record.outer_role}) {
		*part = NextPart(&message);
	}
	InsertRecord(server, "decrypt", record, nullptr);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

} // namespace

void
WriteAudit(const PersonalField &of) {
	const std::string tenant(of.tenant);
	const std::string user(of.user);
	const std::string field = AuditedField(of.field ? *of.field : Borrowed());
	const Record record = RecordOf(tenant.c_str(), user.c_str(), of.field ? field.c_str() : nullptr, DecryptReason());
	std::string message;
	for (const char *part : {record.tenant, record.user, record.field, record.role, record.session_role, record.reason, record.outer_role}) {
		Append(&message, part);
	}
	const Message asked = {message.data(), message.size()};
	if (Call([&](Server server) { return IsWritten(server, asked); })) {
		return;
	}
	const char *answer;
	try {
		answer = AskWorker(message);
	} catch (...) {
		// an answer that is still to come would be taken for the next one's
		Call([](Server server) { LeaveWorker(server); });
		throw;
	}
	if (answer == nullptr || answer[0] != '\0') {
		Call([](Server server) { LeaveWorker(server); });
		throw DomainError("58000", "the audit cannot be written, so nothing is decrypted",
		                  answer != nullptr ? std::string("The worker that writes it says: ") + answer + "."
		                                    : std::string("The worker that writes it ended."),
		                  "The server's log may say more; auren_events.audit_decrypt asks for the audit.");
	}
	Call([&](Server server) { RememberWritten(server, asked); });
}

void
AddAuditRow(const char *action, std::string_view tenant, std::string_view user, const char *reason, int keys) {
	const std::string tenant_text(tenant);
	const std::string user_text(user);
	const Record record = RecordOf(tenant_text.c_str(), user_text.c_str(), nullptr, reason);
	Call([&](Server server) { InsertRecord(server, action, record, keys < 0 ? nullptr : &keys); });
}

namespace {

// The two queues between a worker and its session.
struct Queues {
	shm_mq_handle *in;
	shm_mq_handle *out;
};

// Signals, the session's queues, and the database. False where the session is gone.
bool
StartAuditWorker(Server, Datum argument, Queues *queues) {
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	Oid database;
	std::memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof database);
	dsm_segment *segment = dsm_attach(DatumGetUInt32(argument));
	if (segment == nullptr) {
		return false;
	}
	dsm_pin_mapping(segment);
	auto *memory = static_cast<char *>(dsm_segment_address(segment));
	auto *in_queue = reinterpret_cast<shm_mq *>(memory);
	auto *out_queue = reinterpret_cast<shm_mq *>(memory + kQueueBytes);
	shm_mq_set_receiver(in_queue, MyProc);
	shm_mq_set_sender(out_queue, MyProc);
	queues->in = shm_mq_attach(in_queue, segment, nullptr);
	queues->out = shm_mq_attach(out_queue, segment, nullptr);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF) {
		synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH; // a crash must not take back what was audited
	}
	pgstat_report_activity(STATE_IDLE, nullptr);
	return true;
}

// Writes a message, in the context. The session gets what this returns: nothing, or the message of the error that kept it from being written.
const char *
AnswerMessage(Server server, MemoryContext context, const char *message) {
	const char *volatile answer = "";
	PG_TRY();
	{ WriteMessage(server, message); }
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		answer = error->message;
	}
	PG_END_TRY();
	return answer;
}

} // namespace

void
RunAuditWorker(Server server, Datum argument) {
	Queues queues;
	if (!StartAuditWorker(server, argument, &queues)) {
		return;
	}
	if (TakeWorkerSlot(server) < 0) {
		Size size;
		void *data;
		if (shm_mq_receive(queues.in, &size, &data, false) == SHM_MQ_SUCCESS) {
			(void)shm_mq_send(queues.out, std::strlen(kBusy), kBusy, false, true);
		}
		return;
	}
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "auren_events audit", ALLOCSET_DEFAULT_SIZES);
	TimestampTz asked = GetCurrentTimestamp();
	bool served = false;
	for (;;) {
		Size size;
		void *data;
		CHECK_FOR_INTERRUPTS();
		const shm_mq_result result = shm_mq_receive(queues.in, &size, &data, true);
		if (result == SHM_MQ_DETACHED || (result == SHM_MQ_WOULD_BLOCK && served && IsWorkerSlotWanted(server))) {
			return;
		}
		if (result == SHM_MQ_WOULD_BLOCK) {
			const long idle = TimestampDifferenceMilliseconds(asked, GetCurrentTimestamp());
			if (idle >= kLinger) {
				return;
			}
			(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(kLook, kLinger - idle), PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			continue;
		}
		MemoryContextSwitchTo(context);
		const char *message = static_cast<const char *>(std::memcpy(palloc(size + 1), data, size));
		const char *text = AnswerMessage(server, context, message);
		if (shm_mq_send(queues.out, std::strlen(text), text, false, true) != SHM_MQ_SUCCESS) {
			return;
		}
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		asked = GetCurrentTimestamp();
		served = true;
	}
}

} // namespace auren::pg

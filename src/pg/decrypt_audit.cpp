#include "pg/decrypt_audit.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_set>

#include "core/error.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"
#include "pg/worker.hpp"

namespace auren::pg {

namespace {

constexpr Size kQueueBytes = 16 * 1024;
constexpr long kLinger = 2000;      // milliseconds that an idle worker stays
constexpr int kSlotPatience = 5000; // milliseconds that are waited for a free slot of a worker

// A row of encrypted.audit_log but for its time and action.
struct Record {
	const char *tenant;
	const char *user;
	const char *field;  // nullptr: none
	const char *role;
	const char *session_role;
	const char *reason; // nullptr: none
	const char *outer_role;
};

enum Column : int { kAt, kAction, kTenant, kUser, kField, kRole, kSessionRole, kReason, kKeys, kOuterRole, kColumns };

// Server side.
void
InsertRecord(const char *action, const Record &record, const int *keys) {
	Relation heap = table_open(Oids().audit_log, RowExclusiveLock);
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
	InsertRow(heap, values, isnull);
	table_close(heap, NoLock);
}

// ---- the session's side ------------------------------------------------------------------------------------------------

struct Link {
	dsm_segment *segment = nullptr;
	BackgroundWorkerHandle *worker = nullptr;
	shm_mq_handle *out = nullptr;
	shm_mq_handle *in = nullptr;
};
Link link_to_worker;

// What was written down for the statement that runs.
std::unordered_set<std::string> written;
TimestampTz written_at = 0;
LocalTransactionId written_in = InvalidLocalTransactionId;

// Server side. The worker sees that nobody is there any more, and ends.
void
Unlink() {
	if (link_to_worker.segment != nullptr) {
		const Link link = link_to_worker;
		link_to_worker = Link();
		if (link.out != nullptr) {
			shm_mq_detach(link.out);
		}
		if (link.in != nullptr) {
			shm_mq_detach(link.in);
		}
		dsm_detach(link.segment);
	}
}

// Server side. Both queues lie in one segment, one behind the other.
void
StartWorker() {
	Unlink();
	if (RecoveryInProgress()) {
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("The server is a standby, on which nothing is written."),
		                errhint("Decrypt on the primary, or do not ask for the audit here (auren_events.audit_decrypt).")));
	}
	if (max_worker_processes == 0) {
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("It needs a background worker, and max_worker_processes is 0."), errhint("Raise max_worker_processes.")));
	}
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Link link;
	link.segment = dsm_create(2 * kQueueBytes, 0);
	dsm_pin_mapping(link.segment);
	link_to_worker.segment = link.segment; // from here on Unlink gives it back
	auto *memory = static_cast<char *>(dsm_segment_address(link.segment));
	shm_mq *out = shm_mq_create(memory, kQueueBytes);
	shm_mq *in = shm_mq_create(memory + kQueueBytes, kQueueBytes);
	shm_mq_set_sender(out, MyProc);
	shm_mq_set_receiver(in, MyProc);

	BackgroundWorker worker = WorkerOf("auren_events audit", "auren_audit_main");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(link.segment));
	std::memcpy(worker.bgw_extra, &MyDatabaseId, sizeof MyDatabaseId);
	const TimestampTz begin = GetCurrentTimestamp();
	while (!RegisterDynamicBackgroundWorker(&worker, &link.worker)) {
		if (TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp()) > kSlotPatience) {
			ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the audit cannot be written, so nothing is decrypted"),
			                errdetail("It needs a background worker, and all max_worker_processes = %d are in use.", max_worker_processes),
			                errhint("Raise max_worker_processes, or try again.")));
		}
		(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 50, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	link.out = shm_mq_attach(out, link.segment, link.worker);
	link.in = shm_mq_attach(in, link.segment, link.worker);
	link_to_worker = link;
	MemoryContextSwitchTo(old);
}

// Server side. Whether a process waits for a lock of this session's, or for one who does.
bool
WaitsForUs(int pid) {
	constexpr int kMost = 64;
	int pids[kMost] = {pid};
	int count = 1;
	for (int i = 0; i < count; i++) {
		Datum *blockers;
		int found;
		deconstruct_array(DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pids[i]))), INT4OID, sizeof(int32), true, TYPALIGN_INT,
		                  &blockers, nullptr, &found);
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
 * Server side. The session waits for its worker by a latch, which the server's search for deadlocks does not see: it is made here, as
 * often as the server makes its own.
 */
void
RequireNoDeadlock() {
	pid_t pid;
	if (GetBackgroundWorkerPid(link_to_worker.worker, &pid) == BGWH_STARTED && WaitsForUs(pid)) {
		ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg("the audit cannot be written, so nothing is decrypted"),
		                errdetail("The worker that writes it waits for a lock of this transaction's, which waits for the worker."),
		                errhint("Commit what changes or locks encrypted.audit_log before you decrypt.")));
	}
}

// Server side.
shm_mq_result
Receive(Size *size, void **data) {
	for (;;) {
		const shm_mq_result result = shm_mq_receive(link_to_worker.in, size, data, true);
		if (result != SHM_MQ_WOULD_BLOCK) {
			return result;
		}
		const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, DeadlockTimeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if ((events & WL_TIMEOUT) != 0) {
			RequireNoDeadlock();
		}
	}
}

// Server side. Sends a message and takes the answer, "" when the row is committed; false where the worker is gone.
bool
Ask(const std::string &message, const char **answer) {
	if (shm_mq_send(link_to_worker.out, message.size(), message.data(), false, true) != SHM_MQ_SUCCESS) {
		return false;
	}
	Size size;
	void *data;
	if (Receive(&size, &data) != SHM_MQ_SUCCESS) {
		return false;
	}
	*answer = pnstrdup(static_cast<const char *>(data), size);
	return true;
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
 * The role that did it is the one whose rights count. Behind it stand the role that the session had taken, where a function runs as its
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
Next(const char **at) {
	const char *begin = *at;
	*at += std::strlen(begin) + 1;
	return begin[0] == '0' ? nullptr : begin + 1;
}

// Server side.
void
WriteMessage(const char *message) {
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	Record record;
	for (const char **part : {&record.tenant, &record.user, &record.field, &record.role, &record.session_role, &record.reason, &record.outer_role}) {
		*part = Next(&message);
	}
	InsertRecord("decrypt", record, nullptr);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

} // namespace

void
WriteAudit(const FieldOf &of) {
	const std::string tenant(of.tenant);
	const std::string user(of.user);
	const std::string field = AuditedField(of.field ? *of.field : std::string_view());
	const Record record = RecordOf(tenant.c_str(), user.c_str(), of.field ? field.c_str() : nullptr, DecryptReason());
	std::string message;
	for (const char *part : {record.tenant, record.user, record.field, record.role, record.session_role, record.reason, record.outer_role}) {
		Append(&message, part);
	}
	const LocalTransactionId transaction = compat::CurrentLocalTransaction();
	if (written_at != GetCurrentStatementStartTimestamp() || written_in != transaction) {
		written.clear();
		written_at = GetCurrentStatementStartTimestamp();
		written_in = transaction;
	}
	if (written.find(message) != written.end()) {
		return;
	}
	const char *answer = nullptr;
	bool answered = false;
	try {
		// a worker that lingered may just be going: it is asked once, a new one twice
		for (int turn = 0; turn < 3 && !answered; turn++) {
			if (turn > 0 || link_to_worker.segment == nullptr) {
				Call([] { StartWorker(); });
			}
			answered = Call([&] { return Ask(message, &answer); });
		}
	} catch (...) {
		// an answer that is still to come would be taken for the next one's
		Call([] { Unlink(); });
		throw;
	}
	if (!answered || answer[0] != '\0') {
		Call([] { Unlink(); });
		throw DomainError("58000", "the audit cannot be written, so nothing is decrypted",
		                  answered ? std::string("The worker that writes it says: ") + answer + "." : std::string("The worker that writes it ended."),
		                  "The server's log may say more; auren_events.audit_decrypt asks for the audit.");
	}
	written.insert(std::move(message));
}

void
AddAuditRow(const char *action, std::string_view tenant, std::string_view user, const char *reason, int keys) {
	const std::string tenant_text(tenant);
	const std::string user_text(user);
	const Record record = RecordOf(tenant_text.c_str(), user_text.c_str(), nullptr, reason);
	Call([&] { InsertRecord(action, record, keys < 0 ? nullptr : &keys); });
}

void
RunAuditWorker(Datum argument) {
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	Oid database;
	std::memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof database);
	dsm_segment *segment = dsm_attach(DatumGetUInt32(argument));
	if (segment == nullptr) {
		return; // the session is gone
	}
	dsm_pin_mapping(segment);
	auto *memory = static_cast<char *>(dsm_segment_address(segment));
	auto *in_queue = reinterpret_cast<shm_mq *>(memory);
	auto *out_queue = reinterpret_cast<shm_mq *>(memory + kQueueBytes);
	shm_mq_set_receiver(in_queue, MyProc);
	shm_mq_set_sender(out_queue, MyProc);
	shm_mq_handle *in = shm_mq_attach(in_queue, segment, nullptr);
	shm_mq_handle *out = shm_mq_attach(out_queue, segment, nullptr);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF) {
		synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH; // a crash must not take back what was audited
	}
	pgstat_report_activity(STATE_IDLE, nullptr);
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "auren_events audit", ALLOCSET_DEFAULT_SIZES);
	TimestampTz asked = GetCurrentTimestamp();
	for (;;) {
		Size size;
		void *data;
		CHECK_FOR_INTERRUPTS();
		const shm_mq_result result = shm_mq_receive(in, &size, &data, true);
		if (result == SHM_MQ_DETACHED) {
			return;
		}
		if (result == SHM_MQ_WOULD_BLOCK) {
			const long idle = TimestampDifferenceMilliseconds(asked, GetCurrentTimestamp());
			if (idle >= kLinger) {
				return;
			}
			(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kLinger - idle, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			continue;
		}
		MemoryContextSwitchTo(context);
		const char *volatile answer = "";
		const char *message = static_cast<const char *>(std::memcpy(palloc(size + 1), data, size));
		PG_TRY();
		{
			WriteMessage(message);
		}
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
		const char *text = answer;
		if (shm_mq_send(out, std::strlen(text), text, false, true) != SHM_MQ_SUCCESS) {
			return;
		}
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		asked = GetCurrentTimestamp();
	}
}

} // namespace auren::pg

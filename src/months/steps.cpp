#include "months/steps.hpp"

#include <string>

#include "core/error.hpp"
#include "server/lock_classes.hpp"

namespace auren::pg {

namespace {

constexpr int64 kMinute = 60 * USECS_PER_SEC;

LOCKTAG
OperationsTag() {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kOperationsLockClass);
	return tag;
}

bool
IsAtomic(FunctionCallInfo fcinfo) {
	return fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) || castNode(CallContext, fcinfo->context)->atomic;
}

} // namespace

Procedure::Procedure(FunctionCallInfo fcinfo, const char *procedure) {
	if (IsAtomic(fcinfo)) {
		throw DomainError("25001", std::string(procedure) + " cannot run inside a transaction block", "It commits its work in steps.",
		                  "CALL it as a statement of its own.");
	}
	Call([] {
		if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not connect to SPI")));
		}
	});
}

Steps::Steps(FunctionCallInfo fcinfo, const char *procedure)
	: Procedure(fcinfo, procedure), patience_(LockTimeout > 0 ? static_cast<int64>(LockTimeout) * 1000 : kMinute) {
	const int64 end = GetCurrentTimestamp() + patience_;
	for (;;) {
		const LOCKTAG tag = OperationsTag();
		locked_ = Call([&] { return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
		if (locked_) {
			return;
		}
		if (GetCurrentTimestamp() >= end) {
			throw DomainError("55P03", std::string(procedure) + " found months in use", "Another session drops months or imports events.",
			                  "Call it again when that has ended: events.lock_holders shows it.");
		}
		Pause(20);
	}
}

Steps::~Steps() {
	if (locked_) {
		const LOCKTAG tag = OperationsTag();
		(void)LockRelease(&tag, ExclusiveLock, true);
	}
}

void
Procedure::End() {
	Call([] { SPI_finish(); });
}

void
Procedure::Begin() {
	Call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

void
Procedure::Commit() {
	Call([] {
		PopActiveSnapshot();
		SPI_commit();
	});
}

void
Pause(long milliseconds) {
	Call([&] {
		(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	});
}

} // namespace auren::pg

#include "state/server_fold.hpp"

#include <string>

#include "server/guard.hpp"
#include "server/jsonb_writer.hpp"
#include "server/subtransaction.hpp"
#include "state/reducer_function.hpp"

namespace auren::pg {

namespace {

// What must not be taken for a failure of the function.
bool
EndsTransaction(int sqlerrcode) {
	const int category = ERRCODE_TO_CATEGORY(sqlerrcode);
	return category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) || category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
	       category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) || category == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK);
}

// What is needed to call a function and to come back when it fails.
struct FunctionCall {
	FmgrInfo *function;
	MemoryContext context;
	Datum state;
	std::string_view event_type;
	Datum data;
};

// The result lives in the call's context.
Datum
RunFunction(Server, const FunctionCall &call) {
	MemoryContext old = MemoryContextSwitchTo(call.context);
	LOCAL_FCINFO(fcinfo, 3);
	InitFunctionCallInfoData(*fcinfo, call.function, 3, InvalidOid, nullptr, nullptr);
	fcinfo->args[0].value = call.state;
	fcinfo->args[1].value = PointerGetDatum(cstring_to_text_with_len(call.event_type.data(), static_cast<int>(call.event_type.size())));
	fcinfo->args[2].value = call.data;
	fcinfo->args[0].isnull = fcinfo->args[1].isnull = fcinfo->args[2].isnull = false;
	const Datum result = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull) {
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the reducer function returned NULL"),
		                errhint("Return the state as it was where an event changes nothing.")));
	}
	const Datum jsonb = JsonbPGetDatum(DatumGetJsonbP(result));
	MemoryContextSwitchTo(old);
	return jsonb;
}

// The same in a subtransaction that takes back what a failing function did; 0 when it failed.
Datum
TryFunction(Server server, const FunctionCall &call) {
	volatile Datum result = 0;
	ErrorData *error = TryInSubtransaction(server, [&] { result = RunFunction(server, call); });
	if (error == nullptr) {
		return result;
	}
	if (EndsTransaction(error->sqlerrcode)) {
		ReThrowError(error);
	}
	FreeErrorData(error);
	return 0;
}

// Leaves of an error of a reducer's function what tells nothing of the values that it was given.
void
RemoveValues(Server, ErrorData *report, const char *function) {
	report->message = pstrdup("the reducer's function raised an error");
	report->detail = psprintf("It is %s. What it says is not shown, since the state holds what was decrypted.", function);
	report->hint = pstrdup("The SQLSTATE says what kind of error it is.");
	report->detail_log = nullptr;
	report->context = nullptr;
	report->internalquery = nullptr;
	report->internalpos = 0;
}

} // namespace

EventData::~EventData() {
	if (opened_ != nullptr && reinterpret_cast<char *>(opened_) != reinterpret_cast<char *>(DatumGetPointer(datum_))) {
		pfree(opened_);
	}
}

const JsonbView &
EventData::Open() const {
	if (!view_) {
		opened_ = VARATT_IS_EXTENDED(DatumGetPointer(datum_)) ? Call([&] { return DatumGetJsonbP(datum_); })
		                                                      : reinterpret_cast<Jsonb *>(DatumGetPointer(datum_));
		view_.emplace(opened_);
	}
	return *view_;
}

ServerFold::ServerFold() : home_(CurrentMemoryContext) {
}

// The context is a child of the caller's and goes with it.
ServerFold::~ServerFold() = default;

std::string_view
ServerFold::One() const {
	static const std::string one = [] {
		const Datum number = Call([] { return DirectFunctionCall1(int4_numeric, Int32GetDatum(1)); });
		return std::string(reinterpret_cast<const char *>(DatumGetPointer(number)), VARSIZE_ANY(DatumGetPointer(number)));
	}();
	return one;
}

FmgrInfo *
ServerFold::FunctionOf(const Reducer &reducer) {
	const auto found = functions_.find(reducer.function_oid);
	if (found != functions_.end()) {
		return &found->second;
	}
	const char *name = reducer.function.c_str();
	const Oid function = reducer.function_oid;
	FmgrInfo info;
	Call([&](Server server) {
		CheckReducerFunction(server, function, name);
		fmgr_info_cxt(function, &info, home_);
	});
	return &functions_.emplace(function, info).first->second;
}

bool
ServerFold::CallFunction(const Reducer &reducer, const Json &state, std::string_view event_type, const Json &data, Json *result) {
	FmgrInfo *function = FunctionOf(reducer);
	if (context_ == nullptr) {
		context_ = Call([&] { return AllocSetContextCreate(home_, "auren_events fold", ALLOCSET_DEFAULT_SIZES); });
	}
	MemoryContext old = MemoryContextSwitchTo(context_);
	const FunctionCall call{function, context_, WriteJsonb(state), event_type, WriteJsonb(data)};
	MemoryContextSwitchTo(old);
	const bool skip = reducer.skip_errors;
	Call([&] {
		if (skip && IsInParallelMode()) {
			ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
			                errmsg("a reducer function whose errors are skipped cannot be called in a parallel query"),
			                errhint("SET max_parallel_workers_per_gather = 0, or declare the reducer with on_error \"error\".")));
		}
	});
	Datum jsonb = 0;
	try {
		jsonb = Call([&](Server server) { return skip ? TryFunction(server, call) : RunFunction(server, call); });
	} catch (const Error &error) {
		if (holds_decrypted_ && ERRCODE_TO_CATEGORY(error.report->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION) {
			ErrorData *report = error.report;
			const char *name = reducer.function.c_str();
			Call([&](Server server) { RemoveValues(server, report, name); });
		}
		throw;
	}
	if (jsonb != 0) {
		const auto *bytes = reinterpret_cast<const char *>(DatumGetPointer(jsonb));
		result->SetDocument({bytes, VARSIZE_ANY(bytes)});
	}
	MemoryContext context = context_;
	Call([&] { MemoryContextReset(context); });
	return jsonb != 0;
}

} // namespace auren::pg

#include "access/store_rows.hpp"

#include "server/as_owner.hpp"
#include "store/relations.hpp"

namespace auren::pg {

StoreRows::StoreRows(const char *sql, std::vector<Oid> types, std::vector<Datum> arguments, Snapshot snapshot) {
	const int count = static_cast<int>(types.size());
	Oid *type_list = types.data();
	const Datum *values = arguments.data();
	Call([&](Server server) { StartQuery(server, &query_, sql, count, type_list, values, snapshot); });
}

bool
StoreRows::Next() {
	return Call([&](Server server) {
		CHECK_FOR_INTERRUPTS();
		return NextRow(server, &query_, &values_, &isnull_);
	});
}

std::string
StoreRows::Bytes(int column) const {
	const Datum value = values_[column];
	const struct varlena *bytes = Call(
		[&] { return static_cast<const struct varlena *>(pg_detoast_datum_packed(reinterpret_cast<struct varlena *>(DatumGetPointer(value)))); });
	std::string copy(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	if (reinterpret_cast<const char *>(bytes) != DatumGetPointer(value)) {
		Call([&] { pfree(const_cast<struct varlena *>(bytes)); });
	}
	return copy;
}

void
StoreRows::End() {
	Call([&](Server server) { EndQuery(server, &query_); });
}

AsStoreOwner::AsStoreOwner() {
	const SavedUser before = Call([](Server server) { return SwitchToOwner(server, own::stream_rows.Get(server)); });
	user_ = before.user;
	context_ = before.context;
	guc_level_ = before.guc_level;
}

void
AsStoreOwner::SwitchBack() {
	Call([&](Server server) { pg::SwitchBack(server, {user_, context_, guc_level_}); });
}

} // namespace auren::pg

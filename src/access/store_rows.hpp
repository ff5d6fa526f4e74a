#pragma once

#include <string>
#include <vector>

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/query.hpp"

namespace auren::pg {

/*
 * The rows of a query on the extension's own tables, one by one, by a snapshot that stays registered until the query is ended. It runs as the current
 * user, whom the caller has made the store's owner. After an error the end of the transaction does what End does.
 */
class StoreRows {
  public:
	StoreRows(const char *sql, std::vector<Oid> types, std::vector<Datum> arguments, Snapshot snapshot);

	// False after the last row.
	bool Next();
	bool
	IsNull(int column) const {
		return isnull_[column];
	}
	int64
	Int(int column) const {
		return DatumGetInt64(values_[column]);
	}
	int32
	Day(int column) const {
		return DatumGetDateADT(values_[column]);
	}
	// bytea or text
	std::string Bytes(int column) const;
	void End();

  private:
	RunningQuery query_ = {};
	const Datum *values_ = nullptr;
	const bool *isnull_ = nullptr;
};

/*
 * The rights of the store's owner, from here to SwitchBack. An error leaves them to the end of the transaction or savepoint, which takes them back.
 */
class AsStoreOwner {
  public:
	AsStoreOwner();
	void SwitchBack();

  private:
	Oid user_;
	int context_;
	int guc_level_;
};

} // namespace auren::pg

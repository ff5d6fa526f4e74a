#include "access/own_query.hpp"

#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// The rows of a statement in the caller's memory: rows times columns texts, nullptr for NULL.
struct TextTable {
	int rows;
	int columns;
	char **values;
};

TextTable
CopyRows(Server, MemoryContext context) {
	TextTable table = {0, 0, nullptr};
	if (SPI_tuptable == nullptr) {
		return table;
	}
	table.rows = static_cast<int>(SPI_processed);
	table.columns = SPI_tuptable->tupdesc->natts;
	table.values = static_cast<char **>(
		MemoryContextAllocZero(context, sizeof(char *) * static_cast<Size>(table.rows) * static_cast<Size>(table.columns) + sizeof(char *)));
	for (int row = 0; row < table.rows; row++) {
		for (int column = 0; column < table.columns; column++) {
			char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);
			table.values[row * table.columns + column] = value == nullptr ? nullptr : MemoryContextStrdup(context, value);
		}
	}
	return table;
}

TextTable
Run(Server server, const char *sql, int argument_count, const char *const *arguments) {
	MemoryContext context = CurrentMemoryContext;
	const SavedUser before = SwitchToOwner(server, own::stream_rows.Get(server));
	SPI_connect();
	Oid *types = static_cast<Oid *>(palloc(sizeof(Oid) * static_cast<Size>(argument_count + 1)));
	Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(argument_count + 1)));
	for (int i = 0; i < argument_count; i++) {
		types[i] = TEXTOID;
		values[i] = CStringGetTextDatum(arguments[i]);
	}
	const int result = SPI_execute_with_args(sql, argument_count, types, values, nullptr, false, 0);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	const TextTable table = CopyRows(server, context);
	SPI_finish();
	SwitchBack(server, before);
	return table;
}

} // namespace

std::vector<TextRow>
QueryAsOwner(const std::string &sql, const std::vector<std::string> &arguments) {
	std::vector<const char *> texts;
	texts.reserve(arguments.size());
	for (const std::string &argument : arguments) {
		texts.push_back(argument.c_str());
	}
	const char *statement = sql.c_str();
	const char *const *given = texts.data();
	const int count = static_cast<int>(texts.size());
	const TextTable table = Call([&](Server server) { return Run(server, statement, count, given); });
	std::vector<TextRow> rows(static_cast<std::size_t>(table.rows));
	for (int row = 0; row < table.rows; row++) {
		for (int column = 0; column < table.columns; column++) {
			const char *value = table.values[row * table.columns + column];
			rows[static_cast<std::size_t>(row)].push_back(value == nullptr ? std::nullopt : std::optional<std::string>(value));
		}
	}
	return rows;
}

std::string
PartitionName(Month month) {
	return "events.event_store_" + month.Suffix();
}

std::string
MonthText(Month month) {
	return month.StartText().substr(0, 7);
}

std::string
DateText(Month month) {
	return month.StartText().substr(0, 10);
}

} // namespace auren::pg

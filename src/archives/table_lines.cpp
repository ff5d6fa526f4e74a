#include "archives/table_lines.hpp"

#include "core/error.hpp"
#include "server/encoding.hpp"

namespace auren::pg {

namespace {

constexpr long kRowsAtOnce = 1;

const char *
QualifiedName(Server, Oid relid) {
	const char *name = get_rel_name(relid);
	return name == nullptr ? nullptr : quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

} // namespace

TableLines::TableLines(Oid relid) {
	const char *name = Call([&](Server server) { return QualifiedName(server, relid); });
	if (name == nullptr) {
		throw DomainError("42P01", "p_lines is not a table", "There is no relation " + std::to_string(relid) + ".",
		                  "CREATE TEMP TABLE lines (line_number bigserial, line text), and \\copy the archive into it.");
	}
	name_ = name;
	const std::string sql = "SELECT line::pg_catalog.text FROM " + name_ + " ORDER BY line_number";
	const char *text = sql.c_str();
	portal_ = Call([&] {
		SPI_connect();
		SPIPlanPtr plan = SPI_prepare(text, 0, nullptr);
		if (plan == nullptr) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare a statement: %s", SPI_result_code_string(SPI_result))));
		}
		Portal opened = SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
		SPI_finish();
		return opened;
	});
}

bool
TableLines::Next(std::string_view *line) {
	MemoryContext context = CurrentMemoryContext;
	const char *text = Call([&]() -> const char * {
		SPI_connect();
		SPI_cursor_fetch(portal_, true, kRowsAtOnce);
		const char *value = nullptr;
		if (SPI_processed > 0) {
			value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
			value = MemoryContextStrdup(context, value == nullptr ? "" : value);
		}
		SPI_finish();
		return value;
	});
	if (text == nullptr) {
		return false;
	}
	line_ = ToUtf8(text);
	Call([&] { pfree(const_cast<char *>(text)); });
	*line = line_;
	return true;
}

void
TableLines::Close() {
	Call([&] { SPI_cursor_close(portal_); });
}

} // namespace auren::pg

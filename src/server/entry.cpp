#include "server/entry.hpp"

#include <cstring>
#include <string>

namespace auren::pg::internal {

namespace {

template <std::size_t N>
void
Copy(char (&buffer)[N], const char *text, std::size_t length) noexcept {
	// cut between two characters: pg_encoding_mbcliplen does not allocate and raises nothing
	const int size = pg_encoding_mbcliplen(GetDatabaseEncoding(), text, static_cast<int>(length), N - 1);
	std::memcpy(buffer, text, static_cast<std::size_t>(size));
	buffer[size] = '\0';
}

} // namespace

void
Fill(Report *report, const DomainError &error) noexcept {
	Copy(report->sqlstate, error.sqlstate().data(), error.sqlstate().size());
	Copy(report->message, error.message().data(), error.message().size());
	Copy(report->detail, error.detail().data(), error.detail().size());
	Copy(report->hint, error.hint().data(), error.hint().size());
}

void
Fill(Report *report, const char *sqlstate, const char *message) noexcept {
	Copy(report->sqlstate, sqlstate, std::strlen(sqlstate));
	Copy(report->message, message, std::strlen(message));
	report->detail[0] = '\0';
	report->hint[0] = '\0';
}

void
Raise(const Report &report) {
	const char *s = report.sqlstate;
	ereport(ERROR, (errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])), errmsg_internal("%s", report.message),
	                report.detail[0] != '\0' ? errdetail_internal("%s", report.detail) : 0, report.hint[0] != '\0' ? errhint("%s", report.hint) : 0));
	pg_unreachable();
}

} // namespace auren::pg::internal

#include "server/encoding.hpp"

#include <cstring>

#include "server/guard.hpp"

namespace auren::pg {

std::string
ToUtf8(const char *text) {
	if (GetDatabaseEncoding() == PG_SQL_ASCII) {
		return text;
	}
	return Call([&] { return static_cast<const char *>(pg_server_to_any(text, static_cast<int>(std::strlen(text)), PG_UTF8)); });
}

std::string
FromUtf8(const std::string &text) {
	if (GetDatabaseEncoding() == PG_SQL_ASCII) {
		return text;
	}
	const char *utf8 = text.c_str();
	const int length = static_cast<int>(text.size());
	return Call([&] { return static_cast<const char *>(pg_any_to_server(utf8, length, PG_UTF8)); });
}

} // namespace auren::pg

#pragma once

#include <string>

#include "archives/archive_file.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The lines of an archive that a client copied into a table of its own with columns `line_number` and `line`: read in order of the number, by the
 * caller's rights.
 */
class TableLines final : public LineSource {
  public:
	explicit TableLines(Oid relid);
	bool Next(std::string_view *line) override;
	void Close() override;
	const std::string &
	name() const {
		return name_;
	}

  private:
	std::string name_;
	std::string line_;
	Portal portal_ = nullptr;
};

} // namespace auren::pg

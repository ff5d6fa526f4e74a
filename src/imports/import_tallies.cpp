#include "imports/import_tallies.hpp"

#include "core/seals/canonical_line.hpp"
#include "encrypted/personal_rules.hpp"
#include "seals/event_line.hpp"
#include "server/text.hpp"

namespace auren::pg {

void
ImportTallies::Add(const EventRow &row) {
	EventLine line;
	// placed through a pointer: nothing that the guard returns may have a destructor, and a line has none to run
	EventLine *out = &line;
	Call([&](Server server) { *out = ReadEventLine(server, row); });
	const EventNames names = {line.tenant_id, line.stream_id, line.event_type};
	if (IsPersonal(names)) {
		line.event_data = "null";
	}
	line_.clear();
	AppendLine(&line_, line);
	tenants_[std::string(line.tenant_id)].Add(hasher_.Plain(line_));
}

Tally
ImportTallies::All() const {
	Tally all;
	for (const auto &[tenant, tally] : tenants_) {
		all.Add(tally);
	}
	return all;
}

} // namespace auren::pg

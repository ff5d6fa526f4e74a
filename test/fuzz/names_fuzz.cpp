// A name is taken or refused with 22023, and one that follows the naming practice is never refused for its form.

#include <cstdlib>

#include "core/error.hpp"
#include "core/event_id.hpp"
#include "core/names.hpp"
#include "fuzz/bytes.hpp"

using namespace auren;
using namespace auren::test;

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const std::string text = bytes.Text(255);
	const Name name{text, text.size()};
	bool taken = true;
	try {
		CheckEventType(name);
	} catch (const DomainError &error) {
		taken = false;
		if (error.sqlstate() != sqlstate::kInvalidParameter || error.detail().empty() || error.hint().empty()) {
			std::abort();
		}
	}
	if (NamingFlawOfEventType(text).empty() && text.size() <= kMaxEventTypeCharacters && !taken) {
		std::abort();
	}
	if (text.compare(0, Category(text).size(), Category(text)) != 0) {
		std::abort();
	}
	// an id made for a time says that time
	EventIdMaker maker;
	std::int64_t micros = 0;
	for (int i = 0; i < 6; i++) {
		micros = micros << 8 | bytes.Byte();
	}
	const auto read = MicrosOfEventId(maker.Make(micros, bytes.Byte()));
	if (!read || *read != micros) {
		std::abort();
	}
	return 0;
}

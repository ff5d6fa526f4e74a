// Whatever the fields hold, a payload is one valid JSON object of at most the limit.

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/notification.hpp"
#include "fuzz/bytes.hpp"

using namespace auren;
using namespace auren::test;

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const std::size_t limit = 100 + bytes.Byte();
	std::vector<PayloadField> fields;
	while (!bytes.empty() && fields.size() < 6) {
		const std::uint8_t what = bytes.Byte();
		PayloadField field{"f" + std::to_string(fields.size()), PayloadField::Kind::kText, bytes.Text(200), what % 3 == 0 && fields.size() < 2};
		if (what % 5 == 0) {
			field.kind = PayloadField::Kind::kNull;
		} else if (IsJsonNumber(field.text)) {
			field.kind = PayloadField::Kind::kLiteral;
		}
		fields.push_back(field);
	}
	const std::string payload = ComposePayload(fields, limit);
	// numbers beyond a double are JSON, but not nlohmann's: they are looked at as texts
	const bool literal = [&] {
		for (const PayloadField &field : fields) {
			if (field.kind == PayloadField::Kind::kLiteral && field.text.find_first_of("eE") != std::string::npos) {
				return true;
			}
		}
		return false;
	}();
	if (payload.size() > limit || (!literal && !nlohmann::json::accept(payload))) {
		std::abort();
	}
	return 0;
}

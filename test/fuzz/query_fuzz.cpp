// A text is a query or is refused with 22023 and all fields; what is read keeps its limits, its view is the same query, and an event that was made to
// match an item does.

#include <cstddef>
#include <string>
#include <vector>

#include "core/conditions/query.hpp"
#include "core/error.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;

namespace {

// Pieces that a query is made of, so that many inputs are nearly one.
std::string
QueryText(Bytes *bytes) {
	static const char *const pieces[] = {"[",
	                                     "]",
	                                     "{",
	                                     "}",
	                                     ",",
	                                     ":",
	                                     "\"types\"",
	                                     "\"tags\"",
	                                     "\"stream\"",
	                                     "\"during\"",
	                                     "\"a\"",
	                                     "\"b:1\"",
	                                     "null",
	                                     "5",
	                                     "[\"a\"]",
	                                     "{}",
	                                     "\"version\"",
	                                     "[null, null]",
	                                     "\"2026-12-01\"",
	                                     "\"2026-12-02 10:00+01\"",
	                                     "\"types\": [\"a\", \"b\"]",
	                                     "\"tags\": [\"b:1\", \"a\"]",
	                                     "\"stream\": \"s\"",
	                                     "\"during\": [\"2026-12-01\", null]",
	                                     "\"version\": 3"};
	constexpr std::size_t kPieces = sizeof pieces / sizeof pieces[0];
	std::string text;
	while (!bytes->empty() && text.size() < 4096) {
		const std::size_t what = bytes->Byte();
		text += what < 2 * kPieces ? std::string(pieces[what % kPieces]) : bytes->Text(8);
	}
	return text;
}

bool
Same(const TextList &list, const std::vector<std::string> &texts) {
	if (list.count != texts.size()) {
		return false;
	}
	for (std::size_t i = 0; i < list.count; i++) {
		if (list.texts[i] != texts[i]) {
			return false;
		}
	}
	return true;
}

void
CheckItem(const QueryItem &item, const ItemView &view) {
	Require(Same(view.types, item.types) && Same(view.tags, item.tags) && item.tags.size() <= kMaxTagsOfEvent);
	Require(view.has_stream == item.stream.has_value() && (!item.stream || view.stream == *item.stream));
	Require(view.has_during == item.during.has_value() &&
	        (!item.during || (view.during.from == item.during->from && item.during->from < item.during->to)));
	Require(view.is_version() == item.version.has_value() && (!item.version || (*item.version >= 0 && item.stream && item.types.empty())));
	// an event that has just what is asked for
	std::vector<std::string_view> tags(item.tags.begin(), item.tags.end());
	tags.emplace_back("another");
	const std::size_t count = SortTags(tags.data(), tags.size());
	const std::string stream = item.stream.value_or("s");
	EventFacts event = {stream, item.types.empty() ? "t" : std::string_view(item.types.back()), {tags.data(), count}, view.during, view.has_during};
	Require(Matches(view, event) == !item.version);
	event.has_span = false;
	Require(Matches(view, event) == (!item.version && !item.during));
	event.tags = {};
	Require(!Matches(view, event) || item.tags.empty());
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const std::string text = bytes.Byte() % 4 == 0 ? bytes.Text(1024) : QueryText(&bytes);
	Query query;
	try {
		query = ParseQuery(text);
	} catch (const DomainError &error) {
		Require(error.sqlstate() == "22023" && !error.message().empty() && !error.detail().empty() && !error.hint().empty());
		return 0;
	}
	Require(!query.items.empty() && query.items.size() <= kMaxQueryItems);
	std::vector<std::max_align_t> block(ViewBytes(query) / sizeof(std::max_align_t) + 1);
	const QueryView view = WriteView(query, block.data());
	Require(view.count == query.items.size());
	for (std::size_t i = 0; i < view.count; i++) {
		CheckItem(query.items[i], view.items[i]);
	}
	return 0;
}

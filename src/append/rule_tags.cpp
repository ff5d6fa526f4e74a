#include "append/rule_tags.hpp"

#include "server/text.hpp"

namespace auren::pg {

namespace {

TextList
ListOf(Server, const EventTags &tags) {
	auto *texts = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * static_cast<Size>(tags.count + 1)));
	for (int i = 0; i < tags.count; i++) {
		texts[i] = TextBytes(tags.items[i]);
	}
	return {texts, static_cast<std::size_t>(tags.count)};
}

} // namespace

bool
TryTagsToWrite(Server server, const RuledEvent &event, const EventTags &given, EventTags *tags) {
	TextList made;
	const bool allowed = TryTagsToWrite(server, event, ListOf(server, given), &made);
	auto *items = static_cast<Datum *>(palloc(sizeof(Datum) * (made.count + 1)));
	for (std::size_t i = 0; i < made.count; i++) {
		items[i] = PointerGetDatum(cstring_to_text_with_len(made.texts[i].data(), static_cast<int>(made.texts[i].size())));
	}
	*tags = {items, static_cast<int>(made.count)};
	return allowed;
}

void
RequireTagsToWrite(Server server, const RuledEvent &event, const EventTags &given) {
	(void)TagsToWrite(server, event, ListOf(server, given));
}

} // namespace auren::pg

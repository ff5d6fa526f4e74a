#include "store/shown_tags.hpp"

#include "server/text.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

Datum
ShownTags(Server server, const TaggedEvent &event) {
	if (!AnyTagRules(server)) {
		return event.tags;
	}
	const Datum type = IsPlainText(event.event_type) ? event.event_type : PointerGetDatum(PG_DETOAST_DATUM_PACKED(event.event_type));
	const Datum shown = TagsToShow(server, {TextBytes(event.tenant), TextBytes(type), event.event_data}, event.tags);
	if (type != event.event_type) {
		pfree(DatumGetPointer(type));
	}
	return shown;
}

Datum
ShownTags(Server server, const TaggedEvent &event, ShownTagsRoom *room) {
	if (!AnyTagRules(server)) {
		return event.tags;
	}
	if (room->context == nullptr) {
		room->context = AllocSetContextCreate(room->parent, "tags of an event", ALLOCSET_SMALL_SIZES);
	} else {
		MemoryContextReset(room->context);
	}
	MemoryContext before = MemoryContextSwitchTo(room->context);
	const Datum shown = ShownTags(server, event);
	MemoryContextSwitchTo(before);
	return shown;
}

bool
HasAllTags(Server, Datum shown, const EventTags &tags) {
	ArrayType *array = DatumGetArrayTypeP(shown);
	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) < tags.count) {
		return false;
	}
	// both are sorted: the array is gone through once
	array_iter at;
	AnyArrayType *any = reinterpret_cast<AnyArrayType *>(array);
	array_iter_setup(&at, any);
	int found = 0;
	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) && found < tags.count; i++) {
		bool isnull;
		const Datum tag = array_iter_next(&at, &isnull, i, -1, false, TYPALIGN_INT);
		if (!isnull && SameText(tag, tags.items[found])) {
			found++;
		}
	}
	return found == tags.count;
}

} // namespace auren::pg

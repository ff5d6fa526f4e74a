#include "pg/state.hpp"

#include "pg/guard.hpp"

namespace auren::pg {

namespace {

// Server side.
void
PushValue(JsonbParseState **state, Datum datum) {
	Jsonb *jsonb = DatumGetJsonbP(datum);
	JsonbValue value;
	if (JB_ROOT_IS_SCALAR(jsonb)) {
		(void)JsonbExtractScalar(&jsonb->root, &value);
	} else {
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = static_cast<int>(VARSIZE_ANY_EXHDR(jsonb));
	}
	(void)pushJsonbValue(state, WJB_VALUE, &value);
}

} // namespace

Datum
ObjectOf(const std::vector<StateEntry> &entries) {
	const StateEntry *first = entries.data();
	const std::size_t count = entries.size();
	return Call([&] {
		JsonbParseState *state = nullptr;
		(void)pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
		for (std::size_t i = 0; i < count; i++) {
			JsonbValue key;
			key.type = jbvString;
			key.val.string.val = VARDATA_ANY(DatumGetPointer(first[i].key));
			key.val.string.len = static_cast<int>(VARSIZE_ANY_EXHDR(DatumGetPointer(first[i].key)));
			(void)pushJsonbValue(&state, WJB_KEY, &key);
			PushValue(&state, first[i].value);
		}
		return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
	});
}

} // namespace auren::pg

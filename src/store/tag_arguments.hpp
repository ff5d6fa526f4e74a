#pragma once

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Tags as plain texts.
 */
struct EventTags {
	const Datum *items;
	int count;
};

/*
 * Tags as an argument has them: sorted by their bytes, each once. Both forms live in the memory context that was current.
 */
struct TagSet {
	Datum array; // a text[]
	EventTags tags;
};

/*
 * Tags of a text[], and of a jsonb that is an array of texts or null. Throw 22023 for what is not a tag, for more than an event may have, and for
 * another jsonb; 22004 for a NULL among them.
 */
TagSet TagsOfArray(const ArrayType *array);
// p_tags, without a tag where it is NULL or where the function is declared without it.
TagSet TagsArgument(FunctionCallInfo fcinfo, int argument);
TagSet TagsOfJson(Datum jsonb);

} // namespace auren::pg

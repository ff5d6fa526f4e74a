#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/tag_arguments.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

/*
 * TryTagsToWrite and TagsToWrite (tags/tag_rules.hpp) with tags as appends have them: plain texts, in the current memory context.
 */
bool TryTagsToWrite(Server server, const RuledEvent &event, const EventTags &given, EventTags *tags);
void RequireTagsToWrite(Server server, const RuledEvent &event, const EventTags &given);

} // namespace auren::pg

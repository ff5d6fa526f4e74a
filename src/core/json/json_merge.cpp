#include "core/json/json_merge.hpp"

#include "core/no_postgres.hpp"

namespace auren {

void
MergePatch(Json *target, const Json &patch, const JsonHost &host) {
	MergeView(target, JsonView(patch, host), host);
}

} // namespace auren

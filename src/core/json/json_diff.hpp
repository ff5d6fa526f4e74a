#pragma once

#include "core/json/json.hpp"

namespace auren {

/*
 * The patch of RFC 6902 that turns one value into another: an array of add, remove and replace, empty when they are
 * equal. Objects are compared member by member in order of the keys. Arrays are compared without the elements that are
 * equal at their beginning and end: one that has moved to the left loses its first elements and gets the new last ones,
 * any other is compared place by place, then the surplus is removed, the last one first, or what is missing is added. The
 * same values always give the same patch.
 */
Json Diff(const Json &from, const Json &to, const JsonHost &host);

} // namespace auren

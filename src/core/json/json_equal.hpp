#pragma once

#include "core/json/json.hpp"

namespace auren {

// Whether two values are the same as RFC 6902, section 4.6, means it: numbers by value, arrays element by element,
// objects whatever the order of their members. Documents are compared by what they hold.
bool Equal(const Json &value, const Json &other, const JsonHost &host);

// The value to look into: what a document holds, made in *storage, or else the value itself.
const Json &Expanded(const Json &value, Json *storage, const JsonHost &host);

} // namespace auren

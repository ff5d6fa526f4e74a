#pragma once

#include <string_view>

namespace auren {

// Whether a text is a traceparent of W3C's Trace Context: version, trace id, parent id and flags in lower-case hexadecimal, neither id all
// zeros. A later version may have more after a "-".
bool IsTraceParent(std::string_view text);

// Whether a text is a tracestate of it: 32 members (key=value) at most, at least one, and 512 characters at most.
bool IsTraceState(std::string_view text);

} // namespace auren

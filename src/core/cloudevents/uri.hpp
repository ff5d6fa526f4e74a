#pragma once

#include <string>
#include <string_view>

namespace auren {

// Whether a text is a URI-reference of RFC 3986 (section 4.1) and not empty: a URI or a relative reference.
bool IsUriReference(std::string_view text);
// Whether it is a URI, with a scheme.
bool IsUri(std::string_view text);
// The text with each byte percent-encoded that is not unreserved (RFC 3986, section 2.3).
std::string PercentEncoded(std::string_view text);

} // namespace auren

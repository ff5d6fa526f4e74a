/*
 * What the wall between C++ and the server refuses (server/guard.hpp). scripts/check_house compiles this file as it stands, which
 * must work, and once for each case with its name defined, which must fail with the message that is named beside it.
 */
#include <string>

#include "server/guard.hpp"
#include "store/relations.hpp"

namespace auren::pg {
namespace {

// A function on the server's side: it has a token to pass on.
Oid
EventsOf(Server server) {
	return own::events.Get(server);
}

// C++: what it calls is guarded.
Oid
Guarded() {
	return Call([](Server server) { return EventsOf(server); });
}

// A lambda that calls nothing that asks for a token need not take it.
int
Plain() {
	return Call([] { return 1; });
}

#ifdef NO_TOKEN // too few arguments
Oid
WithoutGuard() {
	return EventsOf();
}
#endif

#ifdef NO_TOKEN_IN_GUARD // too few arguments
Oid
InGuard() {
	return Call([] { return EventsOf(); });
}
#endif

#ifdef OWN_TOKEN // private
Oid
WithOwnToken() {
	Server server;
	return EventsOf(server);
}
#endif

#ifdef OWN_TOKEN_IN_BRACES // private
Oid
WithBraces() {
	return EventsOf(Server{});
}
#endif

#ifdef EMPTY_BRACES // private|could not convert
Oid
WithEmptyBraces() {
	return EventsOf({});
}
#endif

#ifdef TOKEN_TAKEN_OUT // the token stays in the guard
Oid
WithTokenTakenOut() {
	return EventsOf(Call([](Server server) { return server; }));
}
#endif

#ifdef DESTRUCTOR_CAPTURED // capture by reference
int
WithCapturedString(std::string text) {
	return Call([text] { return static_cast<int>(text.size()); });
}
#endif

#ifdef DESTRUCTOR_RETURNED // return plain data
std::string
WithReturnedString() {
	return Call([] { return std::string("text"); });
}
#endif

} // namespace

// keeps the functions above from being unused
bool
WallStands() {
	return OidIsValid(Guarded()) && Plain() == 1;
}

} // namespace auren::pg

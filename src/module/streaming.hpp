#pragma once

#include "server/guard.hpp"

namespace auren {

// Called once when the module is loaded.
void RegisterStreamingFunctions(pg::Server server);

} // namespace auren

#pragma once

namespace auren {

// Called once when the module is loaded.
void RegisterStreamingFunctions();

} // namespace auren

#pragma once

namespace auren {

// The first set-up of this module in a session registers what makes triggers look at their table's columns again.
void RegisterMetricCallbacks();

} // namespace auren

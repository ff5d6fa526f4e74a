#pragma once

#include <memory>

#include "core/encrypted/master_keys.hpp"

namespace auren::pg {

/*
 * The master keys as the server's configuration names them: read when they are needed first, and again when the file is another one
 * or the configuration was read anew. They stand in memory that no core dump holds. Throws F0000 where there are none, where
 * others than the server's user can read the file, or where the command fails or takes too long.
 */
std::shared_ptr<const MasterKeys> CurrentMasterKeys();

} // namespace auren::pg

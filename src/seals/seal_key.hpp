#pragma once

#include <string>
#include <vector>

#include "core/seals/signing.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The keys of the file that auren_events.seal_key_file names, in their order: the last one is current. The file is read at each call, so that nothing
 * of a key outlives it. Throws F0000 where there is none, or others than the server's user can read it.
 */
std::vector<SealKey> ConfiguredSealKeys();

// Throws 55000 where a key may sign no seal: it is not registered, or another one was registered after it. Runs as the owner of the store.
void RequireRegistered(const SealKey &key);

/*
 * Registers the current key, endorsed by the one before it, whose private half must be in the file as well, unless it is said to be lost. Gives the
 * key's id; a key that is registered and not retired stays as it is. Others that seal or register wait for nobody: 55P03.
 */
enum class PreviousKey { kEndorses, kIsLost };
std::string RegisterSealKey(PreviousKey previous);

// Takes the lock of the one session that seals, or registers a key, to the end of the transaction. Throws 55P03 where another has it.
void LockSealer();

} // namespace auren::pg

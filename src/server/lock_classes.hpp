#pragma once

#include "server/postgres.hpp"

namespace auren::pg {

// The classes of our advisory locks: the last field of their tags, which pg_locks shows as objsubid (a smallint: 0xA0E2 is -24350).
// SQL's own advisory locks have 1 and 2.
inline constexpr uint16 kMonthLockClass = 0xA0E1;    // the maker of months
inline constexpr uint16 kPositionLockClass = 0xA0E2; // appends in flight, by the last position before theirs
inline constexpr uint16 kShareLockClass = 0xA0E3;    // shares of subscriptions
inline constexpr uint16 kNotifierLockClass = 0xA0E4; // the notifier
inline constexpr uint16 kRefreshLockClass = 0xA0E5;  // the session that refreshes metrics
inline constexpr uint16 kPersonLockClass = 0xA0E6;   // a session that makes keys of a person or forgets one

inline constexpr uint16 kRuleLockClass = 0xA0E9;          // a session that adds notification rules of a tenant
inline constexpr uint16 kTagLockClass = 0xA0EA;           // appends that write a tag, and those whose condition asks about it
inline constexpr uint16 kStreamLockClass = 0xA0EB;        // the same for a stream that does not exist
inline constexpr uint16 kOperationsLockClass = 0xA0EF;    // a session that drops or carries months, and imports, which it keeps off
inline constexpr uint16 kSealerLockClass = 0xA0F0;        // the session that seals
inline constexpr uint16 kProgressDoneLockClass = 0xA0F1;  // sessions that show how far they are: what is done
inline constexpr uint16 kProgressTotalLockClass = 0xA0F2; // and how much there is
inline constexpr uint16 kImportLockClass = 0xA0F3;        // the session that imports a store
// of the whole server: their database is 0
inline constexpr uint16 kAuditSlotLockClass = 0xA0ED;   // workers of the audit
inline constexpr uint16 kAuditWantedLockClass = 0xA0EE; // sessions that wait for one

} // namespace auren::pg

#include "server/wait_point.hpp"

#include <cstring>

namespace auren::pg {

#ifdef AUREN_WAIT_POINTS

namespace {

// What hashtext() gives for it.
uint32
HashOf(const char *text) {
	return DatumGetUInt32(hash_any(reinterpret_cast<const unsigned char *>(text), static_cast<int>(strlen(text))));
}

} // namespace

void
WaitAt(const char *name) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, HashOf("auren_events"), HashOf(name), 2);
	// for the session, so that nothing of it is left in the transaction
	(void)LockAcquire(&tag, ShareLock, true, false);
	(void)LockRelease(&tag, ShareLock, true);
}

#endif

} // namespace auren::pg

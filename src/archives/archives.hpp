#pragma once

#include <optional>
#include <string>

#include "archives/archive_file.hpp"
#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// What events.archive_month did.
struct WrittenArchive {
	int64 events;
	int64 bytes; // of the file; 0: it was there already
	std::string sha256;
	bool written;
};

/*
 * Writes the archive of a month to a file of the server, and notes it in auren.month_records. A file that is there stays where it holds the same
 * events and seals, is written anew where it holds the same events and other seals, and is 58P02 where it is anything else. Other archives and drops
 * of the month wait.
 */
WrittenArchive WriteArchive(Month month, const std::string &path, Compression compression);

// Notes that there is an archive of a month: where it is, and the digest of its events. Throws 42704 where the store never had the month.
void RecordArchive(Month month, const std::string &archive, const std::string &sha256);

/*
 * Makes a dropped month again of its archive, to be read, and attaches it: all or nothing. Nobody writes to it. Throws 55000 for a month that was not
 * dropped or is attached, and for an archive that is not of this store, saying what differs; XX001 where a line is not what was sealed; 22P04 where
 * the archive is not whole. Returns how many events there are.
 */
struct AttachedMonth {
	Month month;
	int64 events;
	int64 unsealed;
};
AttachedMonth AttachArchive(LineSource *lines, const std::string &name);

/*
 * Takes an attached month away again. Takes ACCESS EXCLUSIVE as the drop of a month does: for a moment, again and again, until the patience of
 * lock_timeout, or a minute, is used up (55P03). Throws 55000 where the month is not attached.
 */
void DetachArchive(Month month);

} // namespace auren::pg

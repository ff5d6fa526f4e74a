#include "counts/count_file.hpp"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace auren::pg {

namespace {

constexpr char kDirectory[] = "pg_stat"; // relative to the data directory, which is each session's own directory
constexpr char kPrefix[] = "auren_events_";
constexpr int kLayout = 1;
constexpr uint64 kMagic = UINT64CONST(0x61757265635f6e31);
// A file that could not be had is tried again after so long.
constexpr int kRetryMs = 5000;

struct Header {
	uint64 magic; // last, when the rest is there
	Oid database;
	uint32 rows; // of the table of tenants
	int64 since;
	uint32 table; // of tenants: another number whenever its rows were given back
	uint32 unused[9];
};

struct AllTenants {
	Header header;
	int64 counts[kCountPlaces];
};

struct TenantRow {
	uint32 length;
	char name[kLongestCountedTenant];
	int64 counts[kCountPlaces];
};

// Twice as many as there are rows, so that a look for one ends soon.
constexpr uint32 kSlots = 2048;
static_assert(kSlots > 2 * kMostCountedTenants);

struct Tenants {
	Header header;
	uint32 slots[kSlots]; // by the hash of the name: 1 more than the row, 0: none
	TenantRow rows[kMostCountedTenants + 1];
};

// A file as this session has it.
struct File {
	const char *kind;
	Size bytes;
	Header *mapped;
	TimestampTz failed_at;
	int error; // why it could not be had
};
File all_file = {"counts", sizeof(AllTenants), nullptr, 0, 0};
File tenants_file = {"tenants", sizeof(Tenants), nullptr, 0, 0};

AllTenants *
All() {
	return reinterpret_cast<AllTenants *>(all_file.mapped);
}
Tenants *
OfTenants() {
	return reinterpret_cast<Tenants *>(tenants_file.mapped);
}

// On a processor that cannot add eight bytes at once, two sessions may lose a count.
inline void
AddAtomically(int64 *to, int64 times) {
	if constexpr (__atomic_always_lock_free(sizeof(int64), nullptr)) {
		__atomic_fetch_add(to, times, __ATOMIC_RELAXED);
	} else {
		*const_cast<volatile int64 *>(to) += times;
	}
}
inline int64
Read(const int64 *from) {
	return *const_cast<const volatile int64 *>(from);
}
inline void
Write(int64 *to, int64 value) {
	*const_cast<volatile int64 *>(to) = value;
}

// ---- the mapping -----------------------------------------------------------------------------------------------------

/*
 * What is mapped cannot be read or written where the file was cut short or the disk has no block for it: the system tells by SIGBUS, which would end
 * the server. So it is caught while we touch a mapping, and only then.
 */
sigjmp_buf lost_mapping;
volatile sig_atomic_t touching = 0;
struct sigaction others_action;

void
OnLostMapping(int) {
	if (touching != 0) {
		touching = 0;
		siglongjmp(lost_mapping, 1);
	}
	// not ours: what was there before us gets it, since the instruction is done again
	(void)sigaction(SIGBUS, &others_action, nullptr);
}

void
CatchLostMappings() {
	static bool caught = false;
	if (caught) {
		return;
	}
	struct sigaction action;
	std::memset(&action, 0, sizeof action);
	action.sa_handler = OnLostMapping;
	action.sa_flags = SA_NODEFER;
	(void)sigemptyset(&action.sa_mask);
	caught = sigaction(SIGBUS, &action, &others_action) == 0;
}

void
GiveUp(File *file, int error) {
	if (file->mapped != nullptr) {
		(void)munmap(file->mapped, file->bytes);
		file->mapped = nullptr;
	}
	file->error = error;
	file->failed_at = GetCurrentTimestamp();
}

// Calls something that reads or writes what is mapped. False where it could not.
template <typename F>
bool
Touch(File *file, F &&touch) {
	if (sigsetjmp(lost_mapping, 0) != 0) {
		GiveUp(file, EIO);
		return false;
	}
	touching = 1;
	touch();
	touching = 0;
	return true;
}

// ---- the files -------------------------------------------------------------------------------------------------------

struct Path {
	char text[MAXPGPATH];
};

Path
PathOf(const char *kind, Oid database) {
	Path path;
	snprintf(path.text, sizeof path.text, "%s/%s%s.%d.%u", kDirectory, kPrefix, kind, kLayout, database);
	return path;
}

bool
IsSound(int fd, const File &file) {
	struct stat status;
	Header header;
	return fstat(fd, &status) == 0 && status.st_size >= static_cast<off_t>(file.bytes) &&
	       pread(fd, &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) && header.magic == kMagic && header.database == MyDatabaseId;
}

// Others hold the lock for a moment only. It is that of the open file, which a mapping keeps open: closing is not enough to give it back.
bool
LockFile(int fd) {
	for (int turn = 0; turn < 50; turn++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			return true;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			return false;
		}
		pg_usleep(1000);
	}
	return false;
}

void
UnlockFile(int fd) {
	(void)flock(fd, LOCK_UN);
}

// Makes the file anew, with its blocks, unless another session just did. Returns 0 or what went wrong.
int
MakeSoundLocked(int fd, const File &file) {
	if (IsSound(fd, file)) {
		return 0;
	}
	Header header;
	std::memset(&header, 0, sizeof header);
	header.database = MyDatabaseId;
	header.since = GetCurrentTimestamp();
	header.table = static_cast<uint32>(header.since);
	int error = ftruncate(fd, 0) == 0 ? posix_fallocate(fd, 0, static_cast<off_t>(file.bytes)) : errno;
	if (error == 0) {
		header.magic = kMagic;
		const ssize_t written = pwrite(fd, &header, sizeof header, 0);
		error = written == static_cast<ssize_t>(sizeof header) ? 0 : written < 0 ? errno : ENOSPC;
	}
	if (error != 0) {
		(void)!ftruncate(fd, 0);
	}
	return error;
}

int
MakeSound(int fd, const File &file) {
	if (!LockFile(fd)) {
		return errno;
	}
	const int error = MakeSoundLocked(fd, file);
	UnlockFile(fd);
	return error;
}

enum class Missing { kMake, kLeave };

// Whoever may read the data directory's other files may read this one.
int
Open(const File &file, Missing missing) {
	constexpr int kReadAndWrite = 0666;
	return open(PathOf(file.kind, MyDatabaseId).text, O_RDWR | O_CLOEXEC | (missing == Missing::kMake ? O_CREAT : 0),
	            data_directory_mode & kReadAndWrite);
}

// Maps the file, which is made where that is asked for. False where it cannot be had, and `error` of the file says why.
bool
Map(File *file, Missing missing) {
	if (file->mapped != nullptr) {
		return true;
	}
	CatchLostMappings();
	const int fd = Open(*file, missing);
	if (fd < 0) {
		GiveUp(file, errno);
		return false;
	}
	const int error = IsSound(fd, *file) ? 0 : MakeSound(fd, *file);
	void *address = error != 0 ? MAP_FAILED : mmap(nullptr, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const int map_error = error != 0 ? error : errno;
	(void)close(fd);
	if (address == MAP_FAILED) {
		GiveUp(file, map_error);
		return false;
	}
	file->mapped = static_cast<Header *>(address);
	return true;
}

// For whoever counts: not again and again where it cannot be had.
bool
MapToCount(File *file) {
	if (file->mapped != nullptr) {
		return true;
	}
	if (!OidIsValid(MyDatabaseId) || (file->failed_at != 0 && !TimestampDifferenceExceeds(file->failed_at, GetCurrentTimestamp(), kRetryMs))) {
		return false;
	}
	return Map(file, Missing::kMake);
}

[[noreturn]] void
RaiseNotHad(Server, const File &file) {
	errno = file.error;
	ereport(ERROR, (errcode_for_file_access(), errmsg("could not read the counts in \"%s\": %m", PathOf(file.kind, MyDatabaseId).text),
	                errdetail("Sessions go on without, keep what they count meanwhile and try again every %d seconds.", kRetryMs / 1000),
	                errhint("See that the data directory's disk has room, and that the server's user may write there.")));
}

void
MapOrRaise(Server server, File *file) {
	if (!Map(file, Missing::kMake)) {
		RaiseNotHad(server, *file);
	}
}

// ---- tenants ---------------------------------------------------------------------------------------------------------

uint32
HashOf(std::string_view name) {
	uint32 hash = 2166136261U; // FNV-1a
	for (const char c : name) {
		hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
	}
	return hash;
}

// The slot that has the tenant's row, or the empty one where that would be.
uint32 *
FindSlot(Tenants *tenants, std::string_view name) {
	uint32 slot = HashOf(name) % kSlots;
	for (uint32 looked = 0; looked < kSlots; looked++, slot = (slot + 1) % kSlots) {
		const uint32 row = __atomic_load_n(&tenants->slots[slot], __ATOMIC_ACQUIRE);
		if (row == 0 || row > kMostCountedTenants) {
			break;
		}
		const TenantRow &known = tenants->rows[row - 1];
		if (known.length == name.size() && std::memcmp(known.name, name.data(), name.size()) == 0) {
			break;
		}
	}
	return &tenants->slots[slot];
}

int
RowIn(uint32 slot) {
	return slot == 0 || slot > kMostCountedTenants ? kNoRow : static_cast<int>(slot - 1);
}

uint32
TableOf(const Tenants &tenants) {
	return __atomic_load_n(&tenants.header.table, __ATOMIC_ACQUIRE);
}

void
ClearCounts(TenantRow *row) {
	for (int64 &count : row->counts) {
		Write(&count, 0);
	}
}

// The file is locked.
int
AddTenant(Tenants *tenants, std::string_view name) {
	uint32 *slot = FindSlot(tenants, name);
	const int known = RowIn(*slot);
	if (known != kNoRow) {
		return known;
	}
	const uint32 row = tenants->header.rows;
	if (row >= kMostCountedTenants) {
		return kOtherTenants;
	}
	// a session that looked before the rows were given back may have added to it
	ClearCounts(&tenants->rows[row]);
	std::memcpy(tenants->rows[row].name, name.data(), name.size());
	tenants->rows[row].length = static_cast<uint32>(name.size());
	tenants->header.rows = row + 1;
	__atomic_store_n(slot, row + 1, __ATOMIC_RELEASE);
	return static_cast<int>(row);
}

// What it does with the file's table of tenants nobody else does at the same time. False where it was not done. Where the file is gone the mapping is
// given up too, so that the next one is of the file that others see.
template <typename F>
bool
TouchLocked(File *file, F &&touch) {
	const int fd = Open(*file, Missing::kLeave);
	const bool locked = fd >= 0 && LockFile(fd);
	const int error = errno;
	const bool done = locked && Touch(file, touch);
	if (fd < 0) {
		GiveUp(file, error);
		return false;
	}
	if (locked) {
		UnlockFile(fd);
	} else {
		file->error = error;
	}
	(void)close(fd);
	return done;
}

// Those who look for a row read the number of the table first, so that with a new number nobody finds an old row.
void
GiveBackRows(Tenants *tenants) {
	for (uint32 &slot : tenants->slots) {
		__atomic_store_n(&slot, 0, __ATOMIC_RELAXED);
	}
	tenants->header.rows = 0;
	for (TenantRow &row : tenants->rows) {
		ClearCounts(&row);
	}
	__atomic_store_n(&tenants->header.table, tenants->header.table + 1, __ATOMIC_RELEASE);
}

} // namespace

bool
IsStillCounted(CountedTenant tenant) {
	bool same = false;
	return tenant.row != kNoRow && tenants_file.mapped != nullptr && Touch(&tenants_file, [&] { same = TableOf(*OfTenants()) == tenant.table; }) &&
	       same;
}

CountedTenant
FindCountedTenant(std::string_view tenant) {
	if (!MapToCount(&tenants_file)) {
		return kAllTenants;
	}
	CountedTenant found = kAllTenants;
	const bool named = tenant.size() <= kLongestCountedTenant;
	const bool done = Touch(&tenants_file, [&] {
		found.table = TableOf(*OfTenants());
		found.row = named ? RowIn(*FindSlot(OfTenants(), tenant)) : kOtherTenants;
		if (found.row == kNoRow && OfTenants()->header.rows >= kMostCountedTenants) {
			found.row = kOtherTenants;
		}
	});
	if (!done || found.row != kNoRow) {
		return done ? found : kAllTenants;
	}
	const bool added = TouchLocked(&tenants_file, [&] {
		found.table = TableOf(*OfTenants());
		found.row = AddTenant(OfTenants(), tenant);
	});
	return added ? found : kAllTenants;
}

bool
AddToFile(CountedTenant tenant, int64 *counts) {
	if (!MapToCount(&all_file)) {
		return false;
	}
	if (tenant.row != kNoRow && tenants_file.mapped != nullptr) {
		(void)Touch(&tenants_file, [&] {
			const bool still = TableOf(*OfTenants()) == tenant.table;
			ForEachPlace([&](int place) {
				if (counts[place] != 0 && still) {
					AddAtomically(&OfTenants()->rows[tenant.row].counts[place], counts[place]);
				}
			});
		});
	}
	return Touch(&all_file, [&] {
		ForEachPlace([&](int place) {
			if (counts[place] != 0) {
				AddAtomically(&All()->counts[place], counts[place]);
				counts[place] = 0;
			}
		});
	});
}

ReadCounts
ReadCountsOfAll(Server server) {
	MapOrRaise(server, &all_file);
	ReadCounts read;
	const bool done = Touch(&all_file, [&] {
		read.since = Read(&All()->header.since);
		for (int i = 0; i < kCountPlaces; i++) {
			read.counts[i] = Read(&All()->counts[i]);
		}
	});
	if (!done) {
		RaiseNotHad(server, all_file);
	}
	return read;
}

ReadTenantCounts *
ReadCountsOfTenants(Server server, int *count) {
	*count = 0;
	auto *read = static_cast<ReadTenantCounts *>(palloc(sizeof(ReadTenantCounts) * (kMostCountedTenants + 1)));
	auto *names = static_cast<char *>(palloc((kLongestCountedTenant + 1) * kMostCountedTenants));
	if (!Map(&tenants_file, Missing::kLeave)) {
		if (tenants_file.error == ENOENT) {
			tenants_file.failed_at = 0;
			return read;
		}
		RaiseNotHad(server, tenants_file);
	}
	int found = 0;
	const bool done = Touch(&tenants_file, [&] {
		for (int row = 0; row <= kMostCountedTenants; row++) {
			if (row < kMostCountedTenants && static_cast<uint32>(row) >= OfTenants()->header.rows) {
				continue;
			}
			const TenantRow &from = OfTenants()->rows[row];
			bool any = false;
			for (int i = 0; i < kCountPlaces; i++) {
				read[found].counts[i] = Read(&from.counts[i]);
				any = any || read[found].counts[i] != 0;
			}
			if (!any) {
				continue;
			}
			read[found].tenant = nullptr;
			if (row < kMostCountedTenants) {
				char *name = names + static_cast<Size>(row) * (kLongestCountedTenant + 1);
				const Size length = Min(static_cast<Size>(from.length), kLongestCountedTenant);
				std::memcpy(name, from.name, length);
				name[length] = '\0';
				read[found].tenant = name;
			}
			found++;
		}
	});
	if (!done) {
		RaiseNotHad(server, tenants_file);
	}
	*count = found;
	return read;
}

void
ResetCounts(Server server) {
	MapOrRaise(server, &all_file);
	bool done = Touch(&all_file, [] {
		for (int64 &count : All()->counts) {
			Write(&count, 0);
		}
		Write(&All()->header.since, GetCurrentTimestamp());
	});
	if (!done) {
		RaiseNotHad(server, all_file);
	}
	done = Map(&tenants_file, Missing::kLeave) && TouchLocked(&tenants_file, [] { GiveBackRows(OfTenants()); });
	if (!done && tenants_file.error != ENOENT) {
		RaiseNotHad(server, tenants_file);
	}
	if (!done) {
		tenants_file.failed_at = 0; // there is none, so nothing is counted in it
	}
}

void
RemoveCountsOfDropped(Server) {
	DIR *directory = AllocateDir(kDirectory);
	struct dirent *entry;
	while ((entry = ReadDirExtended(directory, kDirectory, LOG)) != nullptr) {
		char kind[16];
		int layout;
		Oid database;
		int end = 0;
		if (strncmp(entry->d_name, kPrefix, sizeof kPrefix - 1) != 0 ||
		    sscanf(entry->d_name + sizeof kPrefix - 1, "%15[a-z].%d.%u%n", kind, &layout, &database, &end) != 3 ||
		    entry->d_name[sizeof kPrefix - 1 + static_cast<Size>(end)] != '\0') {
			continue;
		}
		if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database))) {
			char path[MAXPGPATH * 2];
			snprintf(path, sizeof path, "%s/%s", kDirectory, entry->d_name);
			(void)unlink(path);
		}
	}
	FreeDir(directory);
}

} // namespace auren::pg

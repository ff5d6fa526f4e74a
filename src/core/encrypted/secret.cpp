#include "core/encrypted/secret.hpp"

#include <new>

#include <openssl/crypto.h>
#include <sys/mman.h>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

// Keys are small and many: they share pages. What is larger has pages of its own.
constexpr std::size_t kSlotBytes = 64;
constexpr std::size_t kChunkBytes = 16 * 4096;

union Slot {
	Slot *next;
	std::uint8_t bytes[kSlotBytes];
};

// Free slots; a chunk is never given back. One thread: a backend has no other.
Slot *free_slots = nullptr;

std::uint8_t *
MapPages(std::size_t size) {
	void *pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		throw std::bad_alloc();
	}
#ifdef MADV_DONTDUMP
	if (madvise(pages, size, MADV_DONTDUMP) != 0) {
		(void)munmap(pages, size);
		throw std::bad_alloc();
	}
#endif
	(void)mlock(pages, size); // as far as RLIMIT_MEMLOCK goes
	return static_cast<std::uint8_t *>(pages);
}

std::uint8_t *
TakeSlot() {
	if (free_slots == nullptr) {
		auto *slots = reinterpret_cast<Slot *>(MapPages(kChunkBytes));
		for (std::size_t i = 0; i < kChunkBytes / kSlotBytes; i++) {
			slots[i].next = free_slots;
			free_slots = &slots[i];
		}
	}
	Slot *slot = free_slots;
	free_slots = slot->next;
	slot->next = nullptr;
	return slot->bytes;
}

} // namespace

Secret::Secret(std::size_t size) : data_(size <= kSlotBytes ? TakeSlot() : MapPages(size)), size_(size) {
}

Secret::~Secret() {
	if (data_ == nullptr) {
		return;
	}
	Wipe();
	if (size_ <= kSlotBytes) {
		auto *slot = reinterpret_cast<Slot *>(data_);
		slot->next = free_slots;
		free_slots = slot;
	} else {
		(void)munmap(data_, size_);
	}
}

void
Secret::Wipe() noexcept {
	if (data_ != nullptr) {
		OPENSSL_cleanse(data_, size_);
	}
}

} // namespace auren

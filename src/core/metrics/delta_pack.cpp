#include "core/metrics/delta_pack.hpp"

#include "core/error.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::size_t kCountBytes = 4;

// Leading bits of a lot, by size, and the deltas from which the next size is taken: of a statement's a lot has 16 to 64, a pack or two.
constexpr int kLotBits[kLotSizes] = {3, 5, 7, 9};
constexpr std::size_t kLotDeltas[kLotSizes - 1] = {512, 2048, 8192};

void
PutNumber(std::uint64_t number, int bytes, std::string *to) {
	for (int i = 0; i < bytes; i++) {
		to->push_back(static_cast<char>(number >> (8 * i)));
	}
}

// A load, where the machine has the same order of bytes.
std::uint64_t
LongAt(std::string_view bytes, std::size_t at) {
	const auto *b = reinterpret_cast<const unsigned char *>(bytes.data() + at);
	const auto of = [b](int i) {
		return static_cast<std::uint64_t>(b[i]) << (8 * i);
	};
	return of(0) | of(1) | of(2) | of(3) | of(4) | of(5) | of(6) | of(7);
}

std::size_t
WordAt(std::string_view bytes, std::size_t at) {
	const auto *b = reinterpret_cast<const unsigned char *>(bytes.data() + at);
	const auto of = [b](int i) {
		return static_cast<std::uint32_t>(b[i]) << (8 * i);
	};
	return of(0) | of(1) | of(2) | of(3);
}

int
Lot(std::int64_t series, int size) {
	const int bits = kLotBits[size];
	return 1 << bits | static_cast<int>(static_cast<std::uint64_t>(series) >> (64 - bits));
}

[[noreturn]] void
Refuse() {
	throw DomainError("22P03", "these bytes are not a pack of deltas", "They end early or say what no pack says.",
	                  "Packs are made by the extension and read by its views.");
}

} // namespace

void
DeltaPack::Add(std::int64_t series, std::int64_t bucket, std::string_view summary) {
	summaries_ += summary;
	PutNumber(static_cast<std::uint64_t>(series), 8, &heads_);
	PutNumber(static_cast<std::uint64_t>(bucket), 8, &heads_);
	PutNumber(summaries_.size(), 4, &heads_);
}

void
DeltaPack::Clear() {
	heads_.clear();
	summaries_.clear();
}

bool
DeltaPack::IsFullFor(std::size_t summary_bytes) const {
	return !empty() && size() + kHeadBytes + summary_bytes > kMostBytes;
}

std::int64_t
DeltaPack::first_series() const {
	return static_cast<std::int64_t>(LongAt(heads_, 0));
}

std::int64_t
DeltaPack::last_series() const {
	return static_cast<std::int64_t>(LongAt(heads_, heads_.size() - kHeadBytes));
}

std::size_t
DeltaPack::size() const {
	return kCountBytes + heads_.size() + summaries_.size();
}

void
DeltaPack::Write(char *bytes) const {
	for (std::size_t i = 0; i < kCountBytes; i++) {
		bytes[i] = static_cast<char>(count() >> (8 * i));
	}
	heads_.copy(bytes + kCountBytes, heads_.size());
	summaries_.copy(bytes + kCountBytes + heads_.size(), summaries_.size());
}

DeltaPackReader::DeltaPackReader(Borrowed bytes) : bytes_(bytes), count_(0) {
	if (bytes.size() < kCountBytes) {
		Refuse();
	}
	count_ = WordAt(bytes, 0);
	if (count_ > (bytes.size() - kCountBytes) / DeltaPack::kHeadBytes) {
		Refuse();
	}
}

DeltaPackReader::Delta
DeltaPackReader::At(std::size_t i) const {
	const std::size_t head = kCountBytes + i * DeltaPack::kHeadBytes;
	const std::size_t summaries = kCountBytes + count_ * DeltaPack::kHeadBytes;
	const std::size_t begin = i == 0 ? 0 : WordAt(bytes_, head - 4);
	const auto end = WordAt(bytes_, head + 16);
	if (begin > end || end > bytes_.size() - summaries) {
		Refuse();
	}
	return {SeriesAt(i), static_cast<std::int64_t>(LongAt(bytes_, head + 8)), bytes_.substr(summaries + begin, end - begin)};
}

std::size_t
DeltaPackReader::FirstOf(std::int64_t series) const {
	std::size_t low = 0;
	std::size_t high = count_;
	while (low < high) {
		const std::size_t middle = (low + high) / 2;
		if (SeriesAt(middle) < series) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

std::int64_t
DeltaPackReader::SeriesAt(std::size_t i) const {
	return static_cast<std::int64_t>(LongAt(bytes_, kCountBytes + i * DeltaPack::kHeadBytes));
}

int
LotOf(std::int64_t series, std::size_t deltas) {
	int size = 0;
	while (size < kLotSizes - 1 && deltas >= kLotDeltas[size]) {
		size++;
	}
	return Lot(series, size);
}

std::array<int, kLotSizes>
LotsOf(std::int64_t series) {
	std::array<int, kLotSizes> lots;
	for (int size = 0; size < kLotSizes; size++) {
		lots[static_cast<std::size_t>(size)] = Lot(series, size);
	}
	return lots;
}

} // namespace auren

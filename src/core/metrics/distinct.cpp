#include "core/metrics/distinct.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/error.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr char kForm = 3;
constexpr std::size_t kHeadBytes = 21;
constexpr std::size_t kMemberBytes = 12;

void
PutNumber(std::uint64_t number, int bytes, std::string *to) {
	for (int i = 0; i < bytes; i++) {
		to->push_back(static_cast<char>(number >> (8 * i)));
	}
}

std::uint64_t
NumberAt(std::string_view bytes, std::size_t at, int count) {
	std::uint64_t number = 0;
	for (int i = 0; i < count; i++) {
		number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)])) << (8 * i);
	}
	return number;
}

} // namespace

void
DistinctReadings::Put(std::uint32_t offset, double value) {
	value += 0.0; // the two zeros are one
	std::uint64_t bits;
	std::memcpy(&bits, &value, sizeof bits);
	members_.emplace_back(offset, bits);
}

void
DistinctReadings::Sort() {
	std::sort(members_.begin(), members_.end());
	members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
}

void
DistinctReadings::Merge(const DistinctReadings &other) {
	decltype(members_) merged;
	merged.reserve(members_.size() + other.members_.size());
	std::set_union(members_.begin(), members_.end(), other.members_.begin(), other.members_.end(), std::back_inserter(merged));
	members_ = std::move(merged);
}

void
DistinctReadings::TakeOut(const DistinctReadings &other) {
	decltype(members_) left;
	std::set_difference(members_.begin(), members_.end(), other.members_.begin(), other.members_.end(), std::back_inserter(left));
	members_ = std::move(left);
}

double
DistinctReadings::Value(std::size_t i) const {
	double value;
	std::memcpy(&value, &members_[i].second, sizeof value);
	return value;
}

bool
DistinctReadings::IsSet(std::string_view bytes) {
	return !bytes.empty() && bytes.front() == kForm;
}

std::string
DistinctReadings::Bytes() const {
	std::string bytes;
	bytes.reserve(kHeadBytes + kMemberBytes * members_.size());
	bytes.push_back(kForm);
	PutNumber(static_cast<std::uint32_t>(place_.source), 4, &bytes);
	PutNumber(static_cast<std::uint64_t>(place_.series), 8, &bytes);
	PutNumber(static_cast<std::uint64_t>(place_.bucket), 8, &bytes);
	for (const auto &[offset, bits] : members_) {
		PutNumber(offset, 4, &bytes);
		PutNumber(bits, 8, &bytes);
	}
	return bytes;
}

DistinctReadings
DistinctReadings::FromBytes(std::string_view bytes) {
	if (!IsSet(bytes) || bytes.size() < kHeadBytes || (bytes.size() - kHeadBytes) % kMemberBytes != 0) {
		throw DomainError("22P03", "these bytes are not a set of readings", "They end early or say what no set says.",
		                  "Summaries are made by the extension and read by auren.metric_values.");
	}
	DistinctReadings set({static_cast<std::int32_t>(NumberAt(bytes, 1, 4)), static_cast<std::int64_t>(NumberAt(bytes, 5, 8)),
	                      static_cast<std::int64_t>(NumberAt(bytes, 13, 8))});
	set.members_.reserve((bytes.size() - kHeadBytes) / kMemberBytes);
	for (std::size_t at = kHeadBytes; at < bytes.size(); at += kMemberBytes) {
		set.members_.emplace_back(static_cast<std::uint32_t>(NumberAt(bytes, at, 4)), NumberAt(bytes, at + 4, 8));
	}
	// as they are written; bytes that somebody made up are a set too
	if (!std::is_sorted(set.members_.begin(), set.members_.end())) {
		set.Sort();
	}
	return set;
}

} // namespace auren

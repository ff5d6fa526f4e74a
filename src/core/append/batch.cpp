#include "core/append/batch.hpp"

#include <algorithm>
#include <limits>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
SameContent(const BatchElement &a, const BatchElement &b) {
	return a.stream_id == b.stream_id && a.event_type == b.event_type && a.data == b.data && a.metadata == b.metadata && a.tags == b.tags;
}

} // namespace

std::string
IdText(const EventId &id) {
	static const char digits[] = "0123456789abcdef";
	std::string text;
	for (std::size_t i = 0; i < id.size(); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			text += '-';
		}
		text += digits[id[i] >> 4];
		text += digits[id[i] & 0xF];
	}
	return text;
}

void
ThrowIdReused(const EventId &id) {
	throw DomainError(sqlstate::kIdReused, "event id " + IdText(id) + " is in use with other content",
	                  "An event with this id exists; its stream, type, data, metadata, tags or created_by differs.",
	                  "Give a new event a new id; repeat an append with exactly what it was called with first.");
}

AppendPlan::AppendPlan(const std::vector<BatchElement> &batch) : elements_(batch.size()) {
	if (batch.size() == 1) {
		streams_.emplace_back();
		streams_.front().id = batch.front().stream_id;
		return;
	}
	std::vector<std::uint32_t> order(batch.size());
	for (std::uint32_t i = 0; i < order.size(); i++) {
		order[i] = i;
	}
	std::sort(order.begin(), order.end(), [&batch](std::uint32_t a, std::uint32_t b) {
		const int by_stream = batch[a].stream_id.compare(batch[b].stream_id);
		return by_stream != 0 ? by_stream < 0 : a < b;
	});
	for (const std::uint32_t i : order) {
		if (streams_.empty() || streams_.back().id != batch[i].stream_id) {
			streams_.emplace_back();
			streams_.back().id = batch[i].stream_id;
			streams_.back().element = i;
		}
		elements_[i].stream = static_cast<std::uint32_t>(streams_.size() - 1);
	}
}

void
AppendPlan::Expect(std::size_t element, const ExpectedVersion &expected) {
	if (expected.IsAny()) {
		return;
	}
	Stream &stream = streams_[elements_[element].stream];
	if (stream.expectation_given && !(stream.expected == expected)) {
		throw DomainError(sqlstate::kInvalidParameter, "the batch expects two versions of stream \"" + std::string(stream.id) + "\"",
		                  "Expected versions " + stream.expected.Text() + " and " + expected.Text() + " are given.",
		                  "An expected version speaks of the stream before the batch: give it once, or the same one for each "
		                  "event of the stream.");
	}
	stream.expected = expected;
	stream.expectation_given = true;
}

void
AppendPlan::ResolveRepeats(const std::vector<BatchElement> &batch) {
	for (std::uint32_t i = 0; i < batch.size(); i++) {
		if (batch[i].supplied_id) {
			supplied_.push_back(i);
		}
	}
	if (supplied_.size() < 2) {
		return;
	}
	std::sort(supplied_.begin(), supplied_.end(), [&batch](std::uint32_t a, std::uint32_t b) {
		return *batch[a].supplied_id != *batch[b].supplied_id ? *batch[a].supplied_id < *batch[b].supplied_id : a < b;
	});
	std::size_t kept = 0;
	for (std::size_t i = 1; i < supplied_.size(); i++) {
		const std::uint32_t original = supplied_[kept];
		const std::uint32_t element = supplied_[i];
		if (*batch[element].supplied_id != *batch[original].supplied_id) {
			supplied_[++kept] = element;
			continue;
		}
		if (!SameContent(batch[element], batch[original])) {
			ThrowIdReused(*batch[element].supplied_id);
		}
		elements_[element].fate = Fate::kRepeated;
		elements_[element].original = original;
	}
	supplied_.resize(kept + 1);
}

void
AppendPlan::MarkStored(std::size_t element, std::int64_t version) {
	elements_[element].fate = Fate::kStored;
	elements_[element].version = version;
}

void
AppendPlan::AssignVersions() {
	new_events_ = 0;
	for (Stream &stream : streams_) {
		stream.next_version = stream.version;
		stream.new_events = 0;
	}
	for (const Element &element : elements_) {
		if (element.fate == Fate::kNew) {
			streams_[element.stream].new_events++;
			new_events_++;
		}
	}
	for (const Stream &stream : streams_) {
		if (stream.new_events == 0) {
			continue;
		}
		if (stream.closed) {
			throw DomainError(sqlstate::kStreamClosed, "stream \"" + std::string(stream.id) + "\" is closed",
			                  "It was closed at version " + std::to_string(stream.version) + "; events.streams has the reason.",
			                  "Append to another stream, or have an admin call events.reopen_stream.");
		}
		CheckExpectedVersion(stream.id, stream.expected, stream.version);
		if (stream.version > std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(stream.new_events)) {
			throw DomainError("22003", "stream \"" + std::string(stream.id) + "\" is full",
			                  "It is at version " + std::to_string(stream.version) + "; the largest version is that of a bigint.",
			                  "Append to another stream.");
		}
	}
	for (Element &element : elements_) {
		if (element.fate == Fate::kNew) {
			element.version = ++streams_[element.stream].next_version;
		}
	}
	for (Element &element : elements_) {
		if (element.fate == Fate::kRepeated) {
			element.version = elements_[element.original].version;
		}
	}
}

} // namespace auren

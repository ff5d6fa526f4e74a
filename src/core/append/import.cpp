#include "core/append/import.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

// 0001-01-01 00:00 UTC: names of months have a year of four digits.
std::int64_t
Earliest() {
	return Month::FromIndex((1 - 2000) * 12).StartMicros();
}

std::string
ElementText(std::size_t element) {
	return "Element " + std::to_string(element + 1);
}

void
CheckTime(std::int64_t created_at, std::size_t element, std::int64_t now) {
	if (created_at > now) {
		throw DomainError(sqlstate::kInvalidParameter, "an imported event cannot be of the future",
		                  ElementText(element) + " of p_created_at is later than the server's clock.",
		                  "Give the time at which the event was stored first; if it is right, set the server's clock right.");
	}
	if (created_at < Earliest()) {
		throw DomainError(sqlstate::kInvalidParameter, "the time of an imported event must be of the year 1 or later",
		                  ElementText(element) + " of p_created_at is before it.", "Give the time at which the event was stored first.");
	}
}

[[noreturn]] void
ThrowOlder(std::string_view stream, const std::string &detail) {
	throw DomainError(sqlstate::kInvalidParameter, "times of imported events must not decrease within stream \"" + std::string(stream) + "\"", detail,
	                  "Give the events of a stream in their order, each with a time that is not before that of the event before it.");
}

} // namespace

void
ThrowImportReused(const EventId &id) {
	throw DomainError(sqlstate::kIdReused, "event id " + IdText(id) + " is in use with other content",
	                  "An event with this id exists; its stream, type, data, metadata, tags, created_by or created_at differs.",
	                  "Give a new event a new id; repeat an import with exactly what it was called with first.");
}

ImportPlan::ImportPlan(const AppendPlan &plan, const std::vector<ImportedElement> &elements, std::int64_t now) : streams_(plan.streams().size()) {
	for (std::size_t i = 0; i < elements.size(); i++) {
		const AppendPlan::Element &element = plan.elements()[i];
		const std::int64_t created_at = elements[i].created_at;
		CheckTime(created_at, i, now);
		if (element.fate == Fate::kRepeated) {
			CheckRepeat(plan, elements, i);
			continue;
		}
		Stream &stream = streams_[element.stream];
		if (stream.events > 0 && created_at < stream.last) {
			ThrowOlder(plan.streams()[element.stream].id,
			           ElementText(i) + " of p_created_at is before that of the element before it of this stream.");
		}
		stream.first = stream.events == 0 ? created_at : stream.first;
		stream.last = created_at;
		stream.events++;
	}
	CollectMonths(elements);
}

void
ImportPlan::CheckRepeat(const AppendPlan &plan, const std::vector<ImportedElement> &elements, std::size_t element) {
	const ImportedElement &repeated = elements[element];
	const ImportedElement &original = elements[plan.elements()[element].original];
	if (repeated.created_at != original.created_at || repeated.created_by != original.created_by) {
		throw DomainError(sqlstate::kIdReused, "an event id is given twice with other content",
		                  ElementText(element) + " has the id of element " + std::to_string(plan.elements()[element].original + 1) +
		                      ", and another time or creator.",
		                  "Give a new event a new id.");
	}
}

void
ImportPlan::CollectMonths(const std::vector<ImportedElement> &elements) {
	for (const ImportedElement &element : elements) {
		const Month month = Month::FromMicros(element.created_at);
		if (!months_.empty() && months_.back() == month) {
			continue;
		}
		const auto place = std::lower_bound(months_.begin(), months_.end(), month);
		if (place == months_.end() || *place != month) {
			months_.insert(place, month);
		}
	}
	if (months_.size() > kMostMonths) {
		throw DomainError(sqlstate::kInvalidParameter, "a batch may have events of " + std::to_string(kMostMonths) + " months at most",
		                  "This one has events of " + std::to_string(months_.size()) + " months, from " + months_.front().Suffix() + " to " +
		                      months_.back().Suffix() + ".",
		                  "Import the events in the order of their times, in several calls.");
	}
}

void
ImportPlan::CheckStreams(const AppendPlan &plan, const std::vector<ImportedElement> &elements, const std::vector<Found> &found) {
	std::vector<bool> checked(found.size());
	for (std::size_t i = 0; i < elements.size(); i++) {
		const std::uint32_t stream = plan.elements()[i].stream;
		if (plan.elements()[i].fate != Fate::kNew || checked[stream]) {
			continue;
		}
		checked[stream] = true;
		const std::string_view id = plan.streams()[stream].id;
		const std::int64_t version = plan.streams()[stream].version;
		if (version != found[stream].imported_version) {
			throw DomainError(sqlstate::kNotInState, "stream \"" + std::string(id) + "\" has events that were not imported",
			                  "Version " + std::to_string(found[stream].imported_version + 1) +
			                      " is the first of them, and the stream is at version " + std::to_string(version) + ".",
			                  "Import the events of a stream before the first one is appended to it, or import them into another stream.");
		}
		if (elements[i].created_at < found[stream].last_created_at) {
			ThrowOlder(id, ElementText(i) + " of p_created_at is before that of version " + std::to_string(version) + ", the stream's newest event.");
		}
	}
}

std::vector<std::uint32_t>
ImportPlan::WriteOrder(const std::vector<ImportedElement> &elements) const {
	std::vector<std::uint32_t> order(elements.size());
	for (std::uint32_t i = 0; i < order.size(); i++) {
		order[i] = i;
	}
	if (months_.size() < 2) {
		return order;
	}
	std::vector<Month> months;
	months.reserve(elements.size());
	for (const ImportedElement &element : elements) {
		months.push_back(Month::FromMicros(element.created_at));
	}
	std::stable_sort(order.begin(), order.end(), [&months](std::uint32_t a, std::uint32_t b) { return months[a] < months[b]; });
	return order;
}

} // namespace auren

#include "unit/batch_model.hpp"

#include <stdexcept>

namespace auren::test {

namespace {

void
Require(bool kept, const char *promise) {
	if (!kept) {
		throw std::logic_error(promise);
	}
}

// The new events of a stream stand in the order given, right behind what the stream had.
void
RequireDenseVersions(AppendPlan *plan) {
	std::size_t fresh = 0;
	for (std::size_t s = 0; s < plan->streams().size(); s++) {
		const AppendPlan::Stream &stream = plan->streams()[s];
		std::size_t of_stream = 0;
		for (const AppendPlan::Element &element : plan->elements()) {
			if (element.stream == s && element.fate == Fate::kNew) {
				of_stream++;
				Require(element.version == stream.version + static_cast<std::int64_t>(of_stream), "versions are dense");
			}
		}
		Require(stream.new_events == of_stream, "a stream's new_events is the number of its new elements");
		fresh += of_stream;
	}
	Require(plan->new_events() == fresh, "new_events() is the number of new elements");
}

// Streams are locked and ids inserted in one order by every append, so that batches never deadlock.
void
RequireOrder(AppendPlan *plan, const std::vector<BatchElement> &elements) {
	for (std::size_t i = 1; i < plan->streams().size(); i++) {
		Require(plan->streams()[i - 1].id < plan->streams()[i].id, "streams are in the order of their bytes");
	}
	for (std::size_t i = 1; i < plan->supplied().size(); i++) {
		Require(*elements[plan->supplied()[i - 1]].supplied_id < *elements[plan->supplied()[i]].supplied_id,
		        "supplied ids are in the order of their bytes, each once");
	}
	for (std::size_t i = 0; i < elements.size(); i++) {
		const AppendPlan::Stream &stream = plan->streams()[plan->elements()[i].stream];
		Require(stream.id == elements[i].stream_id, "an element is of its stream");
		Require(stream.element <= i && elements[stream.element].stream_id == stream.id, "a stream names its first element");
	}
}

} // namespace

Outcome
PlanAppend(const std::vector<ModelElement> &batch, const ModelStore &store) {
	const std::vector<BatchElement> elements = ElementsOf(batch);
	Outcome outcome;
	std::optional<AppendPlan> plan;
	try {
		plan.emplace(elements);
		Prepare(&*plan, batch, elements, store);
		RequireOrder(&*plan, elements);
		plan->AssignVersions();
		RequireDenseVersions(&*plan);
		for (const AppendPlan::Element &element : plan->elements()) {
			outcome.fates.push_back(element.fate);
			outcome.versions.push_back(element.version);
		}
	} catch (const DomainError &error) {
		for (const AppendPlan::Element &element : plan->elements()) {
			Require(element.fate != Fate::kNew || element.version == 0, "a batch that is refused gives no version");
		}
		return {error.sqlstate(), {}, {}};
	}
	return outcome;
}

std::string
Describe(const Outcome &outcome) {
	std::string text = outcome.sqlstate.empty() ? "taken:" : outcome.sqlstate;
	for (std::size_t i = 0; i < outcome.fates.size(); i++) {
		static const char *const names[] = {"new", "stored", "repeated"};
		text += std::string(" ") + names[static_cast<int>(outcome.fates[i])] + "@" + std::to_string(outcome.versions[i]);
	}
	return text;
}

std::string
Describe(const std::vector<ModelElement> &batch, const ModelStore &store) {
	std::string text = "store:";
	for (const auto &[name, stream] : store.streams) {
		text += " " + name + "@" + std::to_string(stream.version) + (stream.closed ? " closed" : "");
	}
	text += "\nbatch:";
	for (const ModelElement &element : batch) {
		text += " " + element.stream + "/" + element.type + "=" + element.data + element.metadata;
		text += element.id ? " id " + std::to_string(*element.id) : "";
		text += element.expected ? " expects " + std::to_string(*element.expected) : "";
	}
	return text;
}

} // namespace auren::test

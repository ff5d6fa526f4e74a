#include "unit/batch_model.hpp"

#include <stdexcept>

namespace auren::test {

Outcome
PlanAppend(const std::vector<ModelElement> &batch, const ModelStore &store) {
	const std::vector<BatchElement> elements = ElementsOf(batch);
	Outcome outcome;
	try {
		AppendPlan plan(elements);
		Prepare(&plan, batch, elements, store);
		plan.AssignVersions();
		std::size_t fresh = 0;
		for (const AppendPlan::Element &element : plan.elements()) {
			outcome.fates.push_back(element.fate);
			outcome.versions.push_back(element.version);
			fresh += element.fate == Fate::kNew;
		}
		if (fresh != plan.new_events()) {
			throw std::logic_error("new_events() is not the number of new elements");
		}
		for (std::size_t i = 1; i < plan.streams().size(); i++) {
			if (plan.streams()[i - 1].id >= plan.streams()[i].id) {
				throw std::logic_error("streams are not in the order of their bytes");
			}
		}
		for (std::size_t i = 1; i < plan.supplied().size(); i++) {
			if (*elements[plan.supplied()[i - 1]].supplied_id >= *elements[plan.supplied()[i]].supplied_id) {
				throw std::logic_error("supplied ids are not in the order of their bytes");
			}
		}
		for (const AppendPlan::Stream &stream : plan.streams()) {
			if (batch[stream.element].stream != stream.id) {
				throw std::logic_error("a stream names an element of another");
			}
		}
	} catch (const DomainError &error) {
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

#include "seals/month_comparison.hpp"

#include <algorithm>

#include "seals/damage.hpp"

namespace auren::pg {

namespace {

constexpr const char *kDamaged = "damaged";
constexpr std::size_t kKept = 256;
constexpr std::size_t kLongestLine = 64 * 1024;

std::string
MonthName(Month month) {
	return TimeText(month.StartMicros()).substr(0, 7);
}

/*
 * Goes through the events and the leaves of a month side by side.
 */
class Comparison {
  public:
	Comparison(const MonthPart &part, MonthEvents *events, MonthLeaves *leaves, UnmatchedEvents *unmatched)
		: month_(part.month), covered_(part.covered), events_(events), leaves_(leaves), unmatched_(unmatched) {
	}

	void
	Run() {
		std::optional<Leaf> leaf = leaves_->Next();
		more_ = events_->Next(&event_);
		while (leaf || more_) {
			if (leaf && (!more_ || leaf->position < event_.position)) {
				if (!events_->IsDamaged(leaf->position)) {
					unmatched_->AddLeaf(month_, *leaf, UnmatchedEvents::LeafEvent::kNone);
				}
				leaf = leaves_->Next();
			} else if (!leaf || event_.position < leaf->position) {
				Advance(IsCovered(event_.position) ? "inserted" : nullptr);
			} else {
				ComparePosition(*leaf);
				leaf = leaves_->Next();
			}
		}
	}

  private:
	bool
	IsCovered(int64 position) const {
		return !covered_ ||
		       std::any_of(covered_->begin(), covered_->end(), [&](const auto &range) { return range.first < position && position <= range.second; });
	}

	// Tells of the event, unless it is as it was sealed, and goes to the next one.
	void
	Advance(const char *problem) {
		if (problem != nullptr) {
			unmatched_->AddEvent(problem, month_, event_, events_);
		} else if (!event_.indexed) {
			Finding finding = {"hidden", month_, event_.position,
			                   {},       {},     "The month's index of positions has no entry for it, so that the feed passes it by."};
			events_->NamesOf(event_, &finding.event_id, &finding.stream_id);
			unmatched_->Tell(finding);
		}
		more_ = events_->Next(&event_);
	}

	// One event at the leaf's position is the sealed one, if any is; others came later.
	void
	ComparePosition(const Leaf &leaf) {
		bool found = false;
		bool told = false;
		while (more_ && event_.position == leaf.position) {
			const bool same = !found && event_.digest == leaf.digest;
			found = found || same;
			Advance(same ? nullptr : told || found ? "inserted" : "changed");
			told = told || !same;
		}
		if (!found) {
			unmatched_->AddLeaf(month_, leaf, UnmatchedEvents::LeafEvent::kAnother);
		}
	}

	const Month month_;
	const SealedRanges &covered_;
	MonthEvents *events_;
	MonthLeaves *leaves_;
	UnmatchedEvents *unmatched_;
	FoundEvent event_;
	bool more_ = false;
};

} // namespace

void
UnmatchedEvents::AddEvent(const char *problem, Month month, const FoundEvent &event, MonthEvents *events) {
	Event added = {{problem, month, event.position, {}, {}, {}}, events->LineOf(event)};
	events->NamesOf(event, &added.finding.event_id, &added.finding.stream_id);
	if (events_.size() >= kKept || added.line.size() > kLongestLine) {
		tell_(added.finding);
	} else {
		events_.push_back(added);
	}
}

void
UnmatchedEvents::AddLeaf(Month month, const Leaf &leaf, LeafEvent there) {
	if (leaves_.size() < kKept) {
		leaves_.push_back({month, leaf, there, false});
	} else if (there == LeafEvent::kNone) {
		tell_({"removed", month, leaf.position, {}, {}, {}});
	}
}

// Whether an event is one that was sealed at another position or in another month.
void
UnmatchedEvents::Explain(Event *event) {
	Hasher hasher;
	for (MissingLeaf &leaf : leaves_) {
		const bool same_position = leaf.leaf.position == *event->finding.position;
		if (leaf.explained || (same_position && leaf.month == *event->finding.month)) {
			continue;
		}
		if (same_position) {
			event->finding.problem = "moved";
			event->finding.detail = "It was sealed in month " + MonthName(leaf.month) + ".";
		} else if (hasher.Leaf(LineAtPosition(event->line, leaf.leaf.position)) == leaf.leaf.digest) {
			event->finding.problem = "reordered";
			event->finding.detail = "It was sealed at position " + std::to_string(leaf.leaf.position) + ".";
		} else {
			continue;
		}
		leaf.explained = true;
		return;
	}
}

// Where the other month was not asked for, the event may be there.
void
UnmatchedEvents::TellRemoved(const MissingLeaf &leaf, Snapshot snapshot) {
	Finding finding = {"removed", leaf.month, leaf.leaf.position, {}, {}, {}};
	const auto damage = ReadDamageable([&] {
		StoreRows rows("SELECT created_at FROM events.event_store WHERE global_position OPERATOR(pg_catalog.=) $1", {INT8OID},
		               {Int64GetDatum(leaf.leaf.position)}, snapshot);
		if (rows.Next()) {
			finding.problem = "moved";
			finding.detail = "It is in month " + MonthName(Month::FromMicros(rows.Int(0))) + " now.";
		}
		rows.End();
	});
	if (damage) {
		finding.problem = kDamaged;
		finding.detail = *damage;
	}
	tell_(finding);
}

void
UnmatchedEvents::TellAll(Snapshot snapshot) {
	for (Event &event : events_) {
		Explain(&event);
		tell_(event.finding);
	}
	for (const MissingLeaf &leaf : leaves_) {
		if (!leaf.explained && leaf.there == LeafEvent::kNone) {
			TellRemoved(leaf, snapshot);
		}
	}
}

int64
CompareMonth(const MonthPart &part, Snapshot snapshot, int64 done_before, UnmatchedEvents *unmatched) {
	MonthEvents events(part.partition, snapshot, part.after, part.up_to);
	if (!events.IsReadable()) {
		unmatched->Tell({"unreadable", part.month, std::nullopt, {}, {}, "The partition is not a table with the columns of events."});
		return 0;
	}
	const int64 count = events.Read(done_before, [&](const DamagedPart &damaged) {
		unmatched->Tell({kDamaged, part.month, damaged.position, damaged.event_id, damaged.stream_id, damaged.detail});
	});
	const auto damage = ReadDamageable([&] {
		MonthLeaves leaves(part.month, part.since_seal, snapshot, unmatched->sink());
		Comparison(part, &events, &leaves, unmatched).Run();
		leaves.End();
	});
	if (damage) {
		unmatched->Tell({kDamaged, part.month, std::nullopt, {}, {}, "Its events were not all compared with their digests: " + *damage});
	}
	if (events.index_damage()) {
		unmatched->Tell({kDamaged, part.month, std::nullopt, {}, {}, "Its index of positions cannot be read: " + *events.index_damage()});
	}
	events.Close();
	return count;
}

} // namespace auren::pg

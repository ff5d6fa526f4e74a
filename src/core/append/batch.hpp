#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/append/expected_version.hpp"
#include "core/borrowed.hpp"
#include "core/store/event_id.hpp"

namespace auren {

/*
 * One element of an append, as the caller gave it and keeps it.
 */
struct BatchElement {
	Borrowed stream_id;
	Borrowed event_type;
	Borrowed data;     // the jsonb's bytes
	Borrowed metadata; // likewise
	std::optional<EventId> supplied_id;
	Borrowed tags = {}; // the bytes of the sorted text[]
};

/*
 * What became of an element: written anew, or found to be in the store (an earlier call) or earlier in the same batch.
 */
enum class Fate : std::uint8_t { kNew, kStored, kRepeated };

/*
 * The plan of an append: which streams it touches, in the order in which they are locked; which version each element
 * gets; which elements repeat what is there already.
 *
 * Order of use: Plan(elements), set what each stream was expected to be, ResolveRepeats(); then, with the streams
 * locked, MarkStored() for supplied ids that the store holds, and AssignVersions() once the streams' versions are
 * known.
 */
class AppendPlan {
  public:
	struct Stream {
		std::string_view id;
		std::uint32_t element = 0; // the first of this stream
		ExpectedVersion expected;
		bool expectation_given = false;
		std::int64_t version = 0; // before the batch; set by the caller between ResolveRepeats and AssignVersions
		bool closed = false;      // likewise
		std::int64_t next_version = 0;
		std::size_t new_events = 0;
	};
	struct Element {
		std::uint32_t stream = 0;   // index in streams()
		std::uint32_t original = 0; // of kRepeated: the earlier element with the same id
		Fate fate = Fate::kNew;
		std::int64_t version = 0;
	};

	explicit AppendPlan(const std::vector<BatchElement> &batch);

	// Throws 22023 when another element of the same stream expects something else.
	void Expect(std::size_t element, const ExpectedVersion &expected);
	/*
	 * Finds ids given twice in the batch. Throws ZE002 when the contents differ.
	 */
	void ResolveRepeats(const std::vector<BatchElement> &batch);
	// The store holds this element's id with the same content, at this version.
	void MarkStored(std::size_t element, std::int64_t version);
	/*
	 * Throws ZE004 for a closed stream, ZE001 for a stream that is not as expected, both only where something is
	 * left to be written. Gives each new element its version.
	 */
	void AssignVersions();

	// in the order of their bytes: every append locks in this order
	std::vector<Stream> &
	streams() {
		return streams_;
	}
	const std::vector<Stream> &
	streams() const {
		return streams_;
	}
	const std::vector<Element> &
	elements() const {
		return elements_;
	}
	// supplied ids that are not repeats, in the order of their bytes: every append looks them up and inserts them so
	const std::vector<std::uint32_t> &
	supplied() const {
		return supplied_;
	}
	std::size_t
	new_events() const {
		return new_events_;
	}

  private:
	std::vector<Stream> streams_;
	std::vector<Element> elements_;
	std::vector<std::uint32_t> supplied_;
	std::size_t new_events_ = 0;
};

// an id as PostgreSQL prints it
std::string IdText(const EventId &id);

// ZE002: the same id with other content
[[noreturn]] void ThrowIdReused(const EventId &id);

} // namespace auren

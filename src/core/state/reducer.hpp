#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace auren {

enum class ReducerKind { kLatest, kMerge, kPatch, kSum, kCount, kAppend, kIgnore, kFunction };

/*
 * How an event of one type changes the state of its stream.
 */
struct Reducer {
	ReducerKind kind = ReducerKind::kLatest;
	std::optional<std::string> into; // top-level key of the state; none: the whole state, for merge and patch
	std::vector<std::string> fields; // of sum; none: every numeric field
	std::size_t limit = 1000;        // of append
	bool skip_errors = false;        // of patch and function
	std::string function;            // of function: its name as the options give it
	unsigned int function_oid = 0;   // what the server found by that name
};

struct ReducerOptions {
	Reducer reducer;
	std::string category; // empty: streams of every category
};

/*
 * The reducer that a kind and its options (a JSON object as text) declare for an event type. Throws 22023 for an unknown kind,
 * an option that the kind does not have, or a value that the option cannot take.
 */
ReducerOptions ParseReducer(std::string_view event_type, std::string_view kind, std::string_view options);

/*
 * The reducers that are declared. An event type without one keeps its latest data under its own name.
 */
class ReducerSet {
  public:
	void Declare(const std::string &event_type, const std::string &category, Reducer reducer);
	// The reducer of a type in a stream of a category: the category's own, else the one of all categories. nullptr: none.
	const Reducer *Find(std::string_view event_type, std::string_view category) const;
	// Whether one of them calls a function.
	bool HasFunction() const;

  private:
	std::map<std::pair<std::string, std::string>, Reducer> reducers_;
};

} // namespace auren

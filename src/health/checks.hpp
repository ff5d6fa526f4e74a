#pragma once

#include <vector>

namespace auren::pg {

/*
 * A look at one thing that an operator relies on. The statement gives rows (bad, message) and runs as the owner of the store: the check fails where a
 * row is bad, and its message is that of the bad rows, or of all others where none is. It reads a bounded number of rows, whatever the store holds.
 */
struct Check {
	const char *name;
	const char *severity;  // how grave it is when the check fails: error, warning or notice
	const char *extension; // that must be there for it to be asked; nullptr: none
	const char *absent;    // what is said where that is not there
	const char *statement;
	const char *hint; // what to do when it fails
};

// In the order in which they are shown. $1 of a statement, where it has one, is the number of bytes that are free where the database lies.
const std::vector<Check> &Checks();

} // namespace auren::pg

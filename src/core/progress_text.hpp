#pragma once

#include <cstdint>

namespace auren {

// How far a session is with a phase of what it does.
struct WorkShown {
	const char *what;     // "seal"
	const char *phase;    // "sealing"
	const char *unit;     // what the steps are, in the plural: "events"
	std::int64_t done;    // steps
	std::int64_t total;   // steps, about; 0: nobody knows
	std::int64_t elapsed; // microseconds since the phase began
};

// A line of text that ends with a zero byte. It has no destructor, so that an error of the server may pass it by.
struct ProgressText {
	char text[256];
};

/*
 * What a person is told: "seal: sealing, 120,000 of 1,000,000 events (12 %), about 40 s left". How long the rest takes is told after ten seconds of
 * the phase, when its speed is known. What is longer than the line is cut.
 */
ProgressText DescribeProgress(const WorkShown &work);

} // namespace auren

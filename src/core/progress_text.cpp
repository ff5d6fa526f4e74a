#include "core/progress_text.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kSpeedKnownAfter = 10 * kSecond;

// Adds to a line what still fits.
class Line {
  public:
	explicit Line(ProgressText *to) : to_(to) {
		to->text[0] = '\0';
	}

	__attribute__((format(printf, 2, 3))) void
	Add(const char *format, ...) {
		const std::size_t room = sizeof to_->text - length_;
		std::va_list arguments;
		va_start(arguments, format);
		const int added = std::vsnprintf(to_->text + length_, room, format, arguments);
		va_end(arguments);
		length_ += std::min(static_cast<std::size_t>(std::max(added, 0)), room - 1);
	}

	// With a comma after each three digits from the right.
	void
	AddNumber(std::int64_t number) {
		std::int64_t unit = 1;
		while (number / unit >= 1000) {
			unit *= 1000;
		}
		Add("%lld", static_cast<long long>(number / unit));
		while (unit > 1) {
			unit /= 1000;
			Add(",%03lld", static_cast<long long>(number / unit % 1000));
		}
	}

	void
	AddDuration(std::int64_t micros) {
		const std::int64_t seconds = (micros + kSecond - 1) / kSecond;
		if (seconds < 100) {
			Add("%lld s", static_cast<long long>(seconds));
		} else if (seconds < 100 * 60) {
			Add("%lld min", static_cast<long long>((seconds + 59) / 60));
		} else {
			Add("%lld h", static_cast<long long>((seconds + 3599) / 3600));
		}
	}

  private:
	ProgressText *to_;
	std::size_t length_ = 0;
};

} // namespace

ProgressText
DescribeProgress(const WorkShown &work) {
	ProgressText text;
	Line line(&text);
	line.Add("%s: %s", work.what, work.phase);
	if (work.done == 0 && work.total == 0) {
		return text;
	}
	line.Add(", ");
	line.AddNumber(work.done);
	if (work.total < work.done) { // nobody knows, or it was less than there is
		const int length = static_cast<int>(std::strlen(work.unit));
		line.Add(" %.*s", work.done == 1 ? length - 1 : length, work.unit);
		return text;
	}
	line.Add(" of ");
	line.AddNumber(work.total);
	line.Add(" %s (%d %%)", work.unit, static_cast<int>(static_cast<double>(work.done) * 100 / static_cast<double>(work.total)));
	if (work.elapsed >= kSpeedKnownAfter && work.done > 0 && work.done < work.total) {
		line.Add(", about ");
		line.AddDuration(static_cast<std::int64_t>(static_cast<double>(work.elapsed) / static_cast<double>(work.done) *
		                                           static_cast<double>(work.total - work.done)));
		line.Add(" left");
	}
	return text;
}

} // namespace auren

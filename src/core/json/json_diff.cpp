#include "core/json/json_diff.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/json/json_equal.hpp"
#include "core/json/json_pointer.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

using Kind = Json::Kind;

class Comparison {
  public:
	explicit Comparison(const JsonHost &host) : host_(host) {
	}
	void Compare(const Json &from, const Json &to);
	Json
	Patch() {
		return Json(std::move(operations_));
	}

  private:
	// One place deeper as long as it lives.
	class Deeper {
	  public:
		Deeper(std::string *path, std::string_view token) : path_(path), size_(path->size()) {
			AppendToken(path, token);
		}
		Deeper(std::string *path, std::size_t index) : Deeper(path, std::to_string(index)) {
		}
		~Deeper() {
			path_->resize(size_);
		}
		Deeper(const Deeper &) = delete;
		Deeper &operator=(const Deeper &) = delete;

	  private:
		std::string *path_;
		std::size_t size_;
	};

	void CompareObjects(const Json::Object &from, const Json::Object &to);
	void CompareArrays(const Json::Array &from, const Json::Array &to);
	std::size_t SlidBy(const Json::Array &from, std::size_t from_end, const Json::Array &to, std::size_t to_end, std::size_t head) const;
	void Add(const char *op);
	void Add(const char *op, const Json &value);

	const JsonHost &host_;
	std::string path_;
	Json::Array operations_;
};

void
Comparison::Compare(const Json &from, const Json &to) {
	if (from.is(Kind::kDocument) && to.is(Kind::kDocument) && from.document().bytes == to.document().bytes) {
		return;
	}
	Json from_room;
	Json to_room;
	const Json &before = Expanded(from, &from_room, host_);
	const Json &after = Expanded(to, &to_room, host_);
	if (before.is(Kind::kObject) && after.is(Kind::kObject)) {
		CompareObjects(before.object(), after.object());
	} else if (before.is(Kind::kArray) && after.is(Kind::kArray)) {
		CompareArrays(before.array(), after.array());
	} else if (!Equal(before, after, host_)) {
		Add("replace", to);
	}
}

// As the keys of an object are kept: -1, 0 or 1.
int
Order(std::string_view key, std::string_view other) {
	const Json::KeyLess less;
	return less(key, other) ? -1 : less(other, key) ? 1 : 0;
}

void
Comparison::CompareObjects(const Json::Object &from, const Json::Object &to) {
	host_.CheckStack();
	auto before = from.begin();
	auto after = to.begin();
	while (before != from.end() || after != to.end()) {
		const int order = before == from.end() ? 1 : after == to.end() ? -1 : Order(before->first, after->first);
		const Deeper deeper(&path_, order <= 0 ? before->first : after->first);
		if (order < 0) {
			Add("remove");
			++before;
		} else if (order > 0) {
			Add("add", after->second);
			++after;
		} else {
			Compare(before->second, after->second);
			++before;
			++after;
		}
	}
}

/*
 * By how many places the middle of an array has moved to the left, as one does that keeps its last elements only: what
 * is left of it begins the other one's middle. 0: not, or too little of it is left.
 */
std::size_t
Comparison::SlidBy(const Json::Array &from, std::size_t from_end, const Json::Array &to, std::size_t to_end, std::size_t head) const {
	if (from_end - head < 2 || to_end <= head) {
		return 0;
	}
	std::size_t slid = 1;
	while (head + slid < from_end && !Equal(from[head + slid], to[head], host_)) {
		slid++;
	}
	const std::size_t left = from_end - head - slid;
	if (left < slid || left > to_end - head) {
		return 0;
	}
	for (std::size_t i = 1; i < left; i++) {
		if (!Equal(from[head + slid + i], to[head + i], host_)) {
			return 0;
		}
	}
	return slid;
}

void
Comparison::CompareArrays(const Json::Array &from, const Json::Array &to) {
	host_.CheckStack();
	const std::size_t shorter = std::min(from.size(), to.size());
	std::size_t head = 0;
	while (head < shorter && Equal(from[head], to[head], host_)) {
		head++;
	}
	std::size_t tail = 0;
	while (tail < shorter - head && Equal(from[from.size() - 1 - tail], to[to.size() - 1 - tail], host_)) {
		tail++;
	}
	const std::size_t from_end = from.size() - tail;
	const std::size_t to_end = to.size() - tail;
	if (const std::size_t slid = SlidBy(from, from_end, to, to_end, head)) {
		for (std::size_t i = head + slid; i > head; i--) {
			const Deeper deeper(&path_, i - 1);
			Add("remove");
		}
		for (std::size_t i = from_end - slid; i < to_end; i++) {
			const Deeper deeper(&path_, i);
			Add("add", to[i]);
		}
		return;
	}
	for (std::size_t i = head; i < std::min(from_end, to_end); i++) {
		const Deeper deeper(&path_, i);
		Compare(from[i], to[i]);
	}
	// from the end, so that no index depends on what went before
	for (std::size_t i = from_end; i > to_end; i--) {
		const Deeper deeper(&path_, i - 1);
		Add("remove");
	}
	for (std::size_t i = from_end; i < to_end; i++) {
		const Deeper deeper(&path_, i);
		Add("add", to[i]);
	}
}

void
Comparison::Add(const char *op) {
	Json::Object operation;
	operation.emplace("op", std::string(op));
	operation.emplace("path", path_);
	operations_.emplace_back(std::move(operation));
}

void
Comparison::Add(const char *op, const Json &value) {
	Add(op);
	operations_.back().object().emplace("value", value);
}

} // namespace

Json
Diff(const Json &from, const Json &to, const JsonHost &host) {
	Comparison comparison(host);
	comparison.Compare(from, to);
	return comparison.Patch();
}

} // namespace auren

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/encrypted/secret.hpp"

namespace auren {

/*
 * The master keys of a file: a line "<id> <64 hex digits>" each, the last one is current; empty lines and lines that begin with
 * "#" are passed over. Errors (F0000) name the line and `source`, never what is in it.
 */
class MasterKeys {
  public:
	struct Key {
		std::string id;
		Secret bytes;
	};

	static MasterKeys Parse(std::string_view text, const std::string &source);

	const Key &
	current() const {
		return keys_.back();
	}
	// nullptr where there is none with that id.
	const Key *Find(std::string_view id) const;
	std::size_t
	size() const {
		return keys_.size();
	}

  private:
	std::vector<Key> keys_;
};

} // namespace auren

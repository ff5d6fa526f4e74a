#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace auren::test {

// What a fuzzer's input is read as: small numbers and texts, one after the other; zeros when it has run out.
class Bytes {
  public:
	Bytes(const std::uint8_t *data, std::size_t size) : data_(data), left_(size) {
	}
	bool
	empty() const {
		return left_ == 0;
	}
	std::uint8_t
	Byte() {
		if (left_ == 0) {
			return 0;
		}
		left_--;
		return *data_++;
	}
	std::string
	Text(std::size_t most) {
		std::string text;
		for (std::size_t n = Byte() % (most + 1); n > 0 && left_ > 0; n--) {
			text += static_cast<char>(Byte());
		}
		return text;
	}

  private:
	const std::uint8_t *data_;
	std::size_t left_;
};

} // namespace auren::test

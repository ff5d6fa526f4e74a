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
	// a text that follows a form is seldom met with bytes at random: each is one of these characters
	std::string
	TextOf(const std::string &characters, std::size_t most) {
		std::string text;
		for (std::size_t n = Byte() % (most + 1); n > 0 && left_ > 0; n--) {
			text += characters[Byte() % characters.size()];
		}
		return text;
	}
	// makes a long text of a short one with few bytes of input
	std::string
	Repeated(const std::string &text, std::size_t most) {
		std::string all;
		for (std::size_t n = Byte() % (most + 1); n > 0; n--) {
			all += text;
		}
		return all;
	}

  private:
	const std::uint8_t *data_;
	std::size_t left_;
};

} // namespace auren::test

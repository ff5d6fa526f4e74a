#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace auren {

/*
 * Memory for keys: in pages of its own that no core dump holds (and that are not swapped out, where the limits allow it), wiped
 * when it is given back. Throws std::bad_alloc.
 */
class Secret {
  public:
	Secret() noexcept = default;
	explicit Secret(std::size_t size);
	Secret(Secret &&other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {
	}
	Secret &
	operator=(Secret &&other) noexcept {
		std::swap(data_, other.data_);
		std::swap(size_, other.size_);
		return *this;
	}
	Secret(const Secret &) = delete;
	Secret &operator=(const Secret &) = delete;
	~Secret();

	std::uint8_t *
	data() noexcept {
		return data_;
	}
	const std::uint8_t *
	data() const noexcept {
		return data_;
	}
	std::size_t
	size() const noexcept {
		return size_;
	}
	void Wipe() noexcept;

  private:
	std::uint8_t *data_ = nullptr;
	std::size_t size_ = 0;
};

} // namespace auren

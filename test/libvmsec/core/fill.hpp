// Puts a value into every field of a message, another one into each.
#pragma once

#include <fcntl.h>

#include "vmsec/wire.hpp"

namespace vmsec::test {

class Filler {
 public:
  template <wire::Message T>
  void fill(T& message) {
    wire::for_each_field<T>([&](const auto& field) { value(message.*(field.member)); });
  }

 private:
  template <class T>
  void value(T& out) {
    ++count_;
    if constexpr (wire::IsVector<T>::value) {
      for (int i = 0; i < 2; ++i) element(out);
    } else if constexpr (wire::IsOptional<T>::value) {
      value(out.emplace());
    } else if constexpr (std::is_same_v<T, Fd>) {
      out = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    } else if constexpr (std::is_same_v<T, Uuid>) {
      out = Uuid({static_cast<std::uint8_t>(count_), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
    } else if constexpr (std::is_same_v<T, std::string>) {
      out = "text " + std::to_string(count_);
    } else if constexpr (wire::IsQuantity<T>::value) {
      out.value = 1'000'000'000'000u + count_;
    } else if constexpr (std::is_same_v<T, bool>) {
      out = true;
    } else if constexpr (std::is_enum_v<T>) {
      out = static_cast<T>(1);
    } else if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
      out = static_cast<T>(-static_cast<T>(count_));
    } else if constexpr (std::is_arithmetic_v<T>) {
      out = static_cast<T>(count_);
    } else {
      fill(out);
    }
  }

  template <class E>
  void element(std::vector<E>& out) {
    value(out.emplace_back());
  }

  std::uint32_t count_ = 0;
};

template <wire::Message T>
T filled() {
  T message;
  Filler().fill(message);
  return message;
}

}  // namespace vmsec::test

// Owns an array of libvirt's typed parameters.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace vmsec::kvm {

class TypedParams {
 public:
  TypedParams() = default;
  // Takes over an array that libvirt allocated.
  TypedParams(virTypedParameterPtr data, int count) : data_(data), count_(count), capacity_(count) {}
  // Room for `count` parameters that libvirt is to fill in.
  explicit TypedParams(int count)
      : data_(static_cast<virTypedParameterPtr>(std::calloc(static_cast<std::size_t>(count), sizeof *data_))),
        count_(data_ == nullptr ? 0 : count),
        capacity_(count_) {}
  TypedParams(const TypedParams&) = delete;
  TypedParams& operator=(const TypedParams&) = delete;
  ~TypedParams() { virTypedParamsFree(data_, count_); }

  void add_unsigned(const char* name, std::uint64_t value) {
    virTypedParamsAddULLong(&data_, &count_, &capacity_, name, value);
  }
  void add_signed(const char* name, std::int64_t value) {
    virTypedParamsAddLLong(&data_, &count_, &capacity_, name, value);
  }
  void add_unsigned32(const char* name, std::uint32_t value) {
    virTypedParamsAddUInt(&data_, &count_, &capacity_, name, value);
  }

  // A number of whichever type libvirt gave it.
  [[nodiscard]] std::optional<std::int64_t> number(const char* name) const {
    const virTypedParameterPtr found = virTypedParamsGet(data_, count_, name);
    if (found == nullptr) return std::nullopt;
    switch (found->type) {
      case VIR_TYPED_PARAM_INT:
        return found->value.i;
      case VIR_TYPED_PARAM_UINT:
        return found->value.ui;
      case VIR_TYPED_PARAM_LLONG:
        return found->value.l;
      case VIR_TYPED_PARAM_ULLONG:
        return static_cast<std::int64_t>(found->value.ul);
      default:
        return std::nullopt;
    }
  }
  [[nodiscard]] std::uint64_t unsigned_or_zero(const char* name) const {
    const auto value = number(name);
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
  }

  [[nodiscard]] virTypedParameterPtr data() const { return data_; }
  [[nodiscard]] int* count() { return &count_; }
  [[nodiscard]] int size() const { return count_; }

 private:
  virTypedParameterPtr data_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
};

}  // namespace vmsec::kvm

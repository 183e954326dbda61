// Bytes that are wiped when they go.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <utility>

namespace vmsec::boot {

class Secret {
 public:
  explicit Secret(std::string bytes) : bytes_(std::move(bytes)) {}
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace vmsec::boot

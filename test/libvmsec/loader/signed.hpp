// Keys, stores and signed objects for tests.
#pragma once

#include "libvmsec/identity/cloud.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::test {

// A key pair in a file of its own.
class SigningKey {
 public:
  SigningKey(const TempDir& dir, std::string name) : name_(std::move(name)), file_(dir.path() / (name_ + ".key")) {
    good(PlacementKey::create(file_, KeyType::ed25519));
    public_key_ = good(read_public_key(slurp(file_ + ".pub"), name_));
  }
  [[nodiscard]] TrustedKey trusted(std::vector<TrustRole> roles) const {
    return {name_, public_key_, std::move(roles), {}, {}, {}};
  }
  SignatureFile sign(const fs::path& object, ObjectKind kind = ObjectKind::module) const {
    return good(sign_object(object, kind, file_, name_));
  }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const std::string& public_key() const { return public_key_; }

 private:
  std::string name_;
  std::string file_;
  std::string public_key_;
};

inline Trust trust_in(TrustStore operators, TrustStore shipped = {}) {
  shipped.file = "shipped.toml";
  operators.file = "own.toml";
  return {std::move(shipped), std::move(operators)};
}
inline Trust trust_in(const TrustedKey& key) {
  TrustStore store;
  store.keys = {key};
  return trust_in(std::move(store));
}

}  // namespace vmsec::test

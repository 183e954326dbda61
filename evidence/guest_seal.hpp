// What binds a quote, a proof and a secret to one guest, one question and one boot. No TPM here: both sides use it.
#pragma once

#include <string>
#include <string_view>

#include "openssl_handles.hpp"
#include "secret.hpp"
#include "vmsec/result.hpp"
#include "vmsec/types.hpp"

namespace vmsec::boot {

// The guest's answer to a credential: it has opened it, for this question.
Result<std::string> guest_enrol_proof(std::string_view secret, const Uuid& domain, std::string_view nonce,
                                      std::string_view key_name);

// What a guest's quote is over: neither a host's nor another guest's fits.
Result<std::string> guest_qualifying_data(const Uuid& domain, std::string_view nonce, std::string_view exchange_key);

// An X25519 key for one exchange. The guest's is made by the agent that quotes and never leaves its memory: what is
// sealed to it can be opened by this agent in this boot, though the TPM will be the same after the next.
class ExchangeKey {
 public:
  static Result<ExchangeKey> make();
  [[nodiscard]] const std::string& public_key() const { return public_key_; }
  // `invalid_argument` for what is no such key, or one that agrees on nothing.
  [[nodiscard]] Result<std::string> agree(std::string_view other) const;

 private:
  ExchangeKey(PkeyPtr key, std::string public_key) : key_(std::move(key)), public_key_(std::move(public_key)) {}

  PkeyPtr key_;
  std::string public_key_;
};

struct SealTerms {
  Uuid domain;
  std::string nonce;
  std::string name;
  std::string host_key;
  std::string guest_key;
};

// One secret for one guest: made of what its TPM alone opens (the credential) and what its agent alone holds.
class Seal {
 public:
  static Result<Seal> make(std::string_view credential_secret, std::string_view agreement, const SealTerms& terms);
  [[nodiscard]] Result<std::string> close(std::string_view secret) const;
  // `tampered` when it is not this seal's, or a byte of it has changed.
  [[nodiscard]] Result<std::string> open(std::string_view sealed) const;
  // The guest's answer: it has the secret.
  [[nodiscard]] Result<std::string> taken() const;

 private:
  explicit Seal(std::string key) : key_(std::make_unique<Secret>(std::move(key))) {}
  std::unique_ptr<Secret> key_;
};

// 1 to 64 of a-z A-Z 0-9 . _ -, and not a dot first: it may become a file's name in the guest.
Status check_secret_name(std::string_view name);

}  // namespace vmsec::boot

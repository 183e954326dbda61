// The module's table of the host's configuration.
#pragma once

#include <chrono>

#include "aead.hpp"
#include "protocol.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::migration {

enum class AttestationPolicy { required, none };

// What a host without such a table gets is the strict end of every choice.
struct Policy {
  EncryptionPolicy encryption = EncryptionPolicy::required;
  Cipher cipher = Cipher::aes_128_gcm;                          // of requests that leave it to the policy
  Accelerator accelerator = Accelerator::none;                  // of AES-GCM, at this end
  AttestationPolicy attestation = AttestationPolicy::required;  // of destinations, when we are the source
  std::chrono::microseconds attestation_max_age = std::chrono::seconds(30);
  bool non_live = false;  // a guest that cannot move while it runs may be stopped for the whole transfer
  std::chrono::microseconds call_timeout = std::chrono::seconds(30);    // one exchange with the other agent
  std::chrono::microseconds stall_timeout = std::chrono::seconds(60);   // nothing moves: give up
  std::chrono::microseconds switch_timeout = std::chrono::seconds(60);  // from the gate to the end
  std::uint32_t max_streams = 64;                                       // of one migration
  std::uint32_t max_incoming = 16;                                      // migrations at once
};

// Errors name line and column.
Result<Policy> read_policy(const Settings& settings);

}  // namespace vmsec::migration

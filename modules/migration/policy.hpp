// The module's table of the host's configuration.
#pragma once

#include <chrono>
#include <optional>

#include "aead.hpp"
#include "protocol.hpp"
#include "stream_suite.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::migration {

enum class AttestationPolicy { required, none };

// What a host without such a table gets is the strict end of every choice.
struct Policy {
  EncryptionPolicy encryption = EncryptionPolicy::required;
  Cipher cipher = Cipher::aes_128_gcm;                          // of requests that leave it to the policy
  StreamSuite suite = StreamSuite::bulk;                        // of both ends
  Accelerator accelerator = Accelerator::none;                  // of AES-GCM, at this end
  AttestationPolicy attestation = AttestationPolicy::required;  // of destinations, when we are the source
  std::chrono::microseconds attestation_max_age = std::chrono::seconds(30);
  BytesPerSecond bandwidth = kUnlimitedBandwidth;  // of outgoing migrations that name none, each
  std::optional<std::uint32_t> bulk_channels;      // none: by the CPUs
  Microseconds maximum_downtime;                   // 0: the hypervisor's default
  Microseconds maximum_time;                       // until the switch-over begins; 0: none
  bool auto_converge = false;                      // of every outgoing migration
  bool post_copy = false;  // a guest may run at its destination before it is whole there: a killed QEMU then loses it
  bool non_live = false;   // a guest that cannot move while it runs may be stopped for the whole transfer
  std::chrono::microseconds call_timeout = std::chrono::seconds(30);    // one exchange with the other agent
  std::chrono::microseconds stall_timeout = std::chrono::seconds(60);   // nothing moves: give up
  std::chrono::microseconds switch_timeout = std::chrono::seconds(60);  // from the gate to the end
  std::uint32_t max_streams = 64;                                       // of one migration
  std::uint32_t max_incoming = 16;                                      // migrations at once
};

// Errors name line and column.
Result<Policy> read_policy(const Settings& settings);

}  // namespace vmsec::migration

// What measured_boot says to itself on another host, and what it keeps
// (proto/vmsec/measured_boot.proto).
#pragma once

#include <string>
#include <vector>

#include "evidence/evidence.hpp"
#include "vmsec/types.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::boot {

// Method numbers of Peers.call.
inline constexpr std::uint32_t kMethodKeys = 1;      // vmsec.Empty to Keys
inline constexpr std::uint32_t kMethodActivate = 2;  // ActivateRequest to ActivateReply
inline constexpr std::uint32_t kMethodQuote = 3;     // QuoteRequest to Evidence

inline constexpr std::size_t kNonceBytes = 32;

struct Keys {
  std::string endorsement_key;  // TPMT_PUBLIC
  std::string endorsement_certificate;
  std::string attestation_key;
  std::vector<std::string> endorsement_issuers;  // DER
  static constexpr std::string_view kMessage = "vmsec.measured_boot.Keys";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "endorsement_key", &Keys::endorsement_key),
                        wire::field(2, "endorsement_certificate", &Keys::endorsement_certificate),
                        wire::field(3, "attestation_key", &Keys::attestation_key),
                        wire::field(4, "endorsement_issuers", &Keys::endorsement_issuers));
  }
};

struct ActivateRequest {
  std::string id_object;
  std::string encrypted_secret;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.ActivateRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "id_object", &ActivateRequest::id_object),
                        wire::field(2, "encrypted_secret", &ActivateRequest::encrypted_secret));
  }
};

struct ActivateReply {
  std::string proof;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.ActivateReply";
  static constexpr auto fields() { return wire::fields(wire::field(1, "proof", &ActivateReply::proof)); }
};

struct QuoteRequest {
  std::string nonce;       // 32 bytes
  std::uint32_t pcrs = 0;  // bits, PCR 0 the lowest
  std::uint32_t bank = 0;  // its TCG algorithm: 0x000b, SHA-256; 0x000c, SHA-384
  static constexpr std::string_view kMessage = "vmsec.measured_boot.QuoteRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "nonce", &QuoteRequest::nonce), wire::field(2, "pcrs", &QuoteRequest::pcrs),
                        wire::field(3, "bank", &QuoteRequest::bank));
  }
};

// Record "enrolled.HOST": the keys of a host that has proven them.
struct EnrolledHost {
  std::string host;
  std::string endorsement_key;  // TPMT_PUBLIC
  std::string attestation_key;
  UnixSeconds time;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.EnrolledHost";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "host", &EnrolledHost::host), wire::field(2, "endorsement_key", &EnrolledHost::endorsement_key),
        wire::field(3, "attestation_key", &EnrolledHost::attestation_key), wire::field(4, "time", &EnrolledHost::time));
  }
};

// Record "clock.HOST": the last that the host's TPM has counted.
struct SeenClock {
  std::string host;
  std::string attestation_key;  // the digest of its name
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  std::uint64_t clock = 0;  // milliseconds
  static constexpr std::string_view kMessage = "vmsec.measured_boot.SeenClock";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "host", &SeenClock::host), wire::field(2, "attestation_key", &SeenClock::attestation_key),
        wire::field(3, "reset_count", &SeenClock::reset_count),
        wire::field(4, "restart_count", &SeenClock::restart_count), wire::field(5, "clock", &SeenClock::clock));
  }
};

// Record "revoked.HOST": an operator's word that it is not to be trusted.
struct RevokedHost {
  std::string host;
  std::string reason;
  std::string by;
  UnixSeconds time;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.RevokedHost";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "host", &RevokedHost::host), wire::field(2, "reason", &RevokedHost::reason),
                        wire::field(3, "by", &RevokedHost::by), wire::field(4, "time", &RevokedHost::time));
  }
};

// Record "reference-serial.DIGEST": the highest that a reference at that path had.
struct ReferenceSerial {
  std::string path;
  std::uint32_t serial = 0;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.ReferenceSerial";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "path", &ReferenceSerial::path),
                        wire::field(2, "serial", &ReferenceSerial::serial));
  }
};

// Record "attestation-key": this host's own, wrapped by its TPM.
struct KeptKey {
  std::string public_area;
  std::string private_area;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.KeptKey";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "public_area", &KeptKey::public_area),
                        wire::field(2, "private_area", &KeptKey::private_area));
  }
};

}  // namespace vmsec::boot

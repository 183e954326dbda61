// What a host and the agent in a guest say to each other (proto/vmsec/guest.proto). Each call is one frame on the
// guest's port (vmsec/guest_frame.hpp): a GuestCall there, a GuestAnswer back.
#pragma once

#include <cstdint>
#include <string>

#include "evidence.hpp"
#include "vmsec/types.hpp"

namespace vmsec::boot {

inline constexpr std::uint32_t kGuestKeys = 1;      // vmsec.Empty to GuestKeys
inline constexpr std::uint32_t kGuestActivate = 2;  // GuestActivate to GuestProof
inline constexpr std::uint32_t kGuestQuote = 3;     // GuestQuote to GuestEvidence
inline constexpr std::uint32_t kGuestSecret = 4;    // GuestSecret to GuestProof

inline constexpr std::size_t kGuestNonceBytes = 32;

struct GuestCall {
  std::uint32_t method = 0;
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestCall";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "method", &GuestCall::method), wire::field(2, "payload", &GuestCall::payload));
  }
};

struct GuestAnswer {
  std::string error;  // for people; empty: the call was answered
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestAnswer";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "error", &GuestAnswer::error), wire::field(2, "payload", &GuestAnswer::payload));
  }
};

struct GuestKeys {
  std::string endorsement_key;  // TPMT_PUBLIC
  std::string endorsement_certificate;
  std::string attestation_key;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestKeys";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "endorsement_key", &GuestKeys::endorsement_key),
                        wire::field(2, "endorsement_certificate", &GuestKeys::endorsement_certificate),
                        wire::field(3, "attestation_key", &GuestKeys::attestation_key));
  }
};

struct GuestActivate {
  Uuid domain;
  std::string nonce;
  std::string id_object;
  std::string encrypted_secret;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestActivate";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &GuestActivate::domain),
                        wire::field(2, "nonce", &GuestActivate::nonce),
                        wire::field(3, "id_object", &GuestActivate::id_object),
                        wire::field(4, "encrypted_secret", &GuestActivate::encrypted_secret));
  }
};

struct GuestProof {
  std::string proof;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestProof";
  static constexpr auto fields() { return wire::fields(wire::field(1, "proof", &GuestProof::proof)); }
};

struct GuestQuote {
  Uuid domain;
  std::string nonce;
  std::uint32_t pcrs = 0;  // bits, PCR 0 the lowest
  std::uint32_t bank = 0;  // its TCG algorithm
  static constexpr std::string_view kMessage = "vmsec.guest.GuestQuote";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &GuestQuote::domain), wire::field(2, "nonce", &GuestQuote::nonce),
                        wire::field(3, "pcrs", &GuestQuote::pcrs), wire::field(4, "bank", &GuestQuote::bank));
  }
};

struct GuestEvidence {
  Evidence evidence;
  std::string exchange_key;  // X25519, of this quote alone, which is over it
  static constexpr std::string_view kMessage = "vmsec.guest.GuestEvidence";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "evidence", &GuestEvidence::evidence),
                        wire::field(2, "exchange_key", &GuestEvidence::exchange_key));
  }
};

struct GuestSecret {
  Uuid domain;
  std::string nonce;  // of the quote that it answers
  std::string name;
  std::string id_object;
  std::string encrypted_secret;
  std::string exchange_key;  // the host's
  std::string sealed;
  static constexpr std::string_view kMessage = "vmsec.guest.GuestSecret";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "domain", &GuestSecret::domain), wire::field(2, "nonce", &GuestSecret::nonce),
        wire::field(3, "name", &GuestSecret::name), wire::field(4, "id_object", &GuestSecret::id_object),
        wire::field(5, "encrypted_secret", &GuestSecret::encrypted_secret),
        wire::field(6, "exchange_key", &GuestSecret::exchange_key), wire::field(7, "sealed", &GuestSecret::sealed));
  }
};

}  // namespace vmsec::boot

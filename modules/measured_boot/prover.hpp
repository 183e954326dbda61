// The attesting side: this host's TPM and event log, shown to those who ask.
//
// It never signs what a caller hands in: the qualifying data is computed here,
// from the connection on which the request arrived.
#pragma once

#include <optional>

#include "messages.hpp"
#include "tpm/tpm.hpp"
#include "vmsec/capability/boot_evidence.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/service/peers.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

// What a quote vouches for: this connection, the host at its end, and the asker's nonce.
Result<std::string> qualifying_data(std::string_view binding, std::string_view host_certificate,
                                    std::string_view nonce);
// Of a quote for oneself: never what another host would accept.
Result<std::string> local_qualifying_data(std::string_view nonce);

// The core's word that the connection is a real one; all else is refused.
Status check_context(const PeerContext& context);

// Any thread, at once. Borrows the services.
class Prover {
 public:
  // `kind`: what attestation key the operator wants; none says that a kept one goes on, whatever it is.
  Prover(BootEvidence& evidence, Records& records, Journal& journal, std::optional<AttestationKeyKind> kind = {})
      : evidence_(evidence), records_(records), journal_(journal), kind_(kind) {}

  // Makes the attestation key where there is none, none that this TPM can load, or one of another kind than wanted.
  Result<Keys> keys();
  Result<ActivateReply> activate(const PeerContext& from, const ActivateRequest& request);
  Result<Evidence> quote(const PeerContext& from, const QuoteRequest& request);
  // Of this host, for itself; with the key that signed it.
  struct Local {
    Evidence evidence;
    std::string attestation_key;
  };
  Result<Local> quote_locally(const QuoteRequest& request);

 private:
  Result<KeyBlob> kept_key();
  // An open Tpm is the only one in the process: two callers never make two keys.
  Result<KeyBlob> usable_key(Tpm& tpm);
  Result<KeyBlob> new_key(Tpm& tpm, const std::string& why);
  Result<Evidence> quote(Tpm& tpm, const KeyBlob& key, const std::string& qualifying, PcrSelection selection);

  BootEvidence& evidence_;
  Records& records_;
  Journal& journal_;
  std::optional<AttestationKeyKind> kind_;
};

}  // namespace vmsec::boot

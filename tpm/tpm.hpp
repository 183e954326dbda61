// This host's TPM 2.0, over tpm2-tss (ESAPI) and any TCTI.
//
// A Tpm is an open connection: opened for one operation and closed after it, so
// that it never holds the device. One at a time in this process.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "evidence/quote.hpp"
#include "vmsec/result.hpp"

struct ESYS_CONTEXT;
struct TSS2_TCTI_OPAQUE_CONTEXT_BLOB;

namespace vmsec::boot {

// A key below the storage root key, as the TPM hands it out: only that TPM can load it.
struct KeyBlob {
  std::string public_area;   // TPM2B_PUBLIC
  std::string private_area;  // TPM2B_PRIVATE, encrypted by the TPM; empty: the primary key, made again at each use
};

// P-256 with SHA-256, P-384 with SHA-384, RSA 2048 (RSASSA) with SHA-256.
enum class AttestationKeyKind : std::uint8_t { ecc, ecc_384, rsa };

struct EndorsementKey {
  std::string public_area;           // TPMT_PUBLIC
  std::string certificate;           // DER; empty where the TPM holds none
  std::vector<std::string> issuers;  // of intermediate authorities, DER, as far as the TPM holds them
};

struct SignedQuote {
  std::string attest;     // TPMS_ATTEST
  std::string signature;  // TPMT_SIGNATURE
};

class Tpm {
 public:
  // `unavailable` when the TPM cannot be reached.
  static Result<Tpm> open(const std::string& tcti);
  Tpm(Tpm&&) = default;
  Tpm& operator=(Tpm&&) = delete;
  ~Tpm() = default;

  // The key that has a certificate in the TPM (of the TCG EK credential profile: P-256 and P-384, RSA
  // 2048 to 4096, also by a template or nonce in NV); else the profile's P-256 key.
  Result<EndorsementKey> endorsement_key();
  // A restricted signing key below the owner hierarchy's storage root key.
  Result<KeyBlob> create_attestation_key(AttestationKeyKind kind = AttestationKeyKind::ecc);
  // The endorsement hierarchy's primary key of the same kind: for who keeps no blob. The same until the TPM gets
  // another endorsement seed, which is another TPM.
  Result<KeyBlob> primary_attestation_key();
  // The three below: `wrong_state` when the blob is not of this TPM, or the TPM was cleared since.
  Status check_loads(const KeyBlob& key);
  Result<SignedQuote> quote(const KeyBlob& key, std::string_view qualifying_data, PcrMask pcrs,
                            Hash bank = Hash::sha256);
  Result<std::string> activate(const KeyBlob& key, std::string_view id_object, std::string_view encrypted_secret);
  // Those that were not asked for stay empty. `unsupported`: the TPM has no such PCRs in that bank.
  Result<PcrValues> read_pcrs(PcrMask pcrs, Hash bank = Hash::sha256);
  // The banks that are active, and an extension of each of them by the digest of these bytes.
  Result<std::vector<Bank>> banks();
  Status extend(std::uint32_t pcr, const std::vector<Bank>& banks, std::string_view bytes);
  // How often the TPM was reset: another number is another boot.
  Result<std::uint32_t> reset_count();

 private:
  struct CloseTcti {
    void operator()(TSS2_TCTI_OPAQUE_CONTEXT_BLOB* tcti) const;
  };
  struct CloseEsys {
    void operator()(ESYS_CONTEXT* esys) const;
  };
  using TctiPtr = std::unique_ptr<TSS2_TCTI_OPAQUE_CONTEXT_BLOB, CloseTcti>;
  using EsysPtr = std::unique_ptr<ESYS_CONTEXT, CloseEsys>;

  Tpm(std::unique_lock<std::mutex> turn, TctiPtr tcti, EsysPtr esys)
      : turn_(std::move(turn)), tcti_(std::move(tcti)), esys_(std::move(esys)) {}

  std::unique_lock<std::mutex> turn_;
  TctiPtr tcti_;
  EsysPtr esys_;  // closed before its TCTI
};

// The public area (TPMT_PUBLIC) of a blob.
Result<std::string> public_area(const KeyBlob& key);

}  // namespace vmsec::boot

#include "tpm.hpp"

#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "endorsement.hpp"
#include "evidence/bytes.hpp"
#include "handles.hpp"
#include "templates.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kPcrsPerRead = 8;  // TPML_DIGEST holds no more

std::mutex& turn() {
  static std::mutex mutex;
  return mutex;
}

// Fills a TPM2B's buffer.
template <class T, class Buffer>
Status fill(T& target, Buffer& buffer, std::string_view bytes, std::string_view what) {
  if (bytes.size() > sizeof buffer)
    return fail(Code::invalid_argument, std::string(what) + " has " + std::to_string(bytes.size()) +
                                            " bytes, a TPM takes " + std::to_string(sizeof buffer));
  target.size = static_cast<UINT16>(bytes.size());
  std::memcpy(buffer, bytes.data(), bytes.size());
  return {};
}

TPML_PCR_SELECTION selection_of(PcrMask pcrs, Hash bank) {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = static_cast<TPMI_ALG_HASH>(bank);
  selection.pcrSelections[0].sizeofSelect = 3;
  for (std::size_t i = 0; i < 3; ++i) selection.pcrSelections[0].pcrSelect[i] = static_cast<BYTE>(pcrs.bits >> (8 * i));
  return selection;
}

PcrMask mask_of(const TPML_PCR_SELECTION& selection) {
  PcrMask pcrs;
  if (selection.count != 1) return pcrs;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, selection.pcrSelections[0].sizeofSelect); ++i)
    pcrs.bits |= static_cast<std::uint32_t>(selection.pcrSelections[0].pcrSelect[i]) << (8 * i);
  return pcrs;
}

template <class T, class Function>
Result<T> unmarshal(std::string_view bytes, Function function, std::string_view what) {
  T value{};
  std::size_t offset = 0;
  const TSS2_RC rc = function(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &offset, &value);
  if (rc != TSS2_RC_SUCCESS || offset != bytes.size())
    return fail(Error{Code::invalid_argument, "read the " + std::string(what) + ": it is damaged",
                      static_cast<std::int64_t>(rc), "tss2"});
  return value;
}

template <class T, class Function>
Result<std::string> marshalled(const T& value, Function function) {
  std::string out(sizeof(T) + 64, '\0');
  std::size_t size = 0;
  const TSS2_RC rc = function(&value, reinterpret_cast<uint8_t*>(out.data()), out.size(), &size);
  if (rc != TSS2_RC_SUCCESS) return fail(tpm_error("marshal a structure", rc));
  out.resize(size);
  return out;
}

Result<PrimaryKey> make_primary_attestation_key(ESYS_CONTEXT* esys) {
  return create_primary(esys, ESYS_TR_RH_ENDORSEMENT, attestation_template(AttestationKeyKind::ecc),
                        "create the attestation key");
}

Result<TpmHandle> load_attestation_key(ESYS_CONTEXT* esys, const KeyBlob& key) {
  if (key.private_area.empty()) {
    VMSEC_TRY(auto primary, make_primary_attestation_key(esys));
    VMSEC_TRY(const auto wanted, public_area(key));
    if (primary.public_area != wanted)
      return fail(Code::wrong_state, "make the attestation key: this TPM makes another one than was asked for");
    return std::move(primary.handle);
  }
  VMSEC_TRY(const auto area,
            unmarshal<TPM2B_PUBLIC>(key.public_area, Tss2_MU_TPM2B_PUBLIC_Unmarshal, "attestation key's public area"));
  VMSEC_TRY(const auto blob, unmarshal<TPM2B_PRIVATE>(key.private_area, Tss2_MU_TPM2B_PRIVATE_Unmarshal,
                                                      "attestation key's private area"));
  VMSEC_TRY(const auto parent,
            create_primary(esys, ESYS_TR_RH_OWNER, storage_template(), "create the storage root key"));
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC rc =
      Esys_Load(esys, parent.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &blob, &area, &handle);
  // The TPM refuses a blob that its storage root key did not wrap by its integrity.
  if ((rc & 0xff0000bf) == TPM2_RC_INTEGRITY)
    return fail(Error{Code::wrong_state,
                      "load the attestation key: it is not of this TPM, or the TPM was cleared since it was made",
                      static_cast<std::int64_t>(rc), "tss2"});
  VMSEC_CHECK(check_tpm("load the attestation key", rc));
  return TpmHandle(esys, handle);
}

// A session that the endorsement key's policy accepts.
Result<TpmHandle> endorsement_session(ESYS_CONTEXT* esys) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  ESYS_TR handle = ESYS_TR_NONE;
  VMSEC_CHECK(check_tpm("start a policy session",
                        Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                              ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, &handle)));
  TpmHandle session(esys, handle);
  VMSEC_CHECK(check_tpm("satisfy the endorsement key's policy",
                        Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr)));
  return session;
}

// One TPM2_PCR_Read; answers which PCRs it gave.
Result<PcrMask> read_some(ESYS_CONTEXT* esys, PcrMask wanted, Hash bank, PcrValues& values) {
  const auto selection = selection_of(wanted, bank);
  TPML_PCR_SELECTION* given = nullptr;
  TPML_DIGEST* digests = nullptr;
  UINT32 counter = 0;
  VMSEC_CHECK(check_tpm("read PCRs", Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &selection, &counter,
                                                   &given, &digests)));
  const TpmMemory<TPML_PCR_SELECTION> owned_selection(given);
  const TpmMemory<TPML_DIGEST> owned_digests(digests);
  const PcrMask got = mask_of(*given);
  if (!got.valid() || (got.bits & ~wanted.bits) != 0 || std::popcount(got.bits) != static_cast<int>(digests->count))
    return fail(Code::unsupported,
                "read PCRs " + to_string(wanted) + ": the TPM has no such PCRs of bank " + to_string(bank));
  std::size_t place = 0;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) {
    if (!got.has(pcr)) continue;
    const auto& digest = digests->digests[place++];
    values[pcr].assign(reinterpret_cast<const char*>(digest.buffer), digest.size);
  }
  return got;
}

}  // namespace

void Tpm::CloseTcti::operator()(TSS2_TCTI_OPAQUE_CONTEXT_BLOB* tcti) const { Tss2_TctiLdr_Finalize(&tcti); }
void Tpm::CloseEsys::operator()(ESYS_CONTEXT* esys) const { Esys_Finalize(&esys); }

Result<Tpm> Tpm::open(const std::string& tcti) {
  std::unique_lock<std::mutex> lock(turn());
  TSS2_TCTI_CONTEXT* way = nullptr;
  if (const TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &way); rc != TSS2_RC_SUCCESS)
    return fail(Error{Code::unavailable, "open the TPM at " + tcti + ": " + Tss2_RC_Decode(rc),
                      static_cast<std::int64_t>(rc), "tss2"});
  TctiPtr owned_way(way);
  ESYS_CONTEXT* esys = nullptr;
  if (const TSS2_RC rc = Esys_Initialize(&esys, way, nullptr); rc != TSS2_RC_SUCCESS)
    return fail(Error{Code::unavailable, "open the TPM at " + tcti + ": " + Tss2_RC_Decode(rc),
                      static_cast<std::int64_t>(rc), "tss2"});
  return Tpm(std::move(lock), std::move(owned_way), EsysPtr(esys));
}

Result<std::string> marshal(const TPMT_PUBLIC& public_area) {
  return marshalled(public_area, Tss2_MU_TPMT_PUBLIC_Marshal);
}

Result<std::string> public_area(const KeyBlob& key) {
  VMSEC_TRY(const auto area,
            unmarshal<TPM2B_PUBLIC>(key.public_area, Tss2_MU_TPM2B_PUBLIC_Unmarshal, "attestation key's public area"));
  return marshal(area.publicArea);
}

Result<PrimaryKey> create_primary(ESYS_CONTEXT* esys, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template,
                                  std::string_view what) {
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  TPM2B_PUBLIC* area = nullptr;
  VMSEC_CHECK(check_tpm(
      what, Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &key_template,
                               &no_data, &no_pcrs, &handle, &area, nullptr, nullptr, nullptr)));
  TpmHandle owned_handle(esys, handle);
  const TpmMemory<TPM2B_PUBLIC> owned(area);
  VMSEC_TRY(auto bytes, marshal(area->publicArea));
  return PrimaryKey{std::move(owned_handle), std::move(bytes)};
}

Result<EndorsementKey> Tpm::endorsement_key() { return certified_endorsement_key(esys_.get()); }

Result<KeyBlob> Tpm::create_attestation_key(AttestationKeyKind kind) {
  VMSEC_TRY(const auto parent,
            create_primary(esys_.get(), ESYS_TR_RH_OWNER, storage_template(), "create the storage root key"));
  const TPM2B_PUBLIC key_template = attestation_template(kind);
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  TPM2B_PRIVATE* blob = nullptr;
  TPM2B_PUBLIC* area = nullptr;
  VMSEC_CHECK(
      check_tpm("create an attestation key",
                Esys_Create(esys_.get(), parent.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                            &key_template, &no_data, &no_pcrs, &blob, &area, nullptr, nullptr, nullptr)));
  const TpmMemory<TPM2B_PRIVATE> owned_blob(blob);
  const TpmMemory<TPM2B_PUBLIC> owned_area(area);
  KeyBlob key;
  VMSEC_TRY(key.public_area, marshalled(*area, Tss2_MU_TPM2B_PUBLIC_Marshal));
  VMSEC_TRY(key.private_area, marshalled(*blob, Tss2_MU_TPM2B_PRIVATE_Marshal));
  return key;
}

Result<KeyBlob> Tpm::primary_attestation_key() {
  VMSEC_TRY(const auto primary, make_primary_attestation_key(esys_.get()));
  VMSEC_TRY(const auto area, unmarshal<TPMT_PUBLIC>(primary.public_area, Tss2_MU_TPMT_PUBLIC_Unmarshal,
                                                    "attestation key's public area"));
  const TPM2B_PUBLIC sized{0, area};
  KeyBlob key;
  VMSEC_TRY(key.public_area, marshalled(sized, Tss2_MU_TPM2B_PUBLIC_Marshal));
  return key;
}

Status Tpm::check_loads(const KeyBlob& key) {
  VMSEC_CHECK(load_attestation_key(esys_.get(), key));
  return {};
}

Result<SignedQuote> Tpm::quote(const KeyBlob& key, std::string_view qualifying_data, PcrMask pcrs, Hash bank) {
  VMSEC_TRY(const auto handle, load_attestation_key(esys_.get(), key));
  TPM2B_DATA data{};
  VMSEC_CHECK(fill(data, data.buffer, qualifying_data, "the qualifying data"));
  TPMT_SIG_SCHEME keys_own{};
  keys_own.scheme = TPM2_ALG_NULL;
  const auto selection = selection_of(pcrs, bank);
  TPM2B_ATTEST* attest = nullptr;
  TPMT_SIGNATURE* signature = nullptr;
  VMSEC_CHECK(check_tpm("quote PCRs", Esys_Quote(esys_.get(), handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                                 ESYS_TR_NONE, &data, &keys_own, &selection, &attest, &signature)));
  const TpmMemory<TPM2B_ATTEST> owned_attest(attest);
  const TpmMemory<TPMT_SIGNATURE> owned_signature(signature);
  SignedQuote quote;
  quote.attest.assign(reinterpret_cast<const char*>(attest->attestationData), attest->size);
  VMSEC_TRY(quote.signature, marshalled(*signature, Tss2_MU_TPMT_SIGNATURE_Marshal));
  return quote;
}

Result<std::string> Tpm::activate(const KeyBlob& key, std::string_view id_object, std::string_view encrypted_secret) {
  TPM2B_ID_OBJECT credential{};
  TPM2B_ENCRYPTED_SECRET secret{};
  VMSEC_CHECK(fill(credential, credential.credential, id_object, "the credential"));
  VMSEC_CHECK(fill(secret, secret.secret, encrypted_secret, "the credential's secret"));
  VMSEC_TRY(const auto attestation_key, load_attestation_key(esys_.get(), key));
  VMSEC_TRY(const auto endorsement_key, load_endorsement_key(esys_.get()));
  std::optional<TpmHandle> session;
  if (endorsement_key.authorisation == Authorisation::policy_a) {
    VMSEC_TRY(auto started, endorsement_session(esys_.get()));
    session.emplace(std::move(started));
  }
  TPM2B_DIGEST* opened = nullptr;
  VMSEC_CHECK(check_tpm("activate a credential",
                        Esys_ActivateCredential(esys_.get(), attestation_key.get(), endorsement_key.handle.get(),
                                                ESYS_TR_PASSWORD, session ? session->get() : ESYS_TR_PASSWORD,
                                                ESYS_TR_NONE, &credential, &secret, &opened)));
  const TpmMemory<TPM2B_DIGEST> owned(opened);
  return std::string(reinterpret_cast<const char*>(opened->buffer), opened->size);
}

Result<std::vector<Bank>> Tpm::banks() {
  TPMS_CAPABILITY_DATA* data = nullptr;
  TPMI_YES_NO more = 0;
  VMSEC_CHECK(check_tpm("list PCR banks", Esys_GetCapability(esys_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                             TPM2_CAP_PCRS, 0, 1, &more, &data)));
  const TpmMemory<TPMS_CAPABILITY_DATA> owned(data);
  const auto& all = data->data.assignedPCR;
  std::vector<Bank> active;
  for (UINT32 i = 0; i < all.count; ++i) {
    const auto& each = all.pcrSelections[i];
    if (std::all_of(each.pcrSelect, each.pcrSelect + each.sizeofSelect, [](BYTE bits) { return bits == 0; })) continue;
    const Hash hash{each.hash};
    const auto size = digest_size(hash);
    if (!size) return fail(Code::unsupported, "list PCR banks: the TPM has one of " + to_string(hash));
    active.push_back({hash, *size});
  }
  return active;
}

Status Tpm::extend(std::uint32_t pcr, const std::vector<Bank>& banks, std::string_view bytes) {
  TPML_DIGEST_VALUES values{};
  if (banks.empty() || banks.size() > TPM2_NUM_PCR_BANKS)
    return fail(Code::invalid_argument, "extend a PCR: of " + std::to_string(banks.size()) + " banks");
  for (const auto& bank : banks) {
    VMSEC_TRY(const auto measured, digest(bank.hash, {bytes}));
    auto& value = values.digests[values.count++];
    value.hashAlg = static_cast<TPMI_ALG_HASH>(bank.hash);
    std::memcpy(&value.digest, measured.data(), std::min(measured.size(), sizeof value.digest));
  }
  return check_tpm("extend PCR " + std::to_string(pcr),
                   Esys_PCR_Extend(esys_.get(), pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values));
}

Result<std::uint32_t> Tpm::reset_count() {
  TPMS_TIME_INFO* time = nullptr;
  VMSEC_CHECK(
      check_tpm("read the clock", Esys_ReadClock(esys_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time)));
  const TpmMemory<TPMS_TIME_INFO> owned(time);
  return time->clockInfo.resetCount;
}

Result<PcrValues> Tpm::read_pcrs(PcrMask pcrs, Hash bank) {
  PcrValues values;
  while (pcrs.bits != 0) {
    PcrMask some;
    for (std::uint32_t pcr = 0; pcr < kPcrCount && std::popcount(some.bits) < static_cast<int>(kPcrsPerRead); ++pcr)
      if (pcrs.has(pcr)) some.add(pcr);
    VMSEC_TRY(const auto got, read_some(esys_.get(), some, bank, values));
    pcrs.bits &= ~got.bits;
  }
  return values;
}

}  // namespace vmsec::boot

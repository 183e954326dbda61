#include "input.hpp"

#include "evidence/bytes.hpp"
#include "evidence/files.hpp"

namespace vmsec::bench {
namespace {

// 0 to 9, as evidence.py quotes: all that its log has measured.
constexpr boot::PcrMask kQuoted{0x0003ff};

Result<std::string> file(const std::filesystem::path& path) {
  return boot::read_file(path, boot::kMaxLogBytes, "benchmark's input");
}

Result<boot::TpmPublic> read_key(const std::filesystem::path& path) {
  VMSEC_TRY(const auto bytes, file(path));
  boot::ByteReader reader(bytes);
  const auto area = reader.sized();
  if (!area) return fail(Code::invalid_argument, path.string() + " is no TPM2B_PUBLIC");
  return boot::parse_public(*area, "attestation key");
}

}  // namespace

Result<Input> Input::read(const std::filesystem::path& folder) {
  Input input;
  VMSEC_TRY(input.evidence.attest, file(folder / "quote"));
  VMSEC_TRY(input.evidence.signature, file(folder / "sig"));
  VMSEC_TRY(input.evidence.event_log, file(folder / "log"));
  VMSEC_TRY(const auto nonce, file(folder / "nonce"));
  const auto data = boot::from_hex(nonce);
  if (!data) return fail(Code::invalid_argument, (folder / "nonce").string() + " is not hexadecimal");
  input.demand.qualifying_data = *data;
  input.demand.pcrs = kQuoted;
  VMSEC_TRY(input.key, read_key(folder / "ak.pub"));
  return input;
}

Result<std::string> reference_text(const Input& input) {
  VMSEC_TRY(const auto replayed, boot::replay(input.evidence.event_log));
  return boot::write_reference(replayed, kQuoted, "benchmark");
}

Result<boot::Reference> parsed(const std::string& reference_text) {
  return boot::parse_reference(reference_text, "the benchmark's reference");
}

Status judged(const boot::Evidence& evidence, const boot::TpmPublic& key, const boot::QuoteDemand& demand,
              const boot::Reference& reference) {
  AttestationReport report;
  boot::judge(evidence, key, demand, reference, report);
  if (report.verdict == Verdict::trusted) return {};
  return fail(Code::untrusted, "the benchmark's own evidence: " + report.cause);
}

}  // namespace vmsec::bench

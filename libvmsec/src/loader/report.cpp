// What is known of an object without running any of it.
#include "loader/inspect.hpp"
#include "loader/sealed_file.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {

Result<ObjectReport> inspect_object(const std::string& file, ObjectKind kind, const Trust& trust) {
  VMSEC_TRY(const loader::SealedFile sealed, loader::SealedFile::copy(file));
  VMSEC_TRY(loader::Inspection found, loader::inspect(sealed.bytes(), kind, file));
  ObjectReport report;
  report.kind = kind;
  report.file = file;
  report.sha256 = sealed.digest();
  report.abi_major = found.abi_major;
  report.abi_minor = found.abi_minor;
  report.name = std::move(found.manifest.name);
  report.version = std::move(found.manifest.version);
  report.summary = std::move(found.manifest.summary);
  report.section = std::move(found.manifest.section);
  report.provides = std::move(found.manifest.provides);
  report.needs = std::move(found.manifest.needs);
  report.asks = std::move(found.manifest.asks);
  report.links = std::move(found.needed);
  const auto signature = read_signature(kind, file);
  const auto signers =
      signature ? trust.verify(kind, file, report.sha256, *signature) : Result<Signers>(fail(signature.error()));
  if (signers) report.signer = to_string(*signers);
  if (!signers) report.refusals.push_back(signers.error());
  for (Error& refusal : found.refusals) report.refusals.push_back(std::move(refusal));
  if (report.version.empty()) return report;
  if (const auto recent = trust.check_version(file, report.name, report.version); !recent)
    report.refusals.push_back(recent.error());
  return report;
}

Result<std::string> plugin_summary(const std::string& file, const Trust& trust) {
  VMSEC_TRY(ObjectReport report, inspect_object(file, ObjectKind::plugin, trust));
  if (!report.refusals.empty()) return fail(std::move(report.refusals.front()));
  return std::move(report.summary);
}

}  // namespace vmsec

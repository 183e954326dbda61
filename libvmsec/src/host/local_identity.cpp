#include "host/local_identity.hpp"

namespace vmsec::host {

Result<HostIdentity> load_identity(const HostOptions& options) {
  HostFiles files;
  files.authority = options.identity.ca;
  files.certificate = options.identity.certificate;
  files.key = options.identity.key;
  files.crl = options.identity.revocations;
  for (const auto& key : options.identity.placement_keys) files.placement_keys.emplace_back(key);
  for (const auto& former : options.identity.former_certificates) files.former_certificates.emplace_back(former);
  files.state_dir = options.state_dir;
  return HostIdentity::load(files);
}

Result<HostIdentity> local_identity(const std::string& state_dir, const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(state_dir) / "local-identity";
  HostFiles files;
  files.authority = folder / "ca.crt";
  files.certificate = folder / (name + ".crt");
  files.key = folder / (name + ".key");
  files.crl = folder / "ca.crl";
  files.state_dir = state_dir;
  if (!std::filesystem::exists(files.certificate)) {
    const bool begun = std::filesystem::exists(files.authority);
    VMSEC_TRY(const auto authority,
              begun ? CertificateAuthority::open(folder) : CertificateAuthority::init(folder, "local to " + name));
    IssueOptions issue;
    issue.days = 3650;
    issue.out_dir = folder;
    VMSEC_CHECK(CertificateAuthority(authority).issue(name, issue));
  }
  return HostIdentity::load(files);
}

}  // namespace vmsec::host

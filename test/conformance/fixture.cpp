#include "fixture.hpp"

#include <cstdlib>
#include <fstream>

#include "vmsec/ticket.hpp"

namespace vmsec::conformance {
namespace {

// Everything for the checks' modules on every domain; limits only for one of no host.
constexpr const char* kPolicy = R"(version = 1
[[grant]]
module = "isolation"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "throttle"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.IoControl"]
[[grant]]
module = "migration"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
)";

Setting text(std::string path, std::string value) {
  Setting setting;
  setting.path = std::move(path);
  setting.type = SettingType::text;
  setting.text = std::move(value);
  return setting;
}

}  // namespace

Uuid stranger() { return *Uuid::parse("deadbeef-0000-4000-8000-00000000cafe"); }

Result<std::unique_ptr<Fixture>> Fixture::open(const Setup& setup) {
  std::unique_ptr<Fixture> fixture(new Fixture(setup));
  std::string pattern = (std::filesystem::temp_directory_path() / "vmsec-conf-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return fail(errno_error("make a folder for the fixture"));
  fixture->folder_ = pattern;
  VMSEC_CHECK(fixture->make_identities());
  // The destination first: the source's configuration names its address.
  VMSEC_TRY(fixture->b_, fixture->open_host("conformance-b", setup.b));
  VMSEC_CHECK(fixture->b_->serve_peers());
  fixture->address_b_ = fixture->b_->peer_address();
  VMSEC_TRY(fixture->a_, fixture->open_host("conformance-a", setup.a));
  return fixture;
}

Fixture::~Fixture() {
  if (a_) a_->shut_down();
  if (b_) b_->shut_down();
  a_.reset();
  b_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Status Fixture::make_identities() {
  VMSEC_TRY(auto authority, CertificateAuthority::init(folder_ / "ca", "conformance"));
  IssueOptions issue;
  issue.out_dir = folder_;
  VMSEC_CHECK(authority.issue("conformance-a", issue));
  VMSEC_CHECK(authority.issue("conformance-b", issue));
  VMSEC_CHECK(authority.publish_crl());
  VMSEC_CHECK(PlacementKey::create(folder_ / "placement.key"));
  std::ofstream(folder_ / "policy.toml") << kPolicy;
  return {};
}

Result<std::shared_ptr<Host>> Fixture::open_host(const std::string& name, const HostSetup& setup) {
  HostOptions options;
  options.name = name;
  options.state_dir = folder_ / (name + ".state");
  options.run_dir = folder_ / (name + ".run");
  options.plugin = setup_.plugin;
  options.plugin_path = {setup_.plugin_path};
  options.module_path = {setup_.module_path};
  options.backend.uri = setup.uri;
  options.backend.tpm_tcti = setup.tcti;
  options.backend.event_log = setup.event_log;
  options.backend.settings = setup.settings;
  options.modules = {{"isolation", {}}, {"throttle", {}}, {"measured_boot", {}}, {"migration", {}}};
  options.modules["migration"].settings.push_back(text("attestation", "none"));
  options.policy_file = folder_ / "policy.toml";
  options.identity = {folder_ / "ca/ca.crt",
                      folder_ / (name + ".crt"),
                      folder_ / (name + ".key"),
                      folder_ / "ca/ca.crl",
                      {folder_ / "placement.key.pub"}};
  options.listen = "127.0.0.1:0";
  options.peers = {{"conformance-b", address_b_.empty() ? "127.0.0.1:1" : address_b_}};
  return vmsec::open_host(std::move(options));
}

Result<Uuid> Fixture::find(const std::string& name) {
  VMSEC_TRY(const auto list, open_a<DomainControl>()->list({}));
  for (const auto& info : list.domains)
    if (info.name == name) return info.domain;
  return fail(Code::not_found, "the fixture's domain " + name + " is not on host a");
}

Result<std::string> Fixture::ticket(const Uuid& domain, const std::string& destination) {
  VMSEC_TRY(const auto placement, PlacementKey::open(folder_ / "placement.key"));
  TicketOrder order;
  order.domain = domain;
  VMSEC_TRY(order.source, read_host_certificate(folder_ / "conformance-a.crt"));
  VMSEC_TRY(order.destination, read_host_certificate(folder_ / (destination + ".crt")));
  return issue_ticket(*a_, placement, std::move(order));
}

}  // namespace vmsec::conformance

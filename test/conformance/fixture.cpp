#include "fixture.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

#include "vmsec/ticket.hpp"
#include "vmsec/trust.hpp"

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

template <class I>
std::string name_of_method(std::uint32_t number) {
  std::string name;
  for_each_method<I>([&](const auto& method) {
    if (method.number == number) name = std::string(Methods<I>::kName) + "." + std::string(method.name);
  });
  return name;
}

template <class... Interfaces>
std::string capability_method(std::string_view interface, std::uint32_t number) {
  std::string name;
  ((interface == Methods<Interfaces>::kName ? void(name = name_of_method<Interfaces>(number)) : void()), ...);
  return name;
}

// A host whose backend may say yes and do nothing.
class Muted final : public Control {
 public:
  Muted(std::shared_ptr<Control> host, std::shared_ptr<const std::string> method)
      : host_(std::move(host)), method_(std::move(method)) {}
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    const bool muted =
        !method_->empty() && capability_method<DomainControl, ResourceControl, IoControl, MemoryAccess, Events,
                                               BootEvidence, Migration, Interchange>(interface, method) == *method_;
    if (muted) return Packet{};
    return host_->call(interface, method, std::move(request));
  }

 private:
  std::shared_ptr<Control> host_;
  std::shared_ptr<const std::string> method_;
};

Result<std::string> sha256_of(const std::string& file) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::ifstream in(file, std::ios::binary);
  if (!in || !context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return fail(Code::io, "read " + file + ": cannot open it");
  std::array<char, 65536> part;
  while (in.read(part.data(), part.size()), in.gcount() > 0)
    EVP_DigestUpdate(context.get(), part.data(), static_cast<std::size_t>(in.gcount()));
  std::array<unsigned char, 32> digest;
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  std::string text;
  for (const unsigned char byte : digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

Result<std::vector<Binary>> binaries_of(Control& host, const std::string& plugin) {
  VMSEC_TRY(const HostInfo info, host.open<HostControl>()->info({}));
  std::vector<Binary> out;
  for (const auto& module : info.modules) out.push_back({"module", module.name, module.digest});
  for (const auto& each : info.plugins) {
    if (each.name != plugin) continue;
    VMSEC_TRY(std::string digest, sha256_of(each.file));
    out.push_back({"plugin", each.name, std::move(digest)});
  }
  return out;
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
  fixture->face_a_ = std::make_shared<Muted>(fixture->a_, fixture->muted_);
  fixture->face_b_ = std::make_shared<Muted>(fixture->b_, fixture->muted_);
  return fixture;
}

Fixture::~Fixture() {
  face_a_.reset();
  face_b_.reset();
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
  VMSEC_CHECK(trust_in_process());
  std::ofstream(folder_ / "policy.toml") << kPolicy;
  return {};
}

// measured_boot opens files and the TPM itself: who signed the modules is trusted with that.
Status Fixture::trust_in_process() {
  VMSEC_TRY(TrustStore store, read_trust_store(shipped_trust()));
  for (TrustedKey& key : store.keys) key.roles.push_back(TrustRole::in_process);
  store.file = folder_ / "trust.toml";
  return write_trust_store(store);
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
  options.in_process = {"measured_boot"};
  options.trust_file = folder_ / "trust.toml";
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

Result<std::vector<Binary>> Fixture::binaries() {
  VMSEC_TRY(auto of_a, binaries_of(*a_, setup_.plugin));
  VMSEC_TRY(const auto of_b, binaries_of(*b_, setup_.plugin));
  const auto same = [](const Binary& x, const Binary& y) { return x.name == y.name && x.digest == y.digest; };
  if (!std::ranges::equal(of_a, of_b, same)) return fail(Code::tampered, "the two hosts run other module files");
  return of_a;
}

Result<std::uint32_t> Fixture::usable_cpu() {
  VMSEC_TRY(const Uuid uuid, domain());
  const auto resources = open_a<ResourceControl>();
  VMSEC_TRY(const auto before, resources->get({uuid}));
  VMSEC_TRY(const auto host, resources->host({}));
  for (std::uint32_t cpu = 0; cpu < host.cpus; ++cpu) {
    ResourceLimits limits;
    limits.pins = {{0, {cpu}}};
    const auto set = resources->set({uuid, limits});
    if (!set && set.error().code == Code::limit_exceeded) continue;
    VMSEC_TRY(std::ignore, set);
    VMSEC_TRY(std::ignore, resources->set({uuid, before}));
    return cpu;
  }
  return fail(Code::limit_exceeded, "every CPU of the host is refused");
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

Outcome refused(Fixture& fixture, const ResourceLimits& limits, Code code) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  const Outcome outcome = expect(code, resources->set({domain, limits}));
  CONFORMANCE_TRY(const auto after, resources->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "the refused call changed a limit");
  return outcome;
}

}  // namespace vmsec::conformance

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "../interchange/definitions.hpp"
#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

namespace {

// A definition whose files are there, and whose domain is gone at the end.
class Defined {
 public:
  explicit Defined(Host& host, const std::string& name) : host_(host) {
    folder_ = "/tmp/vmsec-defined-" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/disk.img") << std::string(1 << 20, '\0');
    definition.domain = Uuid({9, static_cast<std::uint8_t>(getpid()), static_cast<std::uint8_t>(getpid() >> 8),
                              static_cast<std::uint8_t>(name.size())});
    definition.name = "kd-" + std::to_string(getpid()) + "-" + name;
    definition.vcpus = 1;
    definition.vcpus_maximum = 2;
    definition.memory.value = 64 << 20;
    definition.disks = {{"vda", folder_ + "/disk.img", DiskFormat::raw, false}};
    definition.nics = {{"52:54:00:aa:bb:cd", ""}};
    definition.boot.kernel = environment("VMSEC_TEST_KVM_KERNEL");
    definition.boot.command_line = "verify=0";
    definition.tags = {"web"};
  }
  ~Defined() {
    if (const auto domain = host_.context->connection->domain(definition.domain, "end a domain")) {
      virDomainDestroy(domain->get());
      virDomainUndefineFlags(domain->get(), VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                                VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_TPM);
    }
    std::filesystem::remove_all(folder_);
  }
  Defined(const Defined&) = delete;
  Defined& operator=(const Defined&) = delete;

  [[nodiscard]] DefineDomain request() const { return {definition.domain, definition, {}}; }
  [[nodiscard]] DomainRef ref() const { return {definition.domain}; }
  [[nodiscard]] DomainState state() const { return must(host_.domains->get(ref())).state; }
  [[nodiscard]] DomainPtr handle() const { return must(host_.context->connection->domain(definition.domain, "test")); }
  DomainDefinition definition;

 private:
  Host& host_;
  std::string folder_;
};

std::string said(const std::vector<Loss>& losses) {
  std::string text;
  for (const auto& loss : losses) text += loss.place + ": " + loss.reason + "\n";
  return text;
}

}  // namespace

TEST_CASE("a domain is defined, found, exported as it was, started, and undefined once it is off") {
  if (!have_host()) return;
  Host host;
  Defined web(host, "life");
  web.definition.tpm = true;
  CHECK(must(host.interchange->translate(web.definition)).losses.empty());
  REQUIRE(must(host.interchange->define(web.request())).domain == web.definition.domain);
  const DomainInfo info = must(host.domains->get(web.ref()));
  CHECK(info.state == DomainState::shut_off);
  CHECK(info.persistent);
  CHECK(info.name == web.definition.name);
  CHECK(info.tpm);
  CHECK(info.tags == web.definition.tags);
  const auto as_it_was = [&] {
    const ExportedDomain out = must(host.interchange->export_domain(web.ref()));
    CHECK(said(out.losses) == "");
    CHECK(out.definition == web.definition);
  };
  as_it_was();
  must(host.interchange->start(web.ref()));
  CHECK(web.state() == DomainState::running);
  as_it_was();
  CHECK(refusal(host.interchange->start(web.ref())).code == Code::wrong_state);
  CHECK(refusal(host.interchange->undefine(web.ref())).code == Code::wrong_state);
  must(host.domains->pause(web.ref()));
  CHECK(refusal(host.interchange->start(web.ref())).code == Code::wrong_state);
  CHECK(refusal(host.interchange->undefine(web.ref())).code == Code::wrong_state);
  REQUIRE(virDomainDestroy(web.handle().get()) == 0);
  must(host.interchange->undefine(web.ref()));
  CHECK(refusal(host.domains->get(web.ref())).code == Code::not_found);
  CHECK(refusal(host.interchange->undefine(web.ref())).code == Code::not_found);
  CHECK(refusal(host.interchange->start(web.ref())).code == Code::not_found);
  CHECK(refusal(host.interchange->export_domain(web.ref())).code == Code::not_found);
  CHECK(std::filesystem::exists(web.definition.disks[0].source));
}

TEST_CASE("a UUID or a name that is taken is left to its domain") {
  if (!have_host()) return;
  Host host;
  const Defined web(host, "taken");
  must(host.interchange->define(web.request()));
  CHECK(refusal(host.interchange->define(web.request())).code == Code::already_exists);
  DefineDomain other = web.request();
  other.definition.name += "-other";
  other.definition.vcpus = 2;
  CHECK(refusal(host.interchange->define(other)).code == Code::already_exists);
  other.definition.name = web.definition.name;
  other.domain = other.definition.domain = Uuid({7});
  CHECK(refusal(host.interchange->define(other)).code == Code::already_exists);
  CHECK(must(host.interchange->export_domain(web.ref())).definition == web.definition);
  CHECK(refusal(host.domains->get({Uuid({7})})).code == Code::not_found);
}

TEST_CASE("what cannot be defined leaves no domain") {
  if (!have_host()) return;
  Host host;
  const Defined web(host, "refused");
  const auto refused = [&](const std::function<void(DefineDomain&)>& change) {
    DefineDomain request = web.request();
    change(request);
    const Error error = refusal(host.interchange->define(request));
    INFO(error.message);
    CHECK(error.message.contains(web.definition.domain.text()));
    CHECK(refusal(host.domains->get(web.ref())).code == Code::not_found);
    return error.code;
  };
  CHECK(refused([](DefineDomain& r) { r.definition.disks[0].source = "/nonexistent/disk"; }) == Code::not_found);
  CHECK(refused([](DefineDomain& r) { r.definition.disks[0].source = "/dev/null"; }) == Code::invalid_argument);
  CHECK(refused([](DefineDomain& r) { r.definition.nics[0].bridge = "br-none"; }) == Code::not_found);
  CHECK(refused([](DefineDomain& r) { r.definition.vcpus = 0; }) == Code::invalid_argument);
  CHECK(refused([](DefineDomain& r) { r.definition.guest = GuestKind::pv; }) == Code::unsupported);
  CHECK(refused([](DefineDomain& r) { r.without = {"guest"}; }) == Code::invalid_argument);
  DefineDomain pv = web.request();
  pv.definition.guest = GuestKind::pv;
  pv.without = {"guest"};
  must(host.interchange->define(pv));
  CHECK(must(host.interchange->export_domain(web.ref())).definition.guest == GuestKind::usual);
}

TEST_CASE("a domain whose memory was saved, that has snapshots, or that a migration holds stays as it is") {
  if (!have_host()) return;
  Host host;
  const Defined web(host, "kept");
  must(host.interchange->define(web.request()));
  const auto neither = [&] {
    CHECK(refusal(host.interchange->start(web.ref())).code == Code::wrong_state);
    CHECK(refusal(host.interchange->undefine(web.ref())).code == Code::wrong_state);
    CHECK(web.state() == DomainState::shut_off);
  };
  host.context->held.hold(web.definition.domain, Uuid({5}));
  neither();
  host.context->held.release(web.definition.domain);
  const std::string snapshot_xml =
      "<domainsnapshot><name>s</name><creationTime>1</creationTime><state>shutoff</state><memory snapshot='no'/>" +
      must(host.interchange->export_domain(web.ref())).text + "</domainsnapshot>";
  const auto snapshot =
      virDomainSnapshotCreateXML(web.handle().get(), snapshot_xml.c_str(), VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE);
  if (snapshot == nullptr) FAIL(virt_error("make a snapshot").message);
  CHECK(refusal(host.interchange->undefine(web.ref())).message.contains("snapshots"));
  REQUIRE(virDomainSnapshotDelete(snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) == 0);
  virDomainSnapshotFree(snapshot);
  must(host.interchange->start(web.ref()));
  REQUIRE(virDomainManagedSave(web.handle().get(), 0) == 0);
  neither();
  REQUIRE(virDomainManagedSaveRemove(web.handle().get(), 0) == 0);
  must(host.interchange->undefine(web.ref()));
}

TEST_CASE("UEFI and TPM: their state outlives the definition, as the disks do") {
  if (!have_host()) return;
  Host host;
  Defined web(host, "uefi");
  web.definition.boot = {.firmware = Firmware::uefi};
  web.definition.tpm = true;
  must(host.interchange->define(web.request()));
  must(host.interchange->start(web.ref()));
  CHECK(must(host.interchange->export_domain(web.ref())).definition == web.definition);
  CHECK(said(must(host.interchange->export_domain(web.ref())).losses) == "");
  REQUIRE(virDomainDestroy(web.handle().get()) == 0);
  const std::string nvram = "/var/lib/libvirt/qemu/nvram/" + web.definition.name + "_VARS.fd";
  const std::string tpm = "/var/lib/libvirt/swtpm/" + web.definition.domain.text();
  must(host.interchange->undefine(web.ref()));
  CHECK(std::filesystem::exists(nvram));
  CHECK(std::filesystem::exists(tpm));
  // The same domain again, which then takes both away with it.
  must(host.interchange->define(web.request()));
}

TEST_CASE("libvirt makes of any definition a domain that is exported as it was") {
  if (!have_host()) return;
  Host host;
  const auto lease = must(host.context->connection->lease());
  const std::unique_ptr<char, decltype(&std::free)> capabilities(
      virConnectGetDomainCapabilities(lease.get(), nullptr, nullptr, "q35", "qemu", 0), &std::free);
  const DomainHost here = must(parse_domain_host(capabilities.get()));
  AnyDefinition any(11);
  for (int i = 0; i < 40; ++i) {
    const DomainDefinition definition = any.next();
    const Translation translation = to_libvirt_xml(definition, here);
    INFO(translation.text);
    const DomainPtr domain(virDomainDefineXMLFlags(lease.get(), translation.text.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
    if (!domain) FAIL(virt_error("define").message);
    const ExportedDomain out = must(host.interchange->export_domain({definition.domain}));
    virDomainUndefineFlags(domain.get(), VIR_DOMAIN_UNDEFINE_NVRAM);
    CHECK(said(out.losses) == "");
    CHECK(out.definition == definition);
  }
}

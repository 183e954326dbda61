#include <catch2/catch.hpp>

#include "domain_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

namespace {

std::string capabilities(const std::string& type, const std::string& arch) {
  return "<domainCapabilities>\n  <path>/usr/bin/qemu-system-x86_64</path>\n  <domain>" + type +
         "</domain>\n  <machine>pc-q35-7.2</machine>\n  <arch>" + arch +
         "</arch>\n  <vcpu max='288'/>\n"
         "</domainCapabilities>";
}

Code code(const std::string& xml) {
  const auto host = parse_domain_host(xml);
  return host ? Code::ok : host.error().code;
}

}  // namespace

TEST_CASE("libvirt's choice of type, processor and emulator is read") {
  const auto host = parse_domain_host(capabilities("kvm", "x86_64"));
  REQUIRE(host);
  CHECK(*host == DomainHost{"kvm", "x86_64", "/usr/bin/qemu-system-x86_64"});
  CHECK(parse_domain_host(capabilities("qemu", "x86_64"))->type == "qemu");
}

TEST_CASE("whether the host has UEFI and TPMs is read") {
  std::string xml = capabilities("kvm", "x86_64");
  CHECK_FALSE(parse_domain_host(xml)->uefi);
  CHECK_FALSE(parse_domain_host(xml)->tpm);
  xml.insert(xml.rfind("</"),
             "<os><enum name='firmware'><value>efi</value></enum></os><devices><tpm><enum name='model'><value>emulator"
             "</value></enum><enum name='backendModel'><value>passthrough</value></enum></tpm></devices>");
  CHECK(parse_domain_host(xml)->uefi);
  CHECK_FALSE(parse_domain_host(xml)->tpm);
  xml.insert(xml.find("<value>passthrough"), "<value>emulator</value>");
  CHECK(parse_domain_host(xml)->tpm);
}

TEST_CASE("a host that has no such domains is unsupported, and other bytes are no capabilities") {
  CHECK(code(capabilities("xen", "x86_64")) == Code::unsupported);
  CHECK(code(capabilities("kvm", "aarch64")) == Code::unsupported);
  CHECK(code("<domainCapabilities><domain>kvm</domain><arch>x86_64</arch></domainCapabilities>") == Code::unsupported);
  CHECK(code("<domain/>") == Code::invalid_argument);
  CHECK(code("kvm") == Code::invalid_argument);
}

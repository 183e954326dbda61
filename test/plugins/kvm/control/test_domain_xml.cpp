#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "domain_xml.hpp"
#include "paths.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

namespace {

std::string corpus(const std::string& name) {
  std::ifstream file(std::string(VMSEC_SOURCE_DIR) + "/test/plugins/kvm/control/corpus_domain_xml/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Error refusal(const std::string& xml) {
  const auto parsed = parse_domain_xml(xml);
  REQUIRE_FALSE(parsed);
  return parsed.error();
}

}  // namespace

TEST_CASE("a guest's serial ports are read, with the socket of those that QEMU listens on") {
  const auto parsed = parse_domain_xml(
      "<domain><name>web</name><devices>"
      "<channel type='unix'><source mode='bind' path='/run/web.sock'/><target type='virtio' "
      "name='org.vmsec'/></channel>"
      "<channel type='unix'><target type='virtio' name='off'/></channel>"
      "<channel type='unix'><source mode='connect' path='/run/x'/><target type='virtio' name='connects'/></channel>"
      "<channel type='pty'><target type='virtio' name='pty'/></channel>"
      "<channel type='unix'><source mode='bind' path='/run/y'/><target type='guestfwd' name='other'/></channel>"
      "</devices></domain>");
  REQUIRE(parsed);
  REQUIRE(parsed->channels.size() == 4);
  CHECK(parsed->channels[0].name == "org.vmsec");
  CHECK(parsed->channels[0].socket == "/run/web.sock");
  for (std::size_t i = 1; i < 4; ++i) CHECK(parsed->channels[i].socket.empty());
}

TEST_CASE("a domain's disks, NICs, TPM, memory and tags are read from its XML") {
  const auto parsed = parse_domain_xml(corpus("full.xml"));
  REQUIRE(parsed);
  CHECK(parsed->name == "web-1");
  CHECK(parsed->machine == "pc-i440fx-7.2");
  CHECK(parsed->memory_source == "memfd");
  CHECK(parsed->memory_shared);
  CHECK(parsed->memory_simple);
  CHECK(parsed->tpm);
  REQUIRE(parsed->disks.size() == 3);
  CHECK(parsed->disks[0].target == "vda");
  CHECK(parsed->disks[0].source == "/srv/web.img");
  CHECK(parsed->disks[1].source == "/dev/vg/data");
  CHECK(parsed->disks[2].source.empty());
  REQUIRE(parsed->nics.size() == 2);
  CHECK(parsed->nics[0].target == "tap0");
  CHECK(parsed->nics[0].mac == "52:54:00:aa:bb:cc");
  CHECK(parsed->nics[1].target.empty());
  CHECK(parsed->tags == std::vector<std::string>{"web", "dmz", "gold"});
}

TEST_CASE("tags of another namespace are not ours") {
  const auto parsed = parse_domain_xml(
      "<domain><name>x</name><metadata><v:tags xmlns:v='https://elsewhere.example/'>root</v:tags></metadata></domain>");
  REQUIRE(parsed);
  CHECK(parsed->tags.empty());
}

TEST_CASE("NUMA cells and hot-plugged memory are noticed") {
  const auto numa = parse_domain_xml("<domain><name>x</name><cpu><numa><cell id='0'/></numa></cpu></domain>");
  REQUIRE(numa);
  CHECK_FALSE(numa->memory_simple);
  const auto dimm = parse_domain_xml("<domain><name>x</name><devices><memory model='dimm'/></devices></domain>");
  REQUIRE(dimm);
  CHECK_FALSE(dimm->memory_simple);
}

TEST_CASE("XML that is no domain's is refused, with place and cause") {
  CHECK(refusal("").code == Code::invalid_argument);
  CHECK(refusal("<network/>").message.find("<domain>") != std::string::npos);
  CHECK(refusal("<domain><uuid>1</uuid></domain>").message.find("<name>") != std::string::npos);
  CHECK(refusal("<domain>\n<name>x</domain>").message.find("line 2") != std::string::npos);
  CHECK(refusal(corpus("full.xml").substr(0, 600)).message.find("not well-formed") != std::string::npos);
}

TEST_CASE("a document type is refused: no entity is expanded") {
  CHECK(refusal(corpus("entity.xml")).message.find("document type") != std::string::npos);
}

TEST_CASE("XML beyond the limit is not looked at") {
  CHECK(refusal(std::string(kMaximumDomainXml + 1, ' ')).message.find("limit") != std::string::npos);
}

TEST_CASE("XML that is nested without end is refused") {
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "<domain>";
  CHECK(refusal(deep).code == Code::invalid_argument);
}

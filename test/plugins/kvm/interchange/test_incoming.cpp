#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "definitions.hpp"
#include "domain_policy.hpp"
#include "paths.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("a domain that a definition made may move: another host's policy accepts what libvirt sends of it") {
  std::ifstream file(VMSEC_SOURCE_DIR "/test/plugins/kvm/interchange/corpus_definition_xml/migratable.xml");
  REQUIRE(file);
  std::stringstream xml;
  xml << file.rdbuf();
  const auto policy =
      IncomingPolicy::from_settings({{"incoming.disk_roots", "/srv"}, {"incoming.kernel_roots", "/srv"}});
  REQUIRE(policy);
  const auto out = from_libvirt_xml(xml.str(), test::kHost);
  REQUIRE(out);
  const Status checked = check_domain(*policy, {out->definition.domain, out->definition.name}, xml.str());
  if (!checked) FAIL(checked.error().message);
}

// The calls of Interchange, each by what can be seen of it afterwards.
#include "definitions.hpp"
#include "silence.hpp"

namespace vmsec::conformance {
namespace {

Outcome translation_is_whole(Fixture& fixture) {
  const auto definition = new_definition(fixture);
  CONFORMANCE_TRY(const auto translation, fixture.open_a<Interchange>()->translate(definition));
  CONFORMANCE_EXPECT(translation.text.contains(definition.name), "its text does not name the domain");
  return passed();
}

Outcome export_is_whole(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto exported, fixture.open_a<Interchange>()->export_domain({domain}));
  CONFORMANCE_EXPECT(exported.definition.domain == domain && !exported.text.empty(), "it answers nothing");
  return passed();
}

Outcome define_defines(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
  CONFORMANCE_EXPECT(is_there(fixture, definition.domain), "there is no such domain");
  return passed();
}

Outcome start_starts(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
  CONFORMANCE_CHECK(fixture.open_a<Interchange>()->start({definition.domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({definition.domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "it does not run");
  return passed();
}

Outcome undefine_undefines(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
  CONFORMANCE_CHECK(fixture.open_a<Interchange>()->undefine({definition.domain}));
  CONFORMANCE_EXPECT(!is_there(fixture, definition.domain), "it is still there");
  return passed();
}

}  // namespace

Outcome interchange_calls_act(Fixture& fixture) {
  if (fixture.setup().fresh.disks.size() != 2)
    return {Verdict::unsupported, "no two disks for new domains were given (--new-disk)"};
  return every_call<Interchange>(fixture, {{"Translate", translation_is_whole},
                                           {"Export", export_is_whole},
                                           {"Define", define_defines},
                                           {"Start", start_starts},
                                           {"Undefine", undefine_undefines}});
}

}  // namespace vmsec::conformance

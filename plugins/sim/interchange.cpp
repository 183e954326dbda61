#include "interchange.hpp"

#include "../common/definition.hpp"
#include "definition.hpp"

namespace vmsec::sim {

Result<Translation> SimInterchange::translate(const DomainDefinition& request) {
  VMSEC_CHECK(host_.faults().call("Interchange.Translate"));
  VMSEC_CHECK(common::check_definition(request));
  return to_sim(request);
}

Result<DomainRef> SimInterchange::define(const DefineDomain& request) {
  VMSEC_CHECK(host_.faults().call("Interchange.Define"));
  const std::string what = "define " + request.definition.name;
  const auto translation = to_sim(request.definition);
  if (auto checked = common::check_define(request, translation.losses); !checked) return fail(checked.error().in(what));
  // What was shown as the translation is what is defined.
  VMSEC_TRY(auto spec, parse_domain(translation.text, what));
  VMSEC_CHECK(host_.define_new(std::move(spec)));
  return DomainRef{request.domain};
}

Result<Empty> SimInterchange::start(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("Interchange.Start"));
  VMSEC_CHECK(host_.start(request.domain));
  return Empty{};
}

Result<Empty> SimInterchange::undefine(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("Interchange.Undefine"));
  VMSEC_CHECK(host_.undefine(request.domain));
  return Empty{};
}

Result<ExportedDomain> SimInterchange::export_domain(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("Interchange.Export"));
  VMSEC_TRY(const DomainSpec spec, host_.spec_with_paths(request.domain));
  return from_sim(write_domain(spec));
}

}  // namespace vmsec::sim

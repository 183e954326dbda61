// Any bytes as a peer's stream, at the source and at the destination.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "rpc_filter.hpp"
#include "rpc_source.hpp"

namespace {

using namespace vmsec;
using namespace vmsec::kvm;

const Uuid kUuid = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");

void as_destination(std::string_view bytes) {
  rpc::FilterSetup setup;
  setup.domain = {kUuid, "km-web"};
  setup.configuration = "<domain type='qemu'/>";
  setup.data_uri = "unix:///run/data.sock";
  rpc::DestinationFilter filter(setup);
  rpc::Framer framer;
  framer.add(bytes);
  for (auto message = framer.next(); message && *message; message = framer.next()) {
    const auto step = filter.from_peer(**message);
    // Prepare never passes: its domain has no UUID. So nothing can be held.
    if (step.action == rpc::Action::hold) std::abort();
    if (step.action != rpc::Action::forward) continue;
    rpc::Header reply = (*message)->header;
    reply.type = static_cast<std::uint32_t>(rpc::Type::reply);
    filter.from_libvirt({rpc::encode(reply, {}), reply});
  }
}

void as_source(std::string_view bytes) {
  rpc::SourceCalls calls({kUuid, "km-web"}, "unix:///run/data.sock");
  rpc::Framer framer;
  framer.add(bytes);
  for (auto message = framer.next(); message && *message; message = framer.next()) {
    const auto step = (*message)->header.is(rpc::Type::call) ? calls.from_libvirt(**message)
                                                             : calls.from_peer(**message).value_or(rpc::Step{});
    if (step.action == rpc::Action::hold) calls.proceed();
  }
  calls.peer_lost();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  as_destination(bytes);
  as_source(bytes);
  for (const auto parse : {+[](std::string_view b) { static_cast<void>(rpc::parse_prepare(b)); },
                           +[](std::string_view b) { static_cast<void>(rpc::parse_finish(b)); },
                           +[](std::string_view b) { static_cast<void>(rpc::parse_finish_reply(b)); },
                           +[](std::string_view b) { static_cast<void>(rpc::error_text(b)); }})
    parse(bytes);
  if (const auto call = rpc::parse_prepare(bytes); call && rpc::encode(*call) != bytes) std::abort();
  if (const auto call = rpc::parse_finish(bytes); call && rpc::encode(*call) != bytes) std::abort();
  return 0;
}

// The module that was frozen at ABI 1.0 loads in this version, whatever this version is.
#include "libvmsec/loader/signed.hpp"
#include "loader/module_file.hpp"
#include "paths.hpp"
#include "vmsec/module.hpp"

namespace vmsec::test {
namespace {

const std::string kFolder = std::string(VMSEC_SOURCE_DIR) + "/test/data/frozen/";

// A host that answers the handle 7 to whoever opens DomainControl.
void answer_handle(void*, const vmsec_call* call, vmsec_reply* reply) {
  Packet request = sdk::packet_of(*call);
  const auto open = wire::unpack<OpenHandle>(std::move(request));
  const bool known = call->method == 1 && open && open->interface == "vmsec.DomainControl";
  sdk::answer(*reply, known ? Result<Packet>(wire::pack(HandleReply{7, 1})) : fail(Code::not_found, "unknown"));
}

}  // namespace

TEST_CASE("the frozen module loads by its signature of then, and answers") {
  const Trust trust = trust_in(good(parse_trust_store(slurp(kFolder + "trust.toml"), "trust.toml")));
  const auto file = good(loader::ModuleFile::open(kFolder + "frozen.so", trust));
  CHECK(fs::file_size(kFolder + "frozen.so") < 32768);
  CHECK(file.manifest().name == "frozen");
  CHECK(file.abi_minor() == 0);
  const vmsec_host host{sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, nullptr, answer_handle};
  const auto module = good(loader::start_in_process(file, host, {}));
  CHECK(good(module->call("test.Frozen", 1, Packet{"for ever", {}})).bytes == "for ever");
  const auto handle = good(wire::unpack<HandleReply>(good(module->call("test.Frozen", 2, {}))));
  CHECK(handle.id == 7);
  CHECK(code_of(module->call("test.Frozen", 3, {})) == Code::unsupported);
}

}  // namespace vmsec::test

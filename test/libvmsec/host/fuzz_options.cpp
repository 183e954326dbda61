// Any bytes as vmsecd.toml: an error that begins with the file's name, or options
// whose paths are absolute and whose peers have names.
#include <sys/mman.h>

#include <cstdlib>

#include "channel/address.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/host.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Fd file(::memfd_create("vmsecd.toml", MFD_CLOEXEC));
  if (!file.valid() || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const auto options = read_host_options(path);
  if (!options) {
    if (options.error().message.find(path) == std::string::npos) std::abort();
    return 0;
  }
  for (const auto& each : {options->state_dir, options->identity.key, options->policy_file})
    if (!each.empty() && each.front() != '/') std::abort();
  for (const auto& [name, address] : options->peers) {
    if (name.empty() || address.empty()) std::abort();
    std::ignore = channel::parse_address(address);
  }
  return 0;
}

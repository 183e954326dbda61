// Any bytes as a whole audit log: read and verified without its host, it is good
// only if every record of it reads.
#include <sys/mman.h>

#include <cstdlib>

#include "vmsec/audit.hpp"
#include "vmsec/fd.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Fd file(::memfd_create("audit.log", MFD_CLOEXEC));
  if (!file.valid() || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  AuditFilter all;
  all.kind.reset();
  const auto records = read_audit(path, all);
  const auto report = verify_audit(path, {});
  if (!report) return 0;
  if (report->good() != report->cause.empty()) std::abort();
  // Without a key no checkpoint is good, so a good log has none.
  if (report->good() && (!records || report->checkpoints != 0)) std::abort();
  return 0;
}

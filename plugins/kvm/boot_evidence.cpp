// BootEvidence: the host's TPM and event log, where the operator says they are.
#include <sys/stat.h>

#include <array>

#include "context.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::size_t kLargestLog = 16 << 20;

// The kernel's own log says that its size is 0: it is read until its end.
Result<std::string> read_log(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("open event log " + path));
  std::string log;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read event log " + path));
    if (count == 0) return log;
    log.append(buffer.data(), static_cast<std::size_t>(count));
    if (log.size() > kLargestLog)
      return fail(Code::limit_exceeded, "event log " + path + " exceeds " + std::to_string(kLargestLog) + " bytes");
  }
}

class KvmBootEvidence final : public BootEvidence {
 public:
  explicit KvmBootEvidence(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<HostEvidence> host(const Empty&) override {
    const BackendOptions& options = context_->options;
    if (options.tpm_tcti.empty()) return fail(Code::unsupported, "this host's configuration names no TPM");
    if (options.event_log.empty()) return fail(Code::unsupported, "this host's configuration names no event log");
    HostEvidence out;
    out.tcti = options.tpm_tcti;
    VMSEC_TRY(out.event_log, read_log(options.event_log));
    return out;
  }

 private:
  std::shared_ptr<Context> context_;
};

}  // namespace

Result<std::unique_ptr<BootEvidence>> make_boot_evidence(std::shared_ptr<Context> context) {
  return std::unique_ptr<BootEvidence>(std::make_unique<KvmBootEvidence>(std::move(context)));
}

}  // namespace vmsec::kvm

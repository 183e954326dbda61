#include "boot_evidence.hpp"

#include <fcntl.h>

#include <array>

namespace vmsec::common {
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

class HostBootEvidence final : public BootEvidence {
 public:
  explicit HostBootEvidence(const BackendOptions& options) : tcti_(options.tpm_tcti), event_log_(options.event_log) {}

  Result<HostEvidence> host(const Empty&) override {
    if (tcti_.empty()) return fail(Code::unsupported, "this host's configuration names no TPM");
    if (event_log_.empty()) return fail(Code::unsupported, "this host's configuration names no event log");
    HostEvidence out;
    out.tcti = tcti_;
    VMSEC_TRY(out.event_log, read_log(event_log_));
    return out;
  }

  Result<GuestReply> guest(const GuestRequest& request) override {
    return fail(Code::unsupported,
                "ask guest " + request.domain.text() + ": this hypervisor's guests have no port for attestation here");
  }

 private:
  std::string tcti_;
  std::string event_log_;
};

}  // namespace

std::unique_ptr<BootEvidence> make_boot_evidence(const BackendOptions& options) {
  return std::make_unique<HostBootEvidence>(options);
}

}  // namespace vmsec::common

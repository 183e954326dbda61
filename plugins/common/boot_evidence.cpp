#include "boot_evidence.hpp"

#include <fcntl.h>

#include <array>

namespace vmsec::common {
namespace {

constexpr std::size_t kLargestLog = 16 << 20;

// The kernel's own log says that its size is 0: it is read until its end.
Result<std::string> read_log(const std::string& what, const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("open " + what + " " + path));
  std::string log;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read " + what + " " + path));
    if (count == 0) return log;
    log.append(buffer.data(), static_cast<std::size_t>(count));
    if (log.size() > kLargestLog)
      return fail(Code::limit_exceeded, what + " " + path + " exceeds " + std::to_string(kLargestLog) + " bytes");
  }
}

class HostBootEvidence final : public BootEvidence {
 public:
  explicit HostBootEvidence(const BackendOptions& options)
      : tcti_(options.tpm_tcti),
        event_log_(options.event_log),
        ima_list_(options.ima_list),
        module_log_(options.module_log) {}

  Result<HostEvidence> host(const Empty&) override {
    if (tcti_.empty()) return fail(Code::unsupported, "this host's configuration names no TPM");
    if (event_log_.empty()) return fail(Code::unsupported, "this host's configuration names no event log");
    HostEvidence out;
    out.tcti = tcti_;
    VMSEC_TRY(out.event_log, read_log("event log", event_log_));
    if (!ima_list_.empty()) {
      VMSEC_TRY(out.ima_list, read_log("IMA list", ima_list_));
    }
    if (!module_log_.empty()) {
      VMSEC_TRY(out.module_log, read_log("module log", module_log_));
    }
    return out;
  }

  Result<GuestReply> guest(const GuestRequest& request) override {
    return fail(Code::unsupported,
                "ask guest " + request.domain.text() + ": this hypervisor's guests have no port for attestation here");
  }

 private:
  std::string tcti_;
  std::string event_log_;
  std::string ima_list_;
  std::string module_log_;
};

}  // namespace

std::unique_ptr<BootEvidence> make_boot_evidence(const BackendOptions& options) {
  return std::make_unique<HostBootEvidence>(options);
}

}  // namespace vmsec::common

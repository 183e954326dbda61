#include "worker/loading.hpp"

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vmsec::worker {
namespace {

constexpr std::size_t kLargest = 1024;  // of a question or answer of the kernel's: they grow

}  // namespace

Result<Loading> Loading::begin(Fd listener) {
  seccomp_notif_sizes sizes{};
  if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0)
    return fail(errno_error("seccomp: what a listener is asked", errno, Code::unavailable));
  if (sizes.seccomp_notif > kLargest || sizes.seccomp_notif_resp > kLargest)
    return fail(Code::unavailable, "seccomp: what a listener is asked is larger than any that is known");
  // Of a question that was never asked: so only whether it is a listener is learned.
  std::uint64_t none = 0;
  if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &none) != 0 && errno != ENOENT)
    return fail(errno_error("seccomp: the worker's listener", errno, Code::unavailable));
  return Loading(std::move(listener));
}

void Loading::answer() {
  alignas(seccomp_notif) std::array<char, kLargest> question{};
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, question.data()) != 0) {
    // ENOENT: whoever asked has ended.
    if (errno != ENOENT && errno != EINTR) end();
    return;
  }
  seccomp_notif asked{};
  std::memcpy(&asked, question.data(), sizeof asked);
  seccomp_notif_resp yes{};
  yes.id = asked.id;
  yes.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  alignas(seccomp_notif_resp) std::array<char, kLargest> told{};
  std::memcpy(told.data(), &yes, sizeof yes);
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, told.data()) != 0 && errno != ENOENT) end();
}

}  // namespace vmsec::worker

#include "suspend_request.hpp"

extern "C" {
#include <xenstore.h>
}

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "vmsec/fd.hpp"

namespace vmsec::xen {
namespace {

struct CloseStore {
  void operator()(xs_handle* store) const { ::xs_close(store); }
};
struct Free {
  void operator()(char* memory) const { ::free(memory); }
};
using Store = std::unique_ptr<xs_handle, CloseStore>;

enum class Try { done, again };

// One transaction: the guest clears the request as it takes it, and must not find ours in its place.
Result<Try> withdraw(xs_handle* store, const std::string& path, const std::string& operation) {
  const xs_transaction_t transaction = ::xs_transaction_start(store);
  if (transaction == XBT_NULL) return fail(errno_error(operation + ": ask xenstored", errno, Code::unavailable));
  unsigned length = 0;
  const std::unique_ptr<char, Free> asked(static_cast<char*>(::xs_read(store, transaction, path.c_str(), &length)));
  const bool stands = asked && std::string_view(asked.get(), length) == "suspend";
  const bool written = stands && ::xs_write(store, transaction, path.c_str(), "", 0);
  const int cause = errno;
  if (::xs_transaction_end(store, transaction, !written)) {
    if (!stands || written) return Try::done;
    return fail(errno_error(operation + ": withdraw the request to suspend", cause, Code::unavailable));
  }
  if (errno == EAGAIN) return Try::again;
  return fail(errno_error(operation + ": withdraw the request to suspend", errno, Code::unavailable));
}

}  // namespace

Status withdraw_suspend(std::uint32_t domid, const std::string& operation) {
  const Store store(::xs_open(0));
  if (!store) return fail(errno_error(operation + ": reach xenstored", errno, Code::unavailable));
  const std::string path = "/local/domain/" + std::to_string(domid) + "/control/shutdown";
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    VMSEC_TRY(const Try answer, withdraw(store.get(), path, operation));
    if (answer == Try::done) return {};
  }
  return fail(Code::unavailable, operation + ": xenstored is too busy to withdraw the request to suspend");
}

}  // namespace vmsec::xen

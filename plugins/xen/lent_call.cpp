#include "lent_call.hpp"

#include <fcntl.h>

#include "vmsec/fd.hpp"

namespace vmsec::xen {

Status start_lent_call(const std::shared_ptr<Context>& context, const Uuid& domain, const std::string& operation,
                       int channel, std::function<Status(Libxl&, int)> work, std::function<void(Status)> done) {
  auto fd = std::make_shared<Fd>(::fcntl(channel, F_DUPFD_CLOEXEC, 0));
  if (!fd->valid()) return fail(errno_error("duplicate the main channel"));
  context->lent.lend(domain);
  Status started = context->toolstack->start(
      operation, [context, domain, fd, work = std::move(work), done = std::move(done)](const Result<Libxl*>& libxl) {
        Status answer = libxl ? work(**libxl, fd->get()) : Status(fail(libxl.error()));
        fd->reset();
        context->lent.come_back(domain);
        done(std::move(answer));
      });
  if (!started) context->lent.come_back(domain);
  return started;
}

}  // namespace vmsec::xen

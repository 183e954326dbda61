// A call of libxl that has a domain for as long as it lasts, and a channel to send or receive it through.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "context.hpp"

namespace vmsec::xen {

// `work` runs on libxl's thread, with a descriptor of its own, and may never come back: what it and `done` touch lives
// as long as they do. `done` hears its answer, when the domain is not lent any more. An error: neither is called.
Status start_lent_call(const std::shared_ptr<Context>& context, const Uuid& domain, const std::string& operation,
                       int channel, std::function<Status(Libxl&, int)> work, std::function<void(Status)> done);

}  // namespace vmsec::xen

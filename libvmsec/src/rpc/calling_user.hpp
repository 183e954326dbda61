// Whose call a thread answers: the user at the socket's other end, as the kernel says.
#pragma once

#include <sys/types.h>

#include <optional>

#include "vmsec/export.hpp"

namespace vmsec::rpc {

// For as long as it lives, current() of this thread answers this user. Not nested.
class VMSEC_EXPORT CallingUser {
 public:
  explicit CallingUser(uid_t user);
  ~CallingUser();
  CallingUser(const CallingUser&) = delete;
  CallingUser& operator=(const CallingUser&) = delete;

  // Nothing: the call came from within this process.
  static std::optional<uid_t> current();
};

}  // namespace vmsec::rpc

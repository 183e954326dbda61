// What a worker may do only while its module is loaded: open the object, map its code,
// close the second stage of its filter. The kernel asks here, and the host answers yes,
// until it ends this: then no thread of that process can do any of it, whatever code runs
// there. The module's constructors are its code: it could put off what the worker would
// do after them.
#pragma once

#include "vmsec/fd.hpp"

namespace vmsec::worker {

class Loading {
 public:
  Loading() = default;
  // `unavailable`: that is no listener of a filter.
  static Result<Loading> begin(Fd listener);

  [[nodiscard]] bool goes_on() const { return listener_.valid(); }
  [[nodiscard]] const Fd& fd() const { return listener_; }  // readable: answer()
  void answer();
  void end() { listener_.reset(); }

 private:
  explicit Loading(Fd listener) : listener_(std::move(listener)) {}
  Fd listener_;
};

}  // namespace vmsec::worker

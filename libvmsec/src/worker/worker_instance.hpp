// A module's instance in a process of its own, which is started again when it ends.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "loader/module_file.hpp"
#include "vmsec/host.hpp"

namespace vmsec::worker {

// What the host does about the ends of a module's process. Called from a thread of the
// instance's, one at a time; never after its destructor.
struct WorkerHooks {
  // What the sandbox refused: text for the log. Now and then, not each time.
  std::function<void(const std::string&)> refused = {};
  // It has ended, or did not begin. Calls of its may still be served here: what they wait
  // for is ended now, so that they return.
  std::function<void(const std::string& cause)> ended = {};
  // None of its calls is served any more, and the next instance has not begun: what it
  // held is let go.
  std::function<void()> release = {};
};

struct WorkerOptions {
  std::string program;  // vmsec-worker; empty: the one beside libvmsec
  WorkerBudget budget;
  WorkerHooks hooks;
};

// Starts the process, loads the file's object into it and makes its instance. Each part
// of the sandbox that cannot be had is an error (`unavailable`), and so is what create()
// answers; later ends are not: while there is no instance, calls answer `unavailable` with
// the cause and the time of the next attempt. `file` and what `host` points to outlive
// the instance. The calls of its module are served in the threads that call it.
VMSEC_EXPORT Result<std::unique_ptr<loader::ModuleInstance>> start_in_worker(const loader::ModuleFile& file,
                                                                             const vmsec_host& host,
                                                                             const Settings& settings,
                                                                             WorkerOptions options);

// How long to wait before the next attempt: 100 ms, doubled with each end up to 30 s;
// from the beginning again after a life of a minute.
class VMSEC_EXPORT BackOff {
 public:
  Microseconds next(Microseconds lived);
  void reset() { pause_ = {}; }

 private:
  Microseconds pause_{};
};

}  // namespace vmsec::worker

// The module's side of the lines: serves the host's calls, carries the module's own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "vmsec/abi.h"
#include "vmsec/fd.hpp"
#include "worker/line.hpp"

namespace vmsec::worker {

class Link {
 public:
  static constexpr std::size_t kOwnLines = 64;

  Link(const Fd& control, const vmsec_module& entry) : control_(control), entry_(entry) {}

  // Reads the control socket until the host closes it.
  void serve();

 private:
  void add_line(Fd socket);
  void serve_line(Line& line);
  Message answer(Message request);
  Message create(const Message& request);
  Message destroy();

  static void call_host(void* context, const vmsec_call* call, vmsec_reply* reply);
  Result<Message> ask(Frame frame, const std::vector<Fd>& fds);
  Line* borrow();
  void give_back(Line* line);

  const Fd& control_;
  const vmsec_module& entry_;
  vmsec_host host_{};
  void* instance_ = nullptr;

  // Lines on which the module's own threads call: made as they are needed.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Line>> own_;
  std::vector<Line*> free_;
  std::size_t asked_ = 0;
};

}  // namespace vmsec::worker

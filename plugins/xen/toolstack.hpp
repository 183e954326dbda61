// Every call of libxl: on a thread of its own, with a time limit, because a call in which xenstored
// or a guest does not answer never comes back, and cannot be called off.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "libxl.hpp"

namespace vmsec::xen {

// Any thread may call at any time; calls run side by side, each with a context of its own.
class Toolstack {
 public:
  static constexpr std::chrono::seconds kUsual{20};

  // `unsupported` where this is no Xen dom0, `unavailable` where xenstored does not answer.
  static Result<std::shared_ptr<Toolstack>> open();
  ~Toolstack();
  Toolstack(const Toolstack&) = delete;
  Toolstack& operator=(const Toolstack&) = delete;

  // What `work` returns; `timeout` when it has not come back within `limit`. It then goes on, alone:
  // `work` owns, by value, all that it touches. `unavailable` where xenstored does not answer at all.
  template <class Work>
  auto call(const std::string& operation, Work work, std::chrono::seconds limit = kUsual)
      -> std::invoke_result_t<Work, Libxl&> {
    using Answer = std::invoke_result_t<Work, Libxl&>;
    auto promise = std::make_shared<std::promise<Answer>>();
    auto answer = promise->get_future();
    VMSEC_CHECK(run(operation, [promise, operation, work = std::move(work)](const Result<Libxl*>& libxl) mutable {
      promise->set_value(libxl ? guarded(operation, work, **libxl) : Answer(fail(libxl.error().in(operation))));
    }));
    if (answer.wait_for(limit) == std::future_status::ready) return answer.get();
    return fail(Code::timeout, operation + ": libxl has not come back in " + std::to_string(limit.count()) + " s");
  }

  // The same without an answer or a limit: for what lasts as long as a guest is large. Runs no later than
  // this returns success; `work` tells on its own when it is done.
  template <class Work>
  Status start(const std::string& operation, Work work) {
    VMSEC_TRY(auto place, take_place(operation));
    return run(operation, [place = std::move(place), work = std::move(work)](const Result<Libxl*>& libxl) mutable {
      work(libxl);
      place.reset();
    });
  }

 private:
  // On a thread of our own, nobody above catches.
  template <class Work>
  static auto guarded(const std::string& operation, Work& work, Libxl& libxl) -> std::invoke_result_t<Work, Libxl&> {
    try {
      return work(libxl);
    } catch (const std::exception& exception) {
      return fail(Code::internal, operation + ": " + exception.what());
    }
  }

  struct State;
  struct Worker;
  using Job = std::function<void(const Result<Libxl*>&)>;
  explicit Toolstack(std::shared_ptr<State> state);
  Status run(const std::string& operation, Job job);
  // Of those for what lasts: they leave enough workers for short calls. Given back when it is dropped.
  Result<std::shared_ptr<void>> take_place(const std::string& operation);
  static void work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& worker);

  std::shared_ptr<State> state_;
};

}  // namespace vmsec::xen

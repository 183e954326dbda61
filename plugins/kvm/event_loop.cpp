#include "event_loop.hpp"

#include <pthread.h>

#include <csignal>
#include <thread>

#include "virt_error.hpp"

namespace vmsec::kvm {
namespace {

// Libvirt prints every error to stderr unless it is told not to; ours are returned.
void silent(void* /*user*/, virErrorPtr /*error*/) {}

void ignore_timer(int /*timer*/, void* /*opaque*/) {}

void run() {
  // Signals belong to the program's own threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "vmsec-libvirt");
  for (;;) {
    if (virEventRunDefaultImpl() < 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Libvirt writes to its daemon's socket without MSG_NOSIGNAL: a daemon that dies
// would end this process too. A disposition that the program chose itself stays.
void outlive_broken_pipes() {
  struct sigaction now{};
  if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
}

Status start() {
  outlive_broken_pipes();
  virSetErrorFunc(nullptr, silent);
  if (virInitialize() < 0) return fail(virt_error("initialise libvirt"));
  if (virEventRegisterDefaultImpl() < 0) return fail(virt_error("register libvirt's event loop"));
  // Without any timer the loop sleeps until the next descriptor is added, which
  // races with adding the first one: a slow tick bounds that.
  if (virEventAddTimeout(1000, ignore_timer, nullptr, nullptr) < 0)
    return fail(virt_error("add a timer to libvirt's event loop"));
  std::thread(run).detach();
  return {};
}

}  // namespace

Status start_event_loop() {
  static const Status kStarted = start();
  return kStarted;
}

}  // namespace vmsec::kvm

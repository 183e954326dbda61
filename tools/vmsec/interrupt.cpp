#include "interrupt.hpp"

#include <csignal>

namespace vmsec::cli {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

void note(int) { interrupt_seen = 1; }

}  // namespace

void watch_interrupt() {
  struct sigaction action{};
  action.sa_handler = note;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_seen != 0; }

}  // namespace vmsec::cli

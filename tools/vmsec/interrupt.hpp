// Ctrl-C while a command waits: it ends in order instead of dying.
#pragma once

namespace vmsec::cli {

// SIGINT and SIGTERM set a flag from now on. Waits of the caller must be short ones.
void watch_interrupt();
bool interrupted();

}  // namespace vmsec::cli

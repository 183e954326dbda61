// What a worker takes from itself before any byte of the module is mapped, each step
// an error where it cannot be had. In the order in which they are called.
#pragma once

#include <string_view>

#include "vmsec/fd.hpp"
#include "worker/messages.hpp"

namespace vmsec::worker {

inline constexpr const char* kObjectPath = "/module.so";  // in the new root

// Whatever else was left open: closed.
Status keep_only(int control, int object, int notes);
// An empty, read-only root that holds the object's bytes and nothing else.
Status enter_empty_root(const Fd& object);
// Another user, no capability, never again any privilege, no core dump, no tracing; dies with its host.
Status drop_privileges(const Setup& setup);
// The host still holds its end: where it had ended before this process asked to end with it, nobody else
// would end what the module's constructors begin.
Status check_host(const Fd& control);
// Budgets that the kernel keeps.
Status set_limits(const Setup& setup);
// Nothing of any file system but the object, read and executed.
Status close_file_systems();

// What the module may ask of the kernel: while it is loaded, and from then on. Loading's
// own calls the kernel asks about at the descriptor that is answered (seccomp_unotify(2)):
// whoever closes the last one ends them, whether the second stage ever comes or not.
enum class Stage { loading, loaded };
Result<Fd> filter_calls(Stage stage);
// Says by `notes` which call was refused, or ended the process; and an abort.
struct Notes;
Status watch_signals(Notes& notes);

}  // namespace vmsec::worker

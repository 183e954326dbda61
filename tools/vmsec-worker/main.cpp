// vmsec-worker: runs one module, in a process of its own, for a host that started it
// (libvmsec/src/worker). Not for people: it speaks on descriptor 3 and takes no arguments.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>

#include "link.hpp"
#include "object.hpp"
#include "sandbox.hpp"
#include "vmsec/service/error_reply.hpp"
#include "worker/notes.hpp"

namespace vmsec::worker {
namespace {

constexpr int kControl = 3;

struct Beginning {
  Setup setup;
  Fd object;
  Fd notes;
};

Result<Beginning> receive_setup(const Fd& control) {
  VMSEC_TRY(Message message, receive_control(control, Descriptors::taken));
  if (message.frame.kind != FrameKind::setup || message.fds.size() != 2)
    return fail(Code::invalid_argument, "begin: that is no setup");
  VMSEC_TRY(Setup setup, wire::decode<Setup>(message.frame.payload));
  return Beginning{std::move(setup), std::move(message.fds[0]), std::move(message.fds[1])};
}

Result<Notes*> map_notes(const Fd& file) {
  void* page = ::mmap(nullptr, kNotesSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (page == MAP_FAILED) return fail(errno_error("map the notes", errno, Code::unavailable));
  return static_cast<Notes*>(page);
}

// From here on the host decides how long there is anything to load: no end of it stays here.
Status hand_over(const Fd& control, Result<Fd> listener) {
  if (!listener) return fail(listener.error());
  Frame frame;
  frame.kind = FrameKind::loading;
  std::vector<Fd> fds;
  fds.push_back(std::move(*listener));
  return send_control(control, std::move(frame), fds);
}

// From the first line on less and less is possible; the module's code comes last.
Result<const vmsec_module*> begin(const Fd& control) {
  VMSEC_TRY(Beginning beginning, receive_setup(control));
  // So that ps(1) tells workers apart.
  ::prctl(PR_SET_NAME, beginning.setup.name.c_str(), 0, 0, 0);
  VMSEC_CHECK(keep_only(kControl, beginning.object.get(), beginning.notes.get()));
  VMSEC_TRY(Notes * notes, map_notes(beginning.notes));
  beginning.notes.reset();
  VMSEC_CHECK(load_libraries(beginning.setup.libraries));
  VMSEC_CHECK(enter_empty_root(beginning.object));
  beginning.object.reset();
  VMSEC_CHECK(drop_privileges(beginning.setup));
  VMSEC_CHECK(close_file_systems());
  VMSEC_CHECK(set_limits(beginning.setup));
  VMSEC_CHECK(watch_signals(*notes));
  VMSEC_CHECK(hand_over(control, filter_calls(Stage::loading)));
  VMSEC_CHECK(check_host(control));
  VMSEC_TRY(const vmsec_module* entry, load_object());
  VMSEC_TRY(const Fd none, filter_calls(Stage::loaded));
  return entry;
}

Status say_ready(const Fd& control, const Status& begun) {
  Frame frame;
  frame.kind = FrameKind::ready;
  if (!begun) {
    frame.code = static_cast<std::uint32_t>(begun.error().code);
    frame.payload = wire::encode(ErrorReply::from(begun.error()));
  }
  return send_control(control, std::move(frame));
}

int run() {
  const Fd control(kControl);
  const auto entry = begin(control);
  const Status said = say_ready(control, entry ? Status() : Status(fail(entry.error())));
  if (!entry || !said) return static_cast<int>(WorkerExit::no_host);
  Link link(control, **entry);
  link.serve();
  ::_exit(static_cast<int>(WorkerExit::in_order));
}

}  // namespace
}  // namespace vmsec::worker

int main(int argc, char**) {
  if (argc != 1 || ::getpid() != 1) {
    std::fputs("vmsec-worker: runs one module for a host that starts it; there is nothing to start by hand\n", stderr);
    return 2;
  }
  // Given a number, malloc does not look for the CPUs in /sys, which no process here may open.
  ::mallopt(M_ARENA_MAX, 8);
  try {
    return vmsec::worker::run();
  } catch (const std::exception&) {
    return static_cast<int>(vmsec::worker::WorkerExit::no_host);
  }
}

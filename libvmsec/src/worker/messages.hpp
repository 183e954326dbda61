// What the host and a module's process say to each other (proto/vmsec/worker.proto).
//
// Two kinds of sockets. On a *line* one side calls and the other answers, in turn;
// while it waits for the answer, the caller of a host's call serves the calls that
// the module makes for it, on the same line. The *control* socket carries what is
// about the process: its setup, its lines.
#pragma once

#include <string>
#include <vector>

#include "vmsec/wire.hpp"

namespace vmsec::worker {

enum class FrameKind : std::uint32_t {
  unknown = 0,
  // Lines.
  call = 1,     // host to module: interface, method, payload; module to host: handle, method, payload
  reply = 2,    // code (0: payload is the answer, else a vmsec.ErrorReply), payload
  create = 3,   // host to module: payload is a vmsec.Settings
  destroy = 4,  // host to module
  // Control.
  setup = 10,      // host to worker: payload is a Setup; descriptors: the object, the notes
  ready = 11,      // worker to host: code and ErrorReply as in a reply
  line = 12,       // host to worker: a line on which the host calls; its descriptor
  want_line = 13,  // worker to host
  own_line = 14,   // host to worker: a line on which the module calls; its descriptor
  loading = 15,    // worker to host: by its descriptor, what only loading needs is asked for (Loading)
};

struct Frame {
  FrameKind kind = FrameKind::unknown;
  std::string interface;
  std::uint64_t handle = 0;
  std::uint32_t method = 0;
  std::uint32_t code = 0;
  std::uint32_t descriptors = 0;  // how many come along
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.worker.Frame";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "kind", &Frame::kind), wire::field(2, "interface", &Frame::interface),
                        wire::field(3, "handle", &Frame::handle), wire::field(4, "method", &Frame::method),
                        wire::field(5, "code", &Frame::code), wire::field(6, "descriptors", &Frame::descriptors),
                        wire::field(7, "payload", &Frame::payload));
  }
};

// What a worker is told before it closes its sandbox around itself.
struct Setup {
  std::string name;
  std::vector<std::string> libraries;  // that the object links: loaded before the sandbox closes
  std::uint64_t memory = 0;            // bytes
  std::uint32_t descriptors = 0;
  std::uint32_t threads = 0;
  std::uint32_t user = 0;  // to become; 0: none, it is in a user namespace of its own
  static constexpr std::string_view kMessage = "vmsec.worker.Setup";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "name", &Setup::name), wire::field(2, "libraries", &Setup::libraries),
                        wire::field(3, "memory", &Setup::memory), wire::field(4, "descriptors", &Setup::descriptors),
                        wire::field(5, "threads", &Setup::threads), wire::field(6, "user", &Setup::user));
  }
};

}  // namespace vmsec::worker

// The guest's end of the serial port that reaches the host.
#pragma once

#include <functional>
#include <string>

#include "vmsec/fd.hpp"

namespace vmsec::guest {

// The device of the port of that name, from sysfs: without udev there is no /dev/virtio-ports. `not_found` where the
// guest has no such port (yet).
Result<std::string> find_port(std::string_view name, const std::string& ports = "/sys/class/virtio-ports");
Result<Fd> open_port(const std::string& path);

// What to do when nobody is at the other end: a virtio port will have another host process there, a socket will not.
enum class Hangup { wait, end };

// Answers one request after another, until `done` says so after one, or the other end has gone for good.
// `answer` is given a frame's payload.
Status serve(const Fd& port, Hangup hangup, const std::function<std::string(std::string_view)>& answer,
             const std::function<bool()>& done);

}  // namespace vmsec::guest

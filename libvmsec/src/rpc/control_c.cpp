// libvmsec's C API (vmsec/control.h): connect_agent() for programs in other languages.
#include <algorithm>
#include <cstring>

#include "vmsec/control.h"
#include "vmsec/control.hpp"
#include "vmsec/module.hpp"

struct vmsec_control {
  std::shared_ptr<vmsec::Control> control;
};

static_assert(sizeof(vmsec_call) == VMSEC_CONTROL_CALL_SIZE, "structs only grow: the first release's size stays");
static_assert(sizeof(vmsec_reply) == VMSEC_CONTROL_REPLY_SIZE);

namespace {

using namespace vmsec;

// As much as the caller's struct has room for: it may be of an older release.
void put(vmsec_reply* reply, const vmsec_reply& value) {
  const std::uint32_t size = std::min<std::uint32_t>(reply->size, sizeof value);
  std::memcpy(reply, &value, size);
  reply->size = size;
}

void release(vmsec_reply* reply) {
  delete static_cast<sdk::ReplyOwner*>(reply->owner);
  put(reply, vmsec_reply{});
}

bool has_room(const vmsec_reply* reply) { return reply != nullptr && reply->size >= VMSEC_CONTROL_REPLY_SIZE; }

void answer(vmsec_reply* reply, Result<Packet> result) {
  vmsec_reply whole{};
  sdk::answer(whole, std::move(result));
  whole.release = release;
  put(reply, whole);
}

// The one guard: no exception leaves for a caller in another language.
template <class Function>
void guarded(vmsec_reply* reply, const char* what, Function&& function) {
  try {
    answer(reply, function());
  } catch (const std::exception& error) {
    answer(reply, fail(Code::internal, std::string(what) + ": " + error.what()));
  }
}

Result<Packet> call_through(vmsec_control* control, const vmsec_call* call) {
  if (control == nullptr || call == nullptr) return fail(Code::invalid_argument, "call: no control, or no call");
  if (call->size < VMSEC_CONTROL_CALL_SIZE)
    return fail(Code::invalid_argument, "call: its struct has " + std::to_string(call->size) + " bytes: want " +
                                            std::to_string(VMSEC_CONTROL_CALL_SIZE) + " or more");
  Packet request = sdk::packet_of(*call);
  if (call->interface_name == nullptr || call->interface_name_size == 0)
    return fail(Code::invalid_argument, "call: it names no interface");
  const std::string interface(call->interface_name, call->interface_name_size);
  return control->control->call(interface, call->method, std::move(request));
}

}  // namespace

std::uint32_t vmsec_control_version() { return VMSEC_ABI_MAJOR << 16 | VMSEC_ABI_MINOR; }

void vmsec_control_connect(const char* socket_path, vmsec_control** control, vmsec_reply* reply) {
  if (control != nullptr) *control = nullptr;
  if (!has_room(reply)) return;
  guarded(reply, "connect", [&]() -> Result<Packet> {
    if (control == nullptr || socket_path == nullptr)
      return fail(Code::invalid_argument, "connect: no socket, or no place for the control");
    VMSEC_TRY(auto connected, connect_agent(socket_path));
    *control = new vmsec_control{std::move(connected)};
    return Packet{};
  });
}

void vmsec_control_call(vmsec_control* control, const vmsec_call* call, vmsec_reply* reply) {
  if (!has_room(reply)) return;
  guarded(reply, "call", [&] { return call_through(control, call); });
}

void vmsec_control_close(vmsec_control* control) { delete control; }

std::size_t vmsec_control_error(const vmsec_reply* reply, char* buffer, std::size_t size) {
  if (size != 0) buffer[0] = '\0';
  if (!has_room(reply) || reply->code == 0) return 0;
  const auto error =
      wire::decode<ErrorReply>(std::string_view(static_cast<const char*>(reply->data), reply->data_size));
  const std::string text = error ? error->message : "an error whose text does not decode";
  if (size == 0) return text.size();
  const std::size_t kept = std::min(text.size(), size - 1);
  std::memcpy(buffer, text.data(), kept);
  buffer[kept] = '\0';
  return text.size();
}

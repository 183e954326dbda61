// The SDK: a module in C++ over abi.h. Header-only; a module links nothing of libvmsec.
//
//   class Greeter : public vmsec::Enforcement { ... };   // interfaces that it provides
//
//   VMSEC_MODULE(Greeter, R"(
//     name = "greeter"
//     version = "1.0"
//     summary = "Says hello"
//     section = "greeter"                     # of the policy, for Enforcement
//     provides = ["vmsec.Enforcement"]
//     needs = ["vmsec.DomainControl"]         # granted per domain by the policy
//     asks = []                               # interfaces of other modules
//   )");
//
// The class has a static function create(vmsec::HostLink, const vmsec::Settings&)
// that answers Result<std::unique_ptr<Greeter>>, and endpoint(name), which
// answers the Endpoint of each interface that the manifest provides.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vmsec/abi.h"
#include "vmsec/interface.hpp"
#include "vmsec/service/error_reply.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::sdk {

// A reply's memory and descriptors, until release().
struct ReplyOwner {
  Packet packet;
  std::vector<std::int32_t> numbers;
};

inline void release_reply(vmsec_reply* reply) {
  delete static_cast<ReplyOwner*>(reply->owner);
  *reply = vmsec_reply{};
}

// Fills a reply. The descriptors' numbers pass to the receiver.
inline void answer(vmsec_reply& reply, Result<Packet> result) {
  auto owner = std::make_unique<ReplyOwner>();
  reply = vmsec_reply{};
  reply.size = sizeof(vmsec_reply);
  if (result) {
    owner->packet = std::move(*result);
  } else {
    reply.code = static_cast<std::uint32_t>(result.error().code);
    owner->packet.bytes = wire::encode(ErrorReply::from(result.error()));
  }
  for (auto& fd : owner->packet.fds) owner->numbers.push_back(fd.release());
  reply.data = owner->packet.bytes.data();
  reply.data_size = owner->packet.bytes.size();
  reply.fds = owner->numbers.data();
  reply.fd_count = owner->numbers.size();
  reply.release = release_reply;
  reply.owner = owner.release();
}

inline Packet packet_of(const vmsec_call& call) {
  Packet packet{std::string(static_cast<const char*>(call.data), call.data_size), {}};
  for (std::size_t i = 0; i < call.fd_count; ++i) packet.fds.emplace_back(call.fds[i]);
  return packet;
}

// Takes a reply apart and releases it.
inline Result<Packet> result_of(vmsec_reply& reply) {
  Packet packet{std::string(static_cast<const char*>(reply.data), reply.data_size), {}};
  for (std::size_t i = 0; i < reply.fd_count; ++i) packet.fds.emplace_back(reply.fds[i]);
  const std::uint32_t code = reply.code;
  if (reply.release != nullptr) reply.release(&reply);
  if (code == 0) return packet;
  auto error = wire::decode<ErrorReply>(packet.bytes);
  if (!error) return fail(static_cast<Code>(code), "an error whose text does not decode");
  return fail(error->error());
}

// Makes one call through a vmsec_call_function.
inline Result<Packet> call_through(vmsec_call_function function, void* context, std::string_view interface_name,
                                   std::uint64_t handle, std::uint32_t method, Packet request) {
  std::vector<std::int32_t> numbers;
  for (auto& fd : request.fds) numbers.push_back(fd.release());
  vmsec_call call{};
  call.size = sizeof call;
  call.method = method;
  call.handle = handle;
  call.interface_name = interface_name.data();
  call.interface_name_size = interface_name.size();
  call.data = request.bytes.data();
  call.data_size = request.bytes.size();
  call.fds = numbers.data();
  call.fd_count = numbers.size();
  vmsec_reply reply{};
  reply.size = sizeof reply;
  function(context, &call, &reply);
  return result_of(reply);
}

}  // namespace vmsec::sdk

namespace vmsec {

struct OpenHandle {
  std::string interface;
  static constexpr std::string_view kMessage = "vmsec.OpenHandle";
  static constexpr auto fields() { return wire::fields(wire::field(1, "interface", &OpenHandle::interface)); }
};

struct HandleReply {
  std::uint32_t id = 0;
  std::uint32_t generation = 0;
  static constexpr std::string_view kMessage = "vmsec.HandleReply";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "id", &HandleReply::id), wire::field(2, "generation", &HandleReply::generation));
  }
};

// A module's way to the host. Copyable; any thread.
class HostLink {
 public:
  explicit HostLink(const vmsec_host& host) : host_(host) {}

  // The face of an interface that the manifest needs. `denied` for any other.
  // Each call on it may answer denied, revoked or unavailable.
  template <class I>
  Result<std::unique_ptr<I>> open() const {
    OpenHandle request{std::string(Methods<I>::kName)};
    VMSEC_TRY(Packet reply, sdk::call_through(host_.call, host_.context, {}, 0, 1, wire::pack(request)));
    VMSEC_TRY(HandleReply handle, wire::unpack<HandleReply>(std::move(reply)));
    return std::unique_ptr<I>(std::make_unique<Proxy<I>>(
        std::make_shared<HandleTransport>(host_, (static_cast<std::uint64_t>(handle.id) << 32) | handle.generation)));
  }

 private:
  class HandleTransport final : public Transport {
   public:
    HandleTransport(const vmsec_host& host, std::uint64_t handle) : host_(host), handle_(handle) {}
    Result<Packet> call(std::uint32_t method, Packet request) override {
      return sdk::call_through(host_.call, host_.context, {}, handle_, method, std::move(request));
    }

   private:
    vmsec_host host_;
    std::uint64_t handle_;
  };

  vmsec_host host_;
};

namespace sdk {

// The C functions of a module whose class is M. The one guard against exceptions.
template <class M>
struct Glue {
  static void create(const vmsec_host* host, const void* configuration, std::size_t size, void** instance,
                     vmsec_reply* reply) {
    *instance = nullptr;
    answer(*reply, guarded([&]() -> Result<Packet> {
      VMSEC_TRY(Settings settings,
                wire::decode<Settings>(std::string_view(static_cast<const char*>(configuration), size)));
      VMSEC_TRY(std::unique_ptr<M> module, M::create(HostLink(*host), settings));
      *instance = module.release();
      return Packet{};
    }));
  }

  static void call(void* instance, const vmsec_call* call, vmsec_reply* reply) {
    const std::string_view name(call->interface_name, call->interface_name_size);
    Packet request = packet_of(*call);
    answer(*reply, guarded([&]() -> Result<Packet> {
      VMSEC_TRY(Endpoint * endpoint, static_cast<M*>(instance)->endpoint(name));
      return endpoint->call(call->method, std::move(request));
    }));
  }

  static void destroy(void* instance) { delete static_cast<M*>(instance); }

 private:
  template <class Function>
  static Result<Packet> guarded(Function&& function) {
    try {
      return function();
    } catch (const std::exception& error) {
      return fail(Code::internal, std::string("the module threw: ") + error.what());
    } catch (...) {
      return fail(Code::internal, "the module threw something that is no exception");
    }
  }
};

}  // namespace sdk
}  // namespace vmsec

#define VMSEC_MODULE(module_class, manifest_text)                                             \
  VMSEC_ABI_NOTE;                                                                             \
  VMSEC_MANIFEST(manifest_text);                                                              \
  extern "C" __attribute__((visibility("default"))) const vmsec_module vmsec_module_entry;    \
  extern "C" const vmsec_module vmsec_module_entry = {sizeof(vmsec_module),                   \
                                                      VMSEC_ABI_MAJOR,                        \
                                                      VMSEC_ABI_MINOR,                        \
                                                      vmsec_manifest_,                        \
                                                      sizeof vmsec_manifest_ - 1,             \
                                                      vmsec::sdk::Glue<module_class>::create, \
                                                      vmsec::sdk::Glue<module_class>::call,   \
                                                      vmsec::sdk::Glue<module_class>::destroy}

// Interfaces that are called the same way wherever the other side lives: in
// this process, behind the module ABI, behind a socket or on another host.
//
// An interface is an abstract class whose methods take one message and answer
// Result<message>. Its method table gives each a number:
//
//   template <> struct Methods<DomainControl> {
//     static constexpr std::string_view kName = "vmsec.DomainControl";
//     static constexpr auto table() {
//       return std::make_tuple(method(1, "List", &DomainControl::list), ...);
//     }
//   };
//
// From that table, Dispatcher<I> turns (method, packet) into a call of an
// implementation, and Remote<I> turns a call into (method, packet): see the
// proxies at the end of each interface's header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "vmsec/result.hpp"
#include "vmsec/wire.hpp"

namespace vmsec {

template <class I>
struct Methods;  // specialised beside each interface

template <class I, class Request, class Reply>
struct Method {
  using RequestType = Request;
  using ReplyType = Reply;
  std::uint32_t number;
  std::string_view name;
  Result<Reply> (I::*function)(const Request&);
};

template <class I, class Request, class Reply>
constexpr Method<I, Request, Reply> method(std::uint32_t number, std::string_view name,
                                           Result<Reply> (I::*function)(const Request&)) {
  return {number, name, function};
}

// Carries a call to where the implementation is. Thread-safe. A packet's
// descriptors belong to the callee once the call was made, whatever it answers.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<Packet> call(std::uint32_t method, Packet request) = 0;
};

template <class I, class Visit>
constexpr void for_each_method(Visit&& visit) {
  std::apply([&](const auto&... each) { (visit(each), ...); }, Methods<I>::table());
}

// Calls the implementation's method of that number. A malformed request is
// `invalid_argument`; a number that the interface does not have is `unsupported`.
// `before` sees the decoded request, and may refuse it: this is where grants are
// checked (one place for every method of every interface).
template <class I, class Before>
Result<Packet> dispatch(I& implementation, std::uint32_t number, Packet request, Before&& before) {
  Result<Packet> answer =
      fail(Code::unsupported, std::string(Methods<I>::kName) + " has no method " + std::to_string(number));
  for_each_method<I>([&](const auto& each) {
    using M = std::remove_cvref_t<decltype(each)>;
    if (each.number != number) return;
    answer = [&]() -> Result<Packet> {
      const std::string what = std::string(Methods<I>::kName) + "." + std::string(each.name);
      auto message = wire::unpack<typename M::RequestType>(std::move(request));
      if (!message) return fail(message.error().in(what));
      VMSEC_CHECK(before(each, *message));
      auto reply = (implementation.*(each.function))(*message);
      if (!reply) return fail(std::move(reply).error());
      return wire::pack(std::move(*reply));
    }();
  });
  return answer;
}

template <class I>
Result<Packet> dispatch(I& implementation, std::uint32_t number, Packet request) {
  return dispatch(implementation, number, std::move(request), [](const auto&, const auto&) -> Status { return {}; });
}

// Something that answers (method, packet), without its type.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  [[nodiscard]] virtual std::string_view interface_name() const = 0;
  virtual Result<Packet> call(std::uint32_t method, Packet request) = 0;
};

template <class I>
class EndpointOf final : public Endpoint {
 public:
  explicit EndpointOf(I& implementation) : implementation_(implementation) {}
  [[nodiscard]] std::string_view interface_name() const override { return Methods<I>::kName; }
  Result<Packet> call(std::uint32_t method, Packet request) override {
    return dispatch(implementation_, method, std::move(request));
  }

 private:
  I& implementation_;
};

// The base of an interface's proxy: each method is one line,
//   Result<DomainList> list(const Empty& r) override { return invoke<1>(r); }
// with the method's number in the table. A request's descriptors are
// duplicated: the caller keeps its own.
template <class I>
class Remote : public I {
 public:
  explicit Remote(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

 protected:
  template <std::uint32_t kNumber, class Request>
  auto invoke(const Request& request) {
    constexpr auto kMethod = find<kNumber, 0>();
    using M = std::remove_cvref_t<decltype(kMethod)>;
    static_assert(std::is_same_v<typename M::RequestType, Request>);
    return send<typename M::ReplyType>(kNumber, wire::pack(request));
  }

 private:
  template <std::uint32_t kNumber, std::size_t kPlace>
  static constexpr auto find() {
    constexpr auto kEntry = std::get<kPlace>(Methods<I>::table());
    if constexpr (kEntry.number == kNumber)
      return kEntry;
    else
      return find<kNumber, kPlace + 1>();
  }

  template <class Reply>
  Result<Reply> send(std::uint32_t number, Packet request) {
    VMSEC_TRY(Packet reply, transport_->call(number, std::move(request)));
    return wire::unpack<Reply>(std::move(reply));
  }

  std::shared_ptr<Transport> transport_;
};

// The proxy class of interface I; specialised beside each interface.
template <class I>
class Proxy;

}  // namespace vmsec

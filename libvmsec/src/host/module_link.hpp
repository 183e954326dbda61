// What one module reaches of the host: handles, grants, refusals.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/begun_migrations.hpp"
#include "host/capabilities.hpp"
#include "host/grants.hpp"
#include "host/held_sessions.hpp"
#include "loader/manifest.hpp"
#include "vmsec/abi.h"
#include "vmsec/export.hpp"
#include "vmsec/interface.hpp"

namespace vmsec::host {

// Told of each refusal: module, interface, method, domain (nil: none), cause.
using Refused =
    std::function<void(const std::string&, std::string_view, std::uint32_t, const Uuid&, const std::string&)>;

// Any thread. Outlives its module's instance.
class VMSEC_EXPORT ModuleLink {
 public:
  // `record` writes down the module's acts that it does not tell of itself (Caller::record).
  ModuleLink(loader::Manifest manifest, Capabilities& capabilities, const Grants& grants, Refused refused,
             std::function<Status(const AuditEntry&)> record = {});
  ModuleLink(const ModuleLink&) = delete;
  ModuleLink& operator=(const ModuleLink&) = delete;

  // Offers a service of the core's to this module. Before the instance is created.
  template <class I>
  void offer(std::unique_ptr<I> service) {
    offer(std::string(Methods<I>::kName), std::make_unique<Owned<I>>(std::move(service)));
  }

  [[nodiscard]] vmsec_host host();
  // Its instance is gone, and none of its calls is under way: what it held is let go of.
  // Its handles are `revoked` for the next instance; migrations' sessions that it had
  // begun are cancelled where they may be, and closed, so that the next instance finds
  // what it would find after the host's own end.
  void release();
  [[nodiscard]] const loader::Manifest& manifest() const { return manifest_; }
  // Whether it ever got a guest's memory mapped: no check at a call takes that back.
  [[nodiscard]] bool has_mapped_memory() const { return mapped_; }

 private:
  template <class I>
  class Owned final : public Endpoint {
   public:
    explicit Owned(std::unique_ptr<I> service) : service_(std::move(service)) {}
    [[nodiscard]] std::string_view interface_name() const override { return Methods<I>::kName; }
    Result<Packet> call(std::uint32_t method, Packet request) override {
      return dispatch(*service_, method, std::move(request));
    }

   private:
    std::unique_ptr<I> service_;
  };

  void offer(std::string interface, std::unique_ptr<Endpoint> service);
  static void entry(void* context, const vmsec_call* call, vmsec_reply* reply);
  Result<Packet> open_handle(Packet request);
  Result<Packet> call_handle(std::uint64_t handle, std::uint32_t method, Packet request);
  Result<Packet> call_service(const std::string& interface, Endpoint& service, std::uint32_t method, Packet request);
  Result<Packet> call_capability(const std::string& interface, std::uint32_t method, Packet request);
  Status check(std::string_view interface, std::uint32_t method, const About* about);
  Status refuse_use(Ruling ruling, std::string_view interface, std::uint32_t method, const About* about);
  std::string interface_of(std::uint64_t handle);
  bool was_used(std::string_view interface, const Uuid& domain);
  std::unexpected<Error> refuse(Code code, std::string_view interface, std::uint32_t method, const Uuid& domain,
                                const std::string& cause);

  const loader::Manifest manifest_;
  Capabilities& capabilities_;
  const Grants& grants_;
  const Refused refused_;
  const std::function<Status(const AuditEntry&)> record_;
  std::map<std::string, std::unique_ptr<Endpoint>, std::less<>> services_;
  BegunMigrations begun_;
  std::atomic<bool> mapped_ = false;
  std::mutex mutex_;
  std::vector<std::string> handles_;  // the interface of handle id - 1
  std::uint32_t generation_ = 1;      // of the instance: another one's handles are not this one's
  HeldSessions sessions_;
  // What it was let use, by interface and domain (nil: none): so that what was
  // withdrawn is told from what was never granted.
  std::set<std::pair<std::string, Uuid>, std::less<>> used_;
};

}  // namespace vmsec::host

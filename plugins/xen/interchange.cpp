// Interchange over libxl.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "builder.hpp"
#include "definition.hpp"
#include "libxl_json.hpp"

namespace vmsec::xen {
namespace {

// Taking a domain down waits for its devices.
constexpr std::chrono::seconds kDestroy{60};
constexpr const char* kQemu = "/usr/libexec/xen-qemu-system-i386";  // libxl's, as Debian builds it

// What can be said to libxl, and cannot be built.
Status check_buildable(const DomainDefinition& definition) {
  const bool hvm = definition.guest == GuestKind::hvm;
  if (!hvm && definition.boot.kernel.empty())
    return fail(Code::unsupported, "boot.kernel: without firmware and without kernel there is nothing to build");
  if (!hvm || ::access(kQemu, X_OK) == 0) return {};
  return fail(Code::unsupported, std::string("guest: an HVM guest needs QEMU in dom0, and there is no ") + kQemu +
                                     " (Debian: qemu-system-xen)");
}

std::string for_this_host(const std::string& text, const std::string& pool) {
  auto document = nlohmann::json::parse(text);
  if (!pool.empty()) document["c_info"]["pool_name"] = pool;
  return document.dump();
}

Result<ExportedDomain> export_as_it_is(Libxl& libxl, const std::string& pool, const Uuid& uuid,
                                       const std::string& operation) {
  VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
  VMSEC_TRY(const std::string built, read_built_json(libxl, seen.domid, operation));
  const Devices devices = Devices::of(libxl, seen.domid);
  LiveDomain now{name_of(libxl, seen.domid), pool, {}, {}};
  for (const auto& disk : devices.disks()) now.vdevs.emplace_back(disk.vdev == nullptr ? "" : disk.vdev);
  for (const auto& nic : devices.nics()) now.macs.push_back(mac_of(nic));
  VMSEC_TRY(const std::string text, as_it_is_now(built, now));
  auto exported = from_libxl_json(text);
  if (!exported) return fail(exported.error().in(operation));
  return exported;
}

class XenInterchange final : public Interchange {
 public:
  explicit XenInterchange(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<Translation> translate(const DomainDefinition& definition) override {
    VMSEC_CHECK(common::check_definition(definition));
    if (definition.name.ends_with(kIncoming))
      return fail(Code::invalid_argument,
                  "name: \"" + std::string(kIncoming) + "\" stands behind copies that a migration brings");
    return to_libxl_json(definition);
  }

  Result<DomainRef> define(const DefineDomain& request) override {
    const DomainDefinition& definition = request.definition;
    const std::string operation = "define domain " + request.domain.text();
    const auto native = translate_for(request);
    if (!native) return fail(native.error().in(operation));
    auto reservation = reservations_.reserve(request.domain, definition.name);
    if (!reservation) return fail(Code::already_exists, operation + ": one of its UUID or its name is being defined");
    VMSEC_CHECK(build_domain(context_,
                             {request.domain, definition.name, definition.memory,
                              for_this_host(native->text, context_->pool), std::move(reservation)},
                             operation));
    context_->observer->note({request.domain, definition.name, DomainState::paused});
    return DomainRef{request.domain};
  }

  Result<Empty> start(const DomainRef& request) override {
    return change("start " + request.domain.text(), request.domain, Toolstack::kUsual, require_never_ran,
                  [](Libxl& libxl, const Seen& seen, const std::string& operation) -> Status {
                    VMSEC_CHECK(unpause_domain(libxl, seen.domid, operation));
                    forget_mark(libxl, seen);
                    return {};
                  });
  }

  Result<Empty> undefine(const DomainRef& request) override {
    return change("undefine " + request.domain.text(), request.domain, kDestroy, require_forgettable,
                  [](Libxl& libxl, const Seen& seen, const std::string& operation) -> Status {
                    const int code = libxl_domain_destroy(libxl.get(), seen.domid, nullptr);
                    return code == 0 ? Status() : Status(fail(libxl.error(operation, code)));
                  });
  }

  Result<ExportedDomain> export_domain(const DomainRef& request) override {
    const std::string operation = "export domain " + request.domain.text();
    return context_->toolstack->call(operation,
                                     [pool = context_->pool, uuid = request.domain, operation](Libxl& libxl) {
                                       return export_as_it_is(libxl, pool, uuid, operation);
                                     });
  }

 private:
  using Act = Status (*)(Libxl&, const Seen&, const std::string&);

  Result<Translation> translate_for(const DefineDomain& request) {
    VMSEC_TRY(Translation native, translate(request.definition));
    VMSEC_CHECK(common::check_define(request, native.losses));
    VMSEC_CHECK(check_buildable(request.definition));
    return native;
  }

  // Of a domain that `require` lets through. Nobody resumes it, and no migration takes it, before this is over.
  Result<Empty> change(const std::string& operation, const Uuid& uuid, std::chrono::seconds limit, Act require,
                       Act act) {
    return context_->toolstack->call(
        operation,
        [context = context_, uuid, operation, require, act](Libxl& libxl) -> Result<Empty> {
          VMSEC_TRY(const HeldDomains::Permit permit, context->held.permit(uuid, operation));
          const std::lock_guard lock(context->pause_mutex);
          VMSEC_TRY(const Seen seen, find_domain(libxl, context->pool, uuid, operation));
          const std::string named = operation + " (" + name_of(libxl, seen.domid) + ")";
          VMSEC_CHECK(require(libxl, seen, named));
          VMSEC_CHECK(act(libxl, seen, named));
          return Empty{};
        },
        limit);
  }

  std::shared_ptr<Context> context_;
  Reservations reservations_;
};

}  // namespace

std::unique_ptr<Interchange> make_interchange(std::shared_ptr<Context> context) {
  return std::make_unique<XenInterchange>(std::move(context));
}

}  // namespace vmsec::xen

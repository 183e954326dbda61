#include "builder.hpp"

#include <algorithm>
#include <condition_variable>
#include <optional>

#include "units.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kRoomKib = 8 * 1024;  // what Xen takes for a domain beside its memory
// Xen clears the guest's memory, and runs scripts for its devices.
constexpr std::chrono::minutes kBuild{10};
// libxl drops it with the domain, and takes it to no other host.
constexpr const char* kMark = "vmsec-defined";

// In any pool. A copy that a migration brings counts by the name that it will have.
Status require_alone(Libxl& libxl, const Context& context, const Plan& plan, std::uint32_t except,
                     const std::string& operation) {
  if (context.held.is_held(plan.domain))
    return fail(Code::already_exists, operation + ": a migration that is not decided has this domain");
  VMSEC_TRY(const auto domains, list_domains(libxl, {}, operation));
  for (const Seen& seen : domains) {
    if (seen.domid == except) continue;
    if (seen.uuid == plan.domain) return fail(Code::already_exists, operation + ": Xen has a domain of this UUID");
    if (name_of(libxl, seen.domid) == plan.name)
      return fail(Code::already_exists, operation + ": Xen has a domain of the name " + plan.name);
  }
  return {};
}

Status require_room(Libxl& libxl, const Plan& plan, const std::string& operation) {
  std::uint64_t free_kib = 0;
  if (const int code = libxl_get_free_memory(libxl.get(), &free_kib); code != 0)
    return fail(libxl.error(operation, code));
  const std::uint64_t wanted = plan.memory.value / common::kKibibyte + kRoomKib;
  if (free_kib >= wanted) return {};
  return fail(Code::limit_exceeded, operation + ": it needs " + std::to_string(wanted / common::kKibibyte) +
                                        " MiB, and Xen has " + std::to_string(free_kib / common::kKibibyte) +
                                        " MiB free");
}

// By its number, which no other domain gets before Xen has made some 32,000 more.
Status take_down(Libxl& libxl, std::uint32_t domid, const Uuid& uuid) {
  DomInfo info;
  if (domid == static_cast<std::uint32_t>(INVALID_DOMID)) return {};
  if (libxl_domain_info(libxl.get(), info.get(), domid) != 0 || uuid_of(info->uuid) != uuid) return {};
  libxl.begin();
  const int code = libxl_domain_destroy(libxl.get(), domid, nullptr);
  return code == 0 ? Status() : Status(fail(libxl.error("take it down", code)));
}

Status mark(Libxl& libxl, std::uint32_t domid, const std::string& operation) {
  const std::uint8_t yes = 1;
  const int code = libxl_userdata_store(libxl.get(), domid, kMark, &yes, 1);
  return code == 0 ? Status() : Status(fail(libxl.error(operation, code, domid)));
}

// The domain's number.
Result<std::uint32_t> build(Libxl& libxl, const Context& context, const Plan& plan, const std::string& operation) {
  VMSEC_CHECK(require_alone(libxl, context, plan, INVALID_DOMID, operation));
  VMSEC_CHECK(require_room(libxl, plan, operation));
  DomainConfig config;
  if (const int code = libxl_domain_config_from_json(libxl.get(), config.get(), plan.json.c_str()); code != 0)
    return fail(libxl.error(operation + ": its configuration", code));
  std::uint32_t domid = INVALID_DOMID;
  const int code = libxl_domain_create_new(libxl.get(), config.get(), &domid, nullptr, nullptr);
  Status built = code == 0 ? mark(libxl, domid, operation) : Status(fail(libxl.error(operation, code)));
  // Somebody else may have made one meanwhile: libxl keeps names apart, and not UUIDs.
  if (Status alone = require_alone(libxl, context, plan, domid, operation); !alone) built = std::move(alone);
  if (built) return domid;
  Error why = built.error();
  if (const Status gone = take_down(libxl, domid, plan.domain); !gone) why.message += "; and " + gone.error().message;
  return fail(std::move(why));
}

// Between the caller, who waits for some time, and the worker, which takes as long as libxl does.
struct Errand {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Status> answer;
  bool given_up = false;
};

void deliver(Libxl& libxl, Errand& errand, const Uuid& domain, const Result<std::uint32_t>& built) {
  std::unique_lock lock(errand.mutex);
  errand.answer = built ? Status() : Status(fail(built.error()));
  errand.changed.notify_all();
  const bool unwanted = errand.given_up;
  lock.unlock();
  if (unwanted && built) static_cast<void>(take_down(libxl, *built, domain));
}

}  // namespace

std::shared_ptr<void> Reservations::reserve(const Uuid& domain, const std::string& name) {
  const std::string by_uuid = "uuid " + domain.text();
  const std::string by_name = "name " + name;
  const std::lock_guard lock(state_->mutex);
  if (state_->taken.contains(by_uuid) || state_->taken.contains(by_name)) return nullptr;
  state_->taken.insert({by_uuid, by_name});
  return {state_.get(), [state = state_, by_uuid, by_name](void*) {
            const std::lock_guard inner(state->mutex);
            state->taken.erase(by_uuid);
            state->taken.erase(by_name);
          }};
}

Status build_domain(const std::shared_ptr<Context>& context, const Plan& plan, const std::string& operation) {
  auto errand = std::make_shared<Errand>();
  VMSEC_CHECK(context->toolstack->start(operation, [context, plan, operation, errand](const Result<Libxl*>& libxl) {
    if (libxl) return deliver(**libxl, *errand, plan.domain, build(**libxl, *context, plan, operation));
    const std::lock_guard lock(errand->mutex);
    errand->answer = fail(libxl.error().in(operation));
    errand->changed.notify_all();
  }));
  std::unique_lock lock(errand->mutex);
  if (errand->changed.wait_for(lock, kBuild, [&] { return errand->answer.has_value(); })) return *errand->answer;
  errand->given_up = true;
  return fail(Code::timeout, operation + ": libxl has not built it in " + std::to_string(kBuild.count()) +
                                 " minutes; if it ever does, the domain is taken down");
}

Status require_never_ran(Libxl& libxl, const Seen& seen, const std::string& operation) {
  VMSEC_CHECK(require_active(seen, operation));
  if (seen.state == DomainState::running) return fail(Code::wrong_state, operation + ": it runs");
  if (seen.suspended || seen.cpu_nanoseconds != 0)
    return fail(Code::wrong_state, operation + ": it was paused after it ran");
  if (is_incoming(libxl, seen.domid))
    return fail(Code::wrong_state, operation + ": it came from another host and was not committed");
  std::uint8_t* raw = nullptr;
  int length = 0;
  const int code = libxl_userdata_retrieve(libxl.get(), seen.domid, kMark, &raw, &length);
  const std::unique_ptr<std::uint8_t, Free> data(raw);
  if (code != 0) return fail(libxl.error(operation, code, seen.domid));
  if (length > 0) return {};
  // Another tool's, or one that came from elsewhere: paused, and its memory may be all that there is of it.
  return fail(Code::wrong_state, operation + ": no definition made it: what its memory holds is not known");
}

Status require_forgettable(Libxl& libxl, const Seen& seen, const std::string& operation) {
  const bool ended = seen.state == DomainState::shut_off && !seen.suspended && !is_incoming(libxl, seen.domid);
  return ended ? Status() : require_never_ran(libxl, seen, operation);
}

void forget_mark(Libxl& libxl, const Seen& seen) {
  // Where it cannot be forgotten, the CPU time tells.
  if (seen.cpu_nanoseconds == 0) libxl_userdata_store(libxl.get(), seen.domid, kMark, nullptr, 0);
}

}  // namespace vmsec::xen

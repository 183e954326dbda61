// Events from libvirt's callbacks.
#include <mutex>
#include <optional>
#include <vector>

#include "context.hpp"
#include "domain.hpp"
#include "event_names.hpp"

namespace vmsec::kvm {
namespace {

using RingPtr = std::shared_ptr<EventRing>;

EventRing& ring_of(void* opaque) { return **static_cast<RingPtr*>(opaque); }
void forget_ring(void* opaque) { delete static_cast<RingPtr*>(opaque); }

void push(EventRing& ring, EventKind kind, virDomainPtr domain, std::string detail) {
  std::array<std::uint8_t, 16> uuid{};
  virDomainGetUUID(domain, uuid.data());
  ring.push(kind, Uuid(uuid), name_of(domain), std::move(detail));
}

int on_lifecycle(virConnectPtr /*connect*/, virDomainPtr domain, int event, int detail, void* opaque) {
  const auto kind = lifecycle_kind(event);
  if (kind) push(ring_of(opaque), *kind, domain, lifecycle_detail(event, detail));
  return 0;
}

void on_iteration(virConnectPtr /*connect*/, virDomainPtr domain, int iteration, void* opaque) {
  push(ring_of(opaque), EventKind::migration_iteration, domain, std::to_string(iteration));
}

void on_tunable(virConnectPtr /*connect*/, virDomainPtr domain, virTypedParameterPtr params, int count, void* opaque) {
  std::string names;
  for (int i = 0; i < count; ++i) names += (names.empty() ? "" : " ") + std::string(params[i].field);
  push(ring_of(opaque), EventKind::limits_changed, domain, std::move(names));
}

void on_device(virConnectPtr /*connect*/, virDomainPtr domain, const char* alias, void* opaque) {
  push(ring_of(opaque), EventKind::devices_changed, domain, alias == nullptr ? std::string() : alias);
}

// Registers on each connection as it comes.
class Registration final : public ConnectionWatcher {
 public:
  explicit Registration(RingPtr ring) : ring_(std::move(ring)) {}
  ~Registration() override { withdraw(); }

  void connected(const ConnectionLease& lease) override {
    if (lease_ && lease_->generation() == lease.generation()) return;
    withdraw();
    const bool again = lost_;
    lease_ = lease;
    add(VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle));
    add(VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, VIR_DOMAIN_EVENT_CALLBACK(on_iteration));
    add(VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(on_tunable));
    add(VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device));
    add(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device));
    lost_ = false;
    if (again) ring_->push(EventKind::backend_restored, {}, {}, "reconnected to libvirtd");
  }

  void lost(const std::string& reason) override {
    withdraw();
    lost_ = true;
    ring_->push(EventKind::backend_lost, {}, {}, reason);
  }

 private:
  void add(int id, virConnectDomainEventGenericCallback callback) {
    auto* ring = new RingPtr(ring_);
    const int number = virConnectDomainEventRegisterAny(lease_->get(), nullptr, id, callback, ring, forget_ring);
    if (number < 0) {
      forget_ring(ring);
      ring_->push(EventKind::backend_lost, {}, {}, virt_error("register for events").message);
      return;
    }
    callbacks_.push_back(number);
  }

  // A callback holds a reference of its connection: without this it would never be closed.
  void withdraw() {
    if (!lease_) return;
    for (const int number : callbacks_) virConnectDomainEventDeregisterAny(lease_->get(), number);
    callbacks_.clear();
    lease_.reset();
  }

  RingPtr ring_;
  std::optional<ConnectionLease> lease_;
  std::vector<int> callbacks_;
  bool lost_ = false;
};

class KvmEvents final : public Events {
 public:
  explicit KvmEvents(std::shared_ptr<Context> context)
      : context_(std::move(context)), registration_(std::make_shared<Registration>(context_->events)) {
    context_->connection->watch(registration_);
  }

  Result<EventList> next(const NextEvents& request) override { return context_->events->next(request); }

 private:
  std::shared_ptr<Context> context_;
  std::shared_ptr<Registration> registration_;
};

}  // namespace

Result<std::unique_ptr<Events>> make_events(std::shared_ptr<Context> context) {
  return std::unique_ptr<Events>(std::make_unique<KvmEvents>(std::move(context)));
}

}  // namespace vmsec::kvm

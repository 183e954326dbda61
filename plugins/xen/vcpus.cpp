#include "vcpus.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace vmsec::xen {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGuestAnswers{30};
constexpr std::chrono::milliseconds kLook{50};

Status ask(Libxl& libxl, std::uint32_t domid, Bitmap& wanted, const std::string& operation) {
  const int code = libxl_set_vcpuonline(libxl.get(), domid, wanted.get(), nullptr);
  return code == 0 ? Status() : Status(fail(libxl.error(operation, code, domid)));
}

Status allocate(Libxl& libxl, Bitmap& map, std::uint32_t bits, const std::string& operation) {
  const int code = libxl_cpu_bitmap_alloc(libxl.get(), map.get(), static_cast<int>(bits));
  return code == 0 ? Status() : Status(fail(libxl.error(operation, code)));
}

}  // namespace

Result<Vcpus> Vcpus::of(Libxl& libxl, std::uint32_t domid, const std::string& operation) {
  int count = 0;
  int host_cpus = 0;
  libxl_vcpuinfo* raw = libxl_list_vcpu(libxl.get(), domid, &count, &host_cpus);
  if (raw == nullptr) return fail(libxl.error(operation + ": list vCPUs", ERROR_FAIL, domid));
  Vcpus out;
  out.list_ = {raw, FreeVcpus{count}};
  return out;
}

std::uint32_t Vcpus::online() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(all(), [](const auto& each) { return each.online; }));
}

Status change_vcpus(Libxl& libxl, const Seen& seen, std::uint32_t count, const std::string& operation) {
  const std::string what = operation + ": number of vCPUs";
  Bitmap wanted;
  Bitmap before;
  VMSEC_CHECK(allocate(libxl, wanted, seen.vcpus_maximum, what));
  VMSEC_CHECK(allocate(libxl, before, seen.vcpus_maximum, what));
  VMSEC_TRY(const Vcpus now, Vcpus::of(libxl, seen.domid, what));
  for (const auto& each : now.all()) {
    if (each.vcpuid < count) libxl_bitmap_set(wanted.get(), static_cast<int>(each.vcpuid));
    if (each.online) libxl_bitmap_set(before.get(), static_cast<int>(each.vcpuid));
  }
  VMSEC_CHECK(ask(libxl, seen.domid, wanted, what));
  for (const auto end = Clock::now() + kGuestAnswers; Clock::now() < end; std::this_thread::sleep_for(kLook)) {
    VMSEC_TRY(const Vcpus is, Vcpus::of(libxl, seen.domid, what));
    if (std::ranges::all_of(is.all(), [&](const auto& each) { return each.online == (each.vcpuid < count); }))
      return {};
  }
  // Else it could still change later, when nobody expects it.
  VMSEC_CHECK(ask(libxl, seen.domid, before, what));
  return fail(Code::timeout, what + ": the guest has not taken or let go of them in " +
                                 std::to_string(kGuestAnswers.count()) +
                                 " s (its kernel needs Xen's CPU hotplug, and what is plugged in has to be brought "
                                 "online by the guest); it was asked for what was before");
}

}  // namespace vmsec::xen

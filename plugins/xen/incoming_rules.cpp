#include "incoming_rules.hpp"

#include <array>

namespace vmsec::xen {
namespace {

using enum ValueKind;

constexpr std::string_view kActions =
    " destroy restart rename_restart preserve coredump_destroy coredump_restart "
    "soft_reset ";

// A PV or PVH domain with blkback disks and netback NICs. What starts a program in dom0 (a device model,
// a bootloader, a device's own script), gives a device of the host away, or names another backend is not here.
constexpr Rule kRules[] = {
    {"c_info.type", one_of, " pv pvh "},
    {"c_info.name", name},
    {"c_info.uuid", uuid},
    {"c_info.domid", one_of, " 4294967295 "},  // none: Xen's choice
    {"c_info.hap", flag},
    {"c_info.oos", flag},
    {"c_info.run_hotplug_scripts", one_of, " True "},
    {"c_info.driver_domain", one_of, " False "},
    {"c_info.passthrough", one_of, " default disabled "},
    {"b_info.max_vcpus", vcpus},
    {"b_info.avail_vcpus", vcpu_list},
    {"b_info.numa_placement", flag},
    {"b_info.tsc_mode", word},
    {"b_info.max_memkb", memory},
    {"b_info.target_memkb", memory_at_most},
    {"b_info.video_memkb", one_of, " 0 "},
    {"b_info.rtc_timeoffset", number},
    {"b_info.localtime", flag},
    {"b_info.disable_migrate", one_of, " False "},
    {"b_info.blkdev_start", word},
    {"b_info.device_model_version", word},
    {"b_info.device_model_stubdomain", one_of, " False "},
    {"b_info.sched_params.sched", word},
    {"b_info.sched_params.weight", number},
    {"b_info.sched_params.cap", number},
    {"b_info.claim_mode", flag},
    {"b_info.kernel", kernel},
    {"b_info.ramdisk", kernel},
    {"b_info.cmdline", text},
    {"b_info.acpi", flag},
    {"b_info.apic", flag},
    {"b_info.nested_hvm", one_of, " False "},
    {"b_info.timer_mode", word},
    {"b_info.dm_restrict", flag},
    {"b_info.vpmu", flag},
    {"b_info.altp2m", one_of, " disabled "},
    {"b_info.type.pvh.pvshim", one_of, " False "},
    {"b_info.type.pv.e820_host", one_of, " False "},
    {"b_info.arch_x86.msr_relaxed", flag},
    {"disks[].pdev_path", disk},
    {"disks[].vdev", vdev},
    {"disks[].backend", one_of, " unknown phy "},
    {"disks[].format", one_of, " raw "},
    {"disks[].removable", number},
    {"disks[].readwrite", number},
    {"disks[].is_cdrom", number},
    {"disks[].direct_io_safe", flag},
    {"disks[].discard_enable", flag},
    {"disks[].backend_domid", one_of, " 0 "},
    {"disks[].trusted", flag},
    {"disks[].colo_enable", one_of, " False "},
    {"disks[].colo_restore_enable", one_of, " False "},
    {"nics[].devid", number},
    {"nics[].mac", word},
    {"nics[].bridge", bridge},
    {"nics[].model", word},
    {"nics[].nictype", one_of, " vif "},
    {"nics[].rate_bytes_per_interval", number},
    {"nics[].rate_interval_usecs", number},
    {"nics[].backend_domid", one_of, " 0 "},
    {"nics[].script", one_of, " /etc/xen/scripts/vif-bridge vif-bridge /bin/true "},
    {"nics[].trusted", flag},
    {"on_poweroff", one_of, kActions},
    {"on_reboot", one_of, kActions},
    {"on_watchdog", one_of, kActions},
    {"on_crash", one_of, kActions},
    {"on_soft_reset", one_of, kActions},
};

}  // namespace

std::span<const Rule> incoming_rules() { return kRules; }

}  // namespace vmsec::xen

#include "libxl_defaults.hpp"

namespace vmsec::xen {
namespace {

// tools/libs/light/libxl_types.idl of Xen 4.17, and the defaults of libxl_create.c. What is not here, and is neither
// empty nor carried, is a loss.
constexpr Silent kSilent[] = {
    {"c_info.domid", " 4294967295 "},  // none: Xen's choice
    {"c_info.hap", " True "},
    {"c_info.oos", " True "},
    {"c_info.run_hotplug_scripts", " True "},
    {"c_info.driver_domain", " False "},
    {"c_info.passthrough", " default disabled "},
    {"c_info.xend_suspend_evtchn_compat", " False "},
    {"b_info.numa_placement", " True "},
    {"b_info.tsc_mode", " default "},
    {"b_info.video_memkb", " 0 "},
    {"b_info.rtc_timeoffset", " 0 "},
    {"b_info.localtime", " False "},
    {"b_info.disable_migrate", " False "},
    {"b_info.blkdev_start", " xvda "},
    {"b_info.device_model_version", " unknown qemu_xen "},
    {"b_info.device_model_stubdomain", " False "},
    // As a move to another host writes them.
    {"b_info.sched_params.sched", " unknown credit credit2 "},
    {"b_info.sched_params.weight", " 256 "},
    {"b_info.sched_params.cap", " 0 "},
    {"b_info.claim_mode", " True False "},  // xl: while it is built
    {"b_info.event_channels", " 0 1023 "},
    {"b_info.acpi", " True "},
    {"b_info.apic", " True "},
    {"b_info.nested_hvm", " False "},
    {"b_info.timer_mode", " unknown no_delay_for_missed_ticks "},
    {"b_info.dm_restrict", " False "},
    {"b_info.tee", " none "},
    {"b_info.altp2m", " disabled "},
    {"b_info.vmtrace_buf_kb", " 0 "},
    {"b_info.vpmu", " False "},
    {"b_info.arch_x86.msr_relaxed", " False "},
    {"b_info.type.pv.slack_memkb", " 0 "},
    {"b_info.type.pv.e820_host", " False "},
    {"b_info.type.pvh.pvshim", " False "},
    {"b_info.type.hvm.nographic", " True "},
    {"b_info.type.hvm.vga.kind", " none "},
    {"b_info.type.hvm.vnc.enable", " False "},
    {"b_info.type.hvm.sdl.enable", " False "},
    {"b_info.type.hvm.spice.enable", " False "},
    {"b_info.type.hvm.serial", " pty "},
    {"b_info.type.hvm.boot", " c "},
    {"disks[].backend", " unknown phy "},
    {"disks[].backend_domid", " 0 "},
    {"disks[].removable", " 0 "},
    {"disks[].is_cdrom", " 0 "},
    {"disks[].direct_io_safe", " False "},
    {"disks[].specification", " unknown xen "},
    {"disks[].transport", " unknown "},
    {"disks[].colo_enable", " False "},
    {"disks[].colo_restore_enable", " False "},
    {"disks[].trusted", " True "},
    {"nics[].backend_domid", " 0 "},
    {"nics[].mtu", " 0 1500 "},
    {"nics[].model", " rtl8139 "},  // of a card that is emulated too
    {"nics[].nictype", " vif "},
    {"nics[].rate_bytes_per_interval", " 0 "},
    {"nics[].rate_interval_usecs", " 0 "},
    {"nics[].trusted", " True "},
    // What xl does when the guest ends, unless it is told otherwise; libxl itself does nothing.
    {"on_poweroff", " destroy "},
    {"on_reboot", " destroy restart "},
    {"on_watchdog", " destroy "},
    {"on_crash", " destroy "},
    {"on_soft_reset", " destroy soft_reset "},
};

}  // namespace

std::span<const Silent> silent_keys() { return kSilent; }

}  // namespace vmsec::xen

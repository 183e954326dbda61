// A Backend is one connection to one hypervisor. A plugin implements it.
//
// A plugin is a shared object with one exported symbol, `vmsec_plugin_entry`
// (see the end of this header). It includes vmsec's headers and its
// hypervisor's library, and links nothing of libvmsec.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "vmsec/abi.h"
#include "vmsec/capability/boot_evidence.hpp"
#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/events.hpp"
#include "vmsec/capability/interchange.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/memory_access.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/capability/resource_control.hpp"

namespace vmsec {

struct BackendOptions {
  std::string uri;                              // the hypervisor's own; the plugin's default where empty
  std::string run_dir;                          // for sockets of this backend; private to this process, exists
  std::string state_dir;                        // for what must outlive a restart; exists
  std::string tpm_tcti;                         // the host's TPM; empty: none
  std::string event_log;                        // path of the host's boot event log; empty: none
  std::map<std::string, std::string> settings;  // [backend.settings] of the host's configuration
};

// Capabilities are borrowed: they live as long as the backend. A capability that
// this hypervisor lacks is `unsupported`, with the hypervisor's name.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // the plugin's: "kvm"
  virtual Result<DomainControl*> domain_control() { return lacks("DomainControl"); }
  virtual Result<ResourceControl*> resource_control() { return lacks("ResourceControl"); }
  virtual Result<IoControl*> io_control() { return lacks("IoControl"); }
  virtual Result<Migration*> migration() { return lacks("Migration"); }
  virtual Result<MemoryAccess*> memory_access() { return lacks("MemoryAccess"); }
  virtual Result<BootEvidence*> boot_evidence() { return lacks("BootEvidence"); }
  virtual Result<Events*> events() { return lacks("Events"); }
  virtual Result<Interchange*> interchange() { return lacks("Interchange"); }

 protected:
  [[nodiscard]] std::unexpected<Error> lacks(std::string_view capability) const {
    return fail(Code::unsupported, name() + " has no " + std::string(capability));
  }
};

// Changes with every change of the classes above: a plugin loads only into the
// libvmsec whose headers it was built with.
inline constexpr std::uint32_t kPluginAbi = 4;

struct PluginEntry {
  std::uint32_t size;  // sizeof(PluginEntry)
  std::uint32_t abi;   // kPluginAbi
  const char* name;
  const char* summary;
  // Opens a connection. Throws nothing.
  Result<std::unique_ptr<Backend>> (*open)(const BackendOptions&);
};

// What is read of a plugin's bytes (section .vmsec.plugin), without running any of it.
struct PluginNote {
  std::uint32_t size;  // sizeof(PluginNote)
  std::uint32_t abi;   // kPluginAbi
  char summary[248];   // ends with a zero
};

}  // namespace vmsec

// `plugin_summary`: a text in quotes, of 247 bytes at the most.
#define VMSEC_PLUGIN(plugin_name, plugin_summary, open_function)                                                      \
  VMSEC_KEPT_SECTION(".vmsec.plugin")                                                                                 \
  static const vmsec::PluginNote vmsec_plugin_note_ = {sizeof(vmsec::PluginNote), vmsec::kPluginAbi, plugin_summary}; \
  extern "C" __attribute__((visibility("default"))) const vmsec::PluginEntry vmsec_plugin_entry;                      \
  extern "C" const vmsec::PluginEntry vmsec_plugin_entry = {sizeof(vmsec::PluginEntry), vmsec::kPluginAbi,            \
                                                            plugin_name, plugin_summary, open_function}

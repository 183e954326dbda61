// A module's instance in this process.
#include <cstddef>
#include <cstring>

#include "loader/module_file.hpp"
#include "loader/shared_object.hpp"
#include "vmsec/module.hpp"

namespace vmsec::loader {
namespace {

class InProcess final : public ModuleInstance {
 public:
  InProcess(SharedObject object, const vmsec_module& entry, void* instance)
      : object_(std::move(object)), entry_(entry), instance_(instance) {}
  ~InProcess() override { entry_.destroy(instance_); }
  InProcess(const InProcess&) = delete;
  InProcess& operator=(const InProcess&) = delete;

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    return sdk::call_through(entry_.call, instance_, interface, 0, method, std::move(request));
  }

 private:
  SharedObject object_;
  const vmsec_module& entry_;
  void* instance_;
};

static_assert(offsetof(vmsec_module, destroy) + sizeof(vmsec_module::destroy) == VMSEC_MODULE_SIZE_1_0);

// What was decided about the file by its sections holds for what runs.
Status check_entry(const vmsec_module* entry, const ModuleFile& file) {
  const auto refuse = [&](const std::string& cause) {
    return fail(Code::unsupported, "load module " + file.file() + ": " + cause);
  };
  if (entry == nullptr) return refuse("it has no symbol vmsec_module_entry");
  if (entry->size < VMSEC_MODULE_SIZE_1_0) return refuse("its entry has " + std::to_string(entry->size) + " bytes");
  if (entry->abi_major != VMSEC_ABI_MAJOR || entry->abi_minor != file.abi_minor())
    return refuse("its entry's ABI is not its section's");
  if (entry->manifest == nullptr || entry->create == nullptr || entry->call == nullptr || entry->destroy == nullptr)
    return refuse("its entry is not complete");
  if (entry->manifest_size != file.manifest_text().size() ||
      std::memcmp(entry->manifest, file.manifest_text().data(), entry->manifest_size) != 0)
    return refuse("its entry's manifest is not its section's");
  return {};
}

}  // namespace

Status ModuleInstance::restart(const std::string&) {
  return fail(Code::wrong_state,
              "it runs in the agent's own process (host.in_process), which is not restarted for it: restart the agent");
}

Result<std::unique_ptr<ModuleInstance>> start_in_process(const ModuleFile& file, const vmsec_host& host,
                                                         const Settings& settings) {
  VMSEC_TRY(SharedObject object, SharedObject::open(file.sealed()));
  const auto* entry = static_cast<const vmsec_module*>(object.symbol("vmsec_module_entry"));
  VMSEC_CHECK(check_entry(entry, file));
  const std::string configuration = wire::encode(settings);
  void* instance = nullptr;
  vmsec_reply reply{};
  reply.size = sizeof reply;
  entry->create(&host, configuration.data(), configuration.size(), &instance, &reply);
  VMSEC_CHECK(sdk::result_of(reply));
  if (instance == nullptr) return fail(Code::internal, "the module made no instance");
  return std::unique_ptr<ModuleInstance>(std::make_unique<InProcess>(std::move(object), *entry, instance));
}

}  // namespace vmsec::loader

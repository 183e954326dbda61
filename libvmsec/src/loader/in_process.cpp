// A module's instance in this process.
#include "loader/module_file.hpp"
#include "vmsec/module.hpp"

namespace vmsec::loader {
namespace {

class InProcess final : public ModuleInstance {
 public:
  InProcess(const vmsec_module& entry, void* instance) : entry_(entry), instance_(instance) {}
  ~InProcess() override { entry_.destroy(instance_); }
  InProcess(const InProcess&) = delete;
  InProcess& operator=(const InProcess&) = delete;

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    return sdk::call_through(entry_.call, instance_, interface, 0, method, std::move(request));
  }

 private:
  const vmsec_module& entry_;
  void* instance_;
};

}  // namespace

Result<std::unique_ptr<ModuleInstance>> start_in_process(const vmsec_module& entry, const vmsec_host& host,
                                                         const Settings& settings) {
  const std::string configuration = wire::encode(settings);
  void* instance = nullptr;
  vmsec_reply reply{};
  reply.size = sizeof reply;
  entry.create(&host, configuration.data(), configuration.size(), &instance, &reply);
  VMSEC_CHECK(sdk::result_of(reply));
  if (instance == nullptr) return fail(Code::internal, "the module made no instance");
  return std::unique_ptr<ModuleInstance>(std::make_unique<InProcess>(entry, instance));
}

}  // namespace vmsec::loader

// A host of one module, in memory: serves interfaces through the real ABI.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/journal.hpp"

extern "C" const vmsec_module vmsec_module_entry;

namespace vmsec::test {

class FakeHost {
 public:
  template <class I>
  void serve(I& implementation) {
    services_[std::string(Methods<I>::kName)] = std::make_unique<EndpointOf<I>>(implementation);
  }

  vmsec_host door() { return {sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, this, &FakeHost::entry}; }

 private:
  static void entry(void* context, const vmsec_call* call, vmsec_reply* reply) {
    sdk::answer(*reply, static_cast<FakeHost*>(context)->answer(*call));
  }

  Result<Packet> answer(const vmsec_call& call) {
    Packet request = sdk::packet_of(call);
    if (call.handle != 0)
      return services_.at(opened_.at((call.handle >> 32) - 1))->call(call.method, std::move(request));
    VMSEC_TRY(const OpenHandle open, wire::unpack<OpenHandle>(std::move(request)));
    if (!services_.contains(open.interface)) return fail(Code::denied, open.interface + " is not granted");
    opened_.push_back(open.interface);
    return wire::pack(HandleReply{static_cast<std::uint32_t>(opened_.size()), 1});
  }

  std::map<std::string, std::unique_ptr<Endpoint>> services_;
  std::vector<std::string> opened_;
};

// The module behind its door; the calls of one interface are made through its proxy.
class LoadedModule final {
 public:
  static Result<std::unique_ptr<LoadedModule>> load(FakeHost& host, const Settings& settings = {}) {
    const vmsec_host door = host.door();
    const std::string configuration = wire::encode(settings);
    vmsec_reply reply{};
    void* instance = nullptr;
    vmsec_module_entry.create(&door, configuration.data(), configuration.size(), &instance, &reply);
    VMSEC_CHECK(sdk::result_of(reply));
    return std::unique_ptr<LoadedModule>(new LoadedModule(instance));
  }
  ~LoadedModule() { vmsec_module_entry.destroy(instance_); }
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) {
    return sdk::call_through(vmsec_module_entry.call, instance_, interface, 0, method, std::move(request));
  }

  template <class I>
  std::unique_ptr<I> face() {
    return std::make_unique<Proxy<I>>(std::make_shared<Door>(*this, Methods<I>::kName));
  }

 private:
  class Door final : public Transport {
   public:
    Door(LoadedModule& module, std::string_view interface) : module_(module), interface_(interface) {}
    Result<Packet> call(std::uint32_t method, Packet request) override {
      return module_.call(interface_, method, std::move(request));
    }

   private:
    LoadedModule& module_;
    std::string_view interface_;
  };

  explicit LoadedModule(void* instance) : instance_(instance) {}
  void* instance_;
};

// Remembers; refuses from the n-th record on.
class FakeJournal final : public Journal {
 public:
  Result<Empty> audit(const AuditEntry& entry) override {
    if (entries.size() >= refuse_from) return fail(Code::io, "the audit log is full");
    entries.push_back(entry);
    return Empty{};
  }
  Result<Empty> log(const LogLine&) override { return Empty{}; }

  std::vector<AuditEntry> entries;
  std::size_t refuse_from = ~std::size_t{0};
};

class FakeDomains final : public DomainControl {
 public:
  Result<DomainList> list(const Empty&) override { return DomainList{{info}}; }
  Result<DomainInfo> get(const DomainRef& ref) override {
    if (ref.domain != info.domain) return fail(Code::not_found, "no domain " + ref.domain.text());
    return info;
  }
  Result<Empty> pause(const DomainRef&) override { return fail(Code::internal, "not asked for"); }
  Result<Empty> resume(const DomainRef&) override { return fail(Code::internal, "not asked for"); }

  DomainInfo info;
};

// A section as the policy's reader would give it.
class SectionBuilder {
 public:
  SectionBuilder& text(std::string path, std::string value) {
    Setting& setting = add(std::move(path), SettingType::text);
    setting.text = std::move(value);
    return *this;
  }
  SectionBuilder& integer(std::string path, std::int64_t value) {
    add(std::move(path), SettingType::integer).integer = value;
    return *this;
  }
  SectionBuilder& list(std::string path, std::vector<std::string> value) {
    add(std::move(path), SettingType::list).list = std::move(value);
    return *this;
  }
  operator Settings() const { return settings_; }  // NOLINT: stands for the settings

 private:
  Setting& add(std::string path, SettingType type) {
    Setting& setting = settings_.settings.emplace_back();
    setting.path = std::move(path);
    setting.type = type;
    setting.line = static_cast<std::uint32_t>(10 + settings_.settings.size());
    setting.column = 7;
    return setting;
  }
  Settings settings_;
};

}  // namespace vmsec::test

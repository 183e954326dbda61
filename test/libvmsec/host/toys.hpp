// The toy modules, loaded over a fake backend as a Host loads them.
#pragma once

#include "host/policy_service.hpp"
#include "libvmsec/host/fake_backend.hpp"
#include "paths.hpp"

namespace vmsec::test {

struct Toys {
  explicit Toys(const std::vector<std::string>& names, std::string policy_file = {})
      : service(registry, capabilities, grants, std::move(policy_file)) {
    backend.domains = {domain(1, "web-1"), domain(2, "db-1")};
    for (const auto& name : names) load(name);
  }
  ~Toys() { registry.clear(); }
  Toys(const Toys&) = delete;
  Toys& operator=(const Toys&) = delete;

  static std::string file(const std::string& name) {
    return std::string(VMSEC_BINARY_DIR) + "/test/toys/" + name + ".so";
  }

  Status load(const std::string& name, const Settings& settings = {}) {
    VMSEC_TRY(auto object, loader::ModuleFile::open(file(name), good(Trust::read(""))));
    auto link = std::make_unique<host::ModuleLink>(object.manifest(), capabilities, grants, nullptr);
    auto module = std::make_unique<host::LoadedModule>(host::LoadedModule{std::move(object), std::move(link), nullptr});
    VMSEC_TRY(module->instance, loader::start_in_process(module->file, module->link->host(), settings));
    registry.add(std::move(module));
    return {};
  }

  FakeBackend backend;
  host::Capabilities capabilities{backend};
  host::Grants grants{false};
  host::Registry registry;
  host::PolicyService service;
};

}  // namespace vmsec::test

// What modules may do: the policy in force, less what was withdrawn, and of what
// tenants may choose only what they chose.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "host/domain_names.hpp"
#include "host/grant_state.hpp"
#include "vmsec/export.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::host {

enum class Ruling {
  allowed,
  not_granted,
  withdrawn,   // by an operator, whatever a policy says
  not_chosen,  // it is offered to tenants, and this domain's has not chosen it
};

// The domains that a withdrawal is about.
VMSEC_EXPORT Selector selector_of(const Withdrawal& withdrawal);

// Any thread. Each change is in force for every call that begins after it.
class VMSEC_EXPORT Grants {
 public:
  // Without a policy: everything that manifests ask for, or nothing. `host` is
  // named in what is refused.
  explicit Grants(bool all_without_policy, std::string host = {});

  // For as long as it lives, this thread's calls are checked against another
  // policy, which is not in force. Not nested.
  class VMSEC_EXPORT Preview {
   public:
    explicit Preview(const Policy& policy);
    ~Preview();
    Preview(const Preview&) = delete;
    Preview& operator=(const Preview&) = delete;
  };
  [[nodiscard]] static bool previewing();
  void replace(Policy policy);
  // What stands over policies: whole, in place of what stood. GrantLedger's alone.
  void stand(GrantState state);

  // `about` is null for a call that is about no single domain.
  [[nodiscard]] Ruling rule(const std::string& module, const About* about, std::string_view interface) const;
  [[nodiscard]] bool allows(const std::string& module, const About* about, std::string_view interface) const {
    return rule(module, about, interface) == Ruling::allowed;
  }

  // What to write into the policy so that it is granted.
  [[nodiscard]] std::string advice(const std::string& module, const About* about, std::string_view interface) const;
  // Why it is withdrawn or not chosen, without the operator's reason: modules read it.
  [[nodiscard]] std::string explain(Ruling ruling, const std::string& module, const About* about,
                                    std::string_view interface) const;
  // The policy in force; null: none.
  [[nodiscard]] std::shared_ptr<const Policy> current() const;
  // Never null.
  [[nodiscard]] std::shared_ptr<const GrantState> standing() const;
  [[nodiscard]] const std::string& host() const { return host_; }

 private:
  struct Standing {
    GrantState state;
    std::map<std::pair<Uuid, std::string>, std::string> chosen;  // domain and module to tenant
  };
  [[nodiscard]] std::shared_ptr<const Standing> stands() const;
  [[nodiscard]] static bool is_chosen(const Standing& standing, const Policy& policy, const std::string& module,
                                      const About& about);

  const bool all_without_policy_;
  const std::string host_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_;
  std::shared_ptr<const Standing> standing_;
};

}  // namespace vmsec::host

// What operators take back from modules, and what tenants choose: messages of HostControl.
#pragma once

#include <string>
#include <vector>

#include "vmsec/types.hpp"
#include "vmsec/wire.hpp"

namespace vmsec {

// A VM of this host, by id and name.
struct TenantDomain {
  Uuid domain;
  std::string name;
  static constexpr std::string_view kMessage = "vmsec.TenantDomain";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &TenantDomain::domain), wire::field(2, "name", &TenantDomain::name));
  }
};

// What an operator took back from a module at run time. One of vm and tag is set.
struct Withdrawal {
  std::uint64_t id = 0;  // never used again on this host
  std::string module;
  std::string vm;  // a pattern for names
  std::string tag;
  std::vector<std::string> interfaces;  // none: all
  std::string reason;
  std::string by;
  UnixSeconds time;
  std::vector<std::string> domains;     // names of those here that it is about
  bool keeps_memory = false;            // the module mapped a guest's memory before: it has that until its process ends
  std::vector<TenantDomain> here = {};  // the same VMs as `domains`, by id too
  static constexpr std::string_view kMessage = "vmsec.Withdrawal";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "id", &Withdrawal::id), wire::field(2, "module", &Withdrawal::module),
                        wire::field(3, "vm", &Withdrawal::vm), wire::field(4, "tag", &Withdrawal::tag),
                        wire::field(5, "interfaces", &Withdrawal::interfaces),
                        wire::field(6, "reason", &Withdrawal::reason), wire::field(7, "by", &Withdrawal::by),
                        wire::field(8, "time", &Withdrawal::time), wire::field(9, "domains", &Withdrawal::domains),
                        wire::field(10, "keeps_memory", &Withdrawal::keeps_memory),
                        wire::field(11, "here", &Withdrawal::here));
  }
};

struct GrantRevocation {
  std::string module;
  std::string vm;  // a pattern for names; neither vm nor tag: all VMs, and what is about none
  std::string tag;
  std::vector<std::string> interfaces;  // none: all
  std::string reason;                   // required
  std::string by;                       // as its caller names who asked; the record has the caller's user too
  static constexpr std::string_view kMessage = "vmsec.GrantRevocation";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "module", &GrantRevocation::module), wire::field(2, "vm", &GrantRevocation::vm),
                        wire::field(3, "tag", &GrantRevocation::tag),
                        wire::field(4, "interfaces", &GrantRevocation::interfaces),
                        wire::field(5, "reason", &GrantRevocation::reason), wire::field(6, "by", &GrantRevocation::by));
  }
};

struct GrantRestoration {
  std::uint64_t id = 0;
  std::string reason;  // required
  std::string by;
  static constexpr std::string_view kMessage = "vmsec.GrantRestoration";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "id", &GrantRestoration::id),
                        wire::field(2, "reason", &GrantRestoration::reason),
                        wire::field(3, "by", &GrantRestoration::by));
  }
};

// A [[grant]] of the policy in force.
struct GrantInfo {
  std::string module;
  std::string vms;  // for people: `VM "web-*"`, `tag "batch"`
  std::vector<std::string> interfaces;
  std::string vm = {};  // a pattern for names; else tag is set
  std::string tag = {};
  static constexpr std::string_view kMessage = "vmsec.GrantInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "module", &GrantInfo::module), wire::field(2, "vms", &GrantInfo::vms),
                        wire::field(3, "interfaces", &GrantInfo::interfaces), wire::field(4, "vm", &GrantInfo::vm),
                        wire::field(5, "tag", &GrantInfo::tag));
  }
};

struct GrantList {
  std::vector<GrantInfo> grants;
  std::vector<Withdrawal> withdrawals;
  static constexpr std::string_view kMessage = "vmsec.GrantList";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "grants", &GrantList::grants),
                        wire::field(2, "withdrawals", &GrantList::withdrawals));
  }
};

struct TenantRef {
  std::string name;  // empty: all tenants
  static constexpr std::string_view kMessage = "vmsec.TenantRef";
  static constexpr auto fields() { return wire::fields(wire::field(1, "name", &TenantRef::name)); }
};

struct TenantChoice {
  std::string tenant;
  Uuid domain;
  std::string module;
  std::string by;    // as the control plane names who asked
  UnixSeconds time;  // set by the host
  static constexpr std::string_view kMessage = "vmsec.TenantChoice";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "tenant", &TenantChoice::tenant),
                        wire::field(2, "domain", &TenantChoice::domain),
                        wire::field(3, "module", &TenantChoice::module), wire::field(4, "by", &TenantChoice::by),
                        wire::field(5, "time", &TenantChoice::time));
  }
};

struct ChoiceInfo {
  TenantChoice choice;
  std::string name;  // the domain's, now
  std::string idle;  // why the choice has no effect now; empty: it has
  static constexpr std::string_view kMessage = "vmsec.ChoiceInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "choice", &ChoiceInfo::choice), wire::field(2, "name", &ChoiceInfo::name),
                        wire::field(3, "idle", &ChoiceInfo::idle));
  }
};

struct TenantInfo {
  std::string name;
  std::string vms;  // for people: `VM "acme-*"`, `tag "acme"`
  std::vector<std::string> offers;
  std::vector<TenantDomain> domains;  // those here that are its own
  std::vector<ChoiceInfo> choices;
  std::string vm = {};  // a pattern for names; else tag is set
  std::string tag = {};
  static constexpr std::string_view kMessage = "vmsec.TenantInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "name", &TenantInfo::name), wire::field(2, "vms", &TenantInfo::vms),
                        wire::field(3, "offers", &TenantInfo::offers), wire::field(4, "domains", &TenantInfo::domains),
                        wire::field(5, "choices", &TenantInfo::choices), wire::field(6, "vm", &TenantInfo::vm),
                        wire::field(7, "tag", &TenantInfo::tag));
  }
};

struct TenantList {
  std::vector<TenantInfo> tenants;
  static constexpr std::string_view kMessage = "vmsec.TenantList";
  static constexpr auto fields() { return wire::fields(wire::field(1, "tenants", &TenantList::tenants)); }
};

}  // namespace vmsec

// vmsec tenant: whose VMs they are, and which modules were chosen for them.
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

void print_tenant(const TenantInfo& tenant) {
  std::vector<std::string> domains;
  for (const auto& each : tenant.domains) domains.push_back(each.name);
  print_facts({{"tenant", tenant.name},
               {"has", tenant.vms},
               {"VMs here", joined(domains, "none")},
               {"may choose", joined(tenant.offers, "none")}});
  if (tenant.choices.empty()) return;
  std::puts("");
  Table table({"VM", "MODULE", "SINCE", "BY", "IN EFFECT"});
  for (const auto& each : tenant.choices)
    table.add({each.name.empty() ? each.choice.domain.text() : each.name, each.choice.module,
               human_time(each.choice.time), each.choice.by,
               each.idle.empty() ? coloured(Colour::green, "yes") : coloured(Colour::yellow, "no: " + each.idle)});
  table.print();
}

Ending show_tenant(Context& context, const std::string& name) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto list, host->list_tenants({name}));
  context.print(list, [](const TenantList& found) {
    if (found.tenants.empty()) std::puts("the policy in force has no [[tenant]]");
    bool first = true;
    for (const auto& tenant : found.tenants) {
      if (!std::exchange(first, false)) std::puts("");
      print_tenant(tenant);
    }
  });
  return Exit::ok;
}

struct Words {
  std::string tenant;
  std::string vm;
  std::string module;
  std::string by;
};

// A VM that is gone is named by its UUID.
Result<TenantChoice> choice_of(Context& context, const Words& words) {
  TenantChoice choice{words.tenant, {}, words.module, words.by, {}};
  if (const auto uuid = Uuid::parse(words.vm)) {
    choice.domain = *uuid;
    return choice;
  }
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, words.vm));
  choice.domain = domain.domain;
  return choice;
}

// As the host has it now.
Result<ChoiceInfo> standing_choice(HostControl& host, const TenantChoice& choice) {
  VMSEC_TRY(const auto list, host.list_tenants({choice.tenant}));
  for (const auto& tenant : list.tenants)
    for (const auto& each : tenant.choices)
      if (each.choice.domain == choice.domain && each.choice.module == choice.module) return each;
  return fail(Code::not_found, "it stands no more: somebody dropped it meanwhile");
}

Ending choose(Context& context, const Words& words) {
  VMSEC_TRY(const auto choice, choice_of(context, words));
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_CHECK(host->choose_module(choice));
  const auto stands = standing_choice(*host, choice);
  if (!stands)
    return fail_with(stands.error().in("choose module: done, but it cannot be shown"),
                     "\"vmsec tenant show " + words.tenant + "\" tells whether it stands");
  context.print(*stands, [&](const ChoiceInfo& made) {
    std::printf("tenant %s has chosen %s for %s\n", safe(words.tenant).c_str(), safe(words.module).c_str(),
                safe(words.vm).c_str());
    if (!made.idle.empty()) std::fprintf(stderr, "vmsec: it has no effect now: %s\n", safe(made.idle).c_str());
  });
  return Exit::ok;
}

Ending drop(Context& context, const Words& words) {
  VMSEC_TRY(const auto choice, choice_of(context, words));
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_CHECK(host->drop_module(choice));
  if (context.options.json) {
    Context::print_json(
        {{"tenant", choice.tenant}, {"domain", choice.domain.text()}, {"module", choice.module}, {"chosen", false}});
    return Exit::ok;
  }
  std::printf("tenant %s has dropped %s for %s\n", safe(words.tenant).c_str(), safe(words.module).c_str(),
              safe(words.vm).c_str());
  return Exit::ok;
}

void add_words(CLI::App& command, const std::shared_ptr<Words>& words) {
  words->by = calling_person();
  command.add_option("NAME", words->tenant, "The tenant")->required();
  command.add_option("VM", words->vm, "One of its VMs, by name or UUID")->required();
  command.add_option("MODULE", words->module, "A module that it is offered")->required();
  command.add_option("--by", words->by, "Who asks, for the record")->type_name("NAME");
}

}  // namespace

void add_tenant(CLI::App& app, Context& context) {
  auto* tenant = app.add_subcommand("tenant", "Tenants: what they may choose for their VMs, and what they chose");
  tenant->require_subcommand(1);
  tenant->footer("Examples:\n  vmsec tenant show acme\n  vmsec tenant choose acme acme-web memory_scanner");

  auto name = std::make_shared<std::string>();
  auto* show_command = tenant->add_subcommand("show", "A tenant's VMs, what it is offered and what it chose");
  show_command->add_option("NAME", *name, "The tenant; without it all of them");
  show_command->footer("Examples:\n  vmsec tenant show\n  vmsec tenant show acme --json");
  context.on(show_command, [&context, name] { return show_tenant(context, *name); });

  auto words = std::make_shared<Words>();
  auto* choose_command = tenant->add_subcommand("choose", "A module that the tenant is offered, for one of its VMs");
  add_words(*choose_command, words);
  choose_command->footer("Examples:\n  vmsec tenant choose acme acme-web memory_scanner --by alice@acme.example");
  context.on(choose_command, [&context, words] { return choose(context, *words); });

  auto* drop_command = tenant->add_subcommand("drop", "And no more");
  add_words(*drop_command, words);
  drop_command->footer("Examples:\n  vmsec tenant drop acme acme-web memory_scanner");
  context.on(drop_command, [&context, words] { return drop(context, *words); });
}

}  // namespace vmsec::cli

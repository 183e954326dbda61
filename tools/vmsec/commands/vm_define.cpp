// vmsec vm define, export, start, undefine: a VM by its definition (docs/interchange.md).
#include <sys/random.h>

#include <algorithm>

#include "commands/commands.hpp"
#include "input.hpp"
#include "output.hpp"
#include "vmsec/definition.hpp"

namespace vmsec::cli {
namespace {

constexpr std::size_t kLongestFile = 1 << 20;

struct DefineOptions {
  std::string file;
  std::vector<std::string> without;
  bool dry_run = false;
};

struct ExportOptions {
  std::string vm;
  bool native = false;
  std::string out;
};

// RFC 4122, version 4.
Result<Uuid> draw_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail(errno_error("draw a UUID"));
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  return Uuid(bytes);
}

Result<DomainDefinition> read_definition(const std::string& file) {
  VMSEC_TRY(const std::string text, read_input("definition", file, kLongestFile));
  VMSEC_TRY(auto definition, parse_definition(text, file));
  if (definition.domain.is_nil()) {
    VMSEC_TRY(definition.domain, draw_uuid());
  }
  return definition;
}

void print_losses(const std::vector<Loss>& losses, std::FILE* to) {
  if (losses.empty()) return;
  Table table({"LOST", "WHY"});
  for (const auto& loss : losses) table.add({loss.place, loss.reason});
  table.print(to);
}

// What comes from a hypervisor: its lines stay lines, and steer no terminal.
void print_text(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    std::printf("%s\n", is_terminal() ? safe(text.substr(at, end - at)).c_str() : text.substr(at, end - at).c_str());
    at = end + 1;
  }
}

Ending dry_run(Context& context, Interchange& interchange, const DomainDefinition& definition) {
  VMSEC_TRY(const auto translation, interchange.translate(definition));
  context.print(translation, [](const Translation& found) {
    print_text(found.text);
    std::puts(found.losses.empty() ? "\nnothing is lost" : "");
    print_losses(found.losses, stdout);
  });
  return Exit::ok;
}

// More than what was accepted.
bool loses_more(Interchange& interchange, const DomainDefinition& definition, const std::vector<std::string>& without) {
  const auto translation = interchange.translate(definition);
  return translation && std::ranges::any_of(translation->losses, [&](const Loss& loss) {
           return std::ranges::find(without, loss.place) == without.end();
         });
}

Ending define(Context& context, const DefineOptions& options) {
  if (options.dry_run && !options.without.empty())
    return usage_error("vm define: --dry-run shows all that is lost; --without has no part in it");
  VMSEC_TRY(const auto definition, read_definition(options.file));
  VMSEC_TRY(const auto interchange, context.open<Interchange>());
  if (options.dry_run) return dry_run(context, *interchange, definition);
  const auto defined = interchange->define({definition.domain, definition, options.without});
  if (!defined && defined.error().code == Code::unsupported && loses_more(*interchange, definition, options.without))
    return fail_with(defined.error(), "--dry-run lists what is lost here; --without PLACE, for each, defines it so");
  VMSEC_TRY(const DomainRef ref, defined);
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto now, domains->get(ref));
  context.print(now, [](const DomainInfo& info) {
    std::printf("%s %s is defined, and %s; \"vmsec vm start\" starts it\n", info.name.c_str(),
                info.domain.text().c_str(), std::string(name_of(info.state)).c_str());
  });
  return Exit::ok;
}

Status write_new_file(const std::string& file, const std::string& text) {
  const Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out.valid() && errno == EEXIST)
    return fail(Code::already_exists, "write definition " + file + ": it exists, and is not replaced");
  if (!out.valid()) return fail(errno_error("write definition " + file, errno, Code::invalid_argument));
  if (::write(out.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(out.get()) != 0)
    return fail(errno_error("write definition " + file));
  return {};
}

Ending export_vm(Context& context, const ExportOptions& options) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, options.vm));
  VMSEC_TRY(const auto interchange, context.open<Interchange>());
  VMSEC_TRY(const auto exported, interchange->export_domain({domain.domain}));
  const std::string text = options.native ? exported.text : write_definition(exported.definition);
  if (!options.out.empty()) VMSEC_CHECK(write_new_file(options.out, text));
  if (context.options.json)
    Context::print_json(to_json(exported));
  else if (options.out.empty())
    print_text(text);
  print_losses(exported.losses, stderr);
  return Exit::ok;
}

Ending start(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  VMSEC_TRY(const auto interchange, context.open<Interchange>());
  VMSEC_CHECK(interchange->start({domain.domain}));
  VMSEC_TRY(const auto now, domains->get({domain.domain}));
  context.print(now, [](const DomainInfo& info) {
    std::printf("%s is %s\n", info.name.c_str(), std::string(name_of(info.state)).c_str());
  });
  return Exit::ok;
}

Ending undefine(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  VMSEC_TRY(const auto interchange, context.open<Interchange>());
  VMSEC_CHECK(interchange->undefine({domain.domain}));
  if (context.options.json)
    Context::print_json({{"domain", domain.domain.text()}, {"name", domain.name}});
  else
    std::printf("%s is undefined; its disks stay\n", domain.name.c_str());
  return Exit::ok;
}

void add_define(CLI::App& vm, Context& context) {
  auto options = std::make_shared<DefineOptions>();
  auto* command = vm.add_subcommand("define", "Make a VM of a definition; it does not run");
  command->add_option("FILE", options->file, "The definition, in TOML (docs/interchange.md)")->required();
  command->add_option("--without", options->without, "Define it although this hypervisor loses this; may be repeated")
      ->type_name("PLACE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--dry-run", options->dry_run,
                    "Print what the hypervisor would get, and what is lost; change nothing");
  command->footer(
      "What this hypervisor cannot say of the definition is an error (exit code 2) unless --without names its place.\n"
      "A definition without uuid gets a new one.\n\n"
      "Examples:\n  vmsec vm define web-1.toml --dry-run\n  vmsec vm define web-1.toml\n"
      "  vmsec vm define web-1.toml --without tpm --without nic.0.bridge");
  context.on(command, [&context, options] { return define(context, *options); });
}

void add_export(CLI::App& vm, Context& context) {
  auto options = std::make_shared<ExportOptions>();
  auto* command = vm.add_subcommand("export", "A VM's definition, for this or another hypervisor");
  command->add_option("VM", options->vm, "Its name or UUID")->required();
  command->add_flag("--native", options->native, "The hypervisor's own configuration instead");
  command->add_option("--out,-o", options->out, "A new file; without it, standard output")->type_name("FILE");
  command->footer(
      "What no definition can say is listed on standard error.\n\n"
      "Examples:\n  vmsec vm export web-1 --out web-1.toml\n  vmsec vm export web-1 --native\n"
      "  vmsec vm export web-1 --json");
  context.on(command, [&context, options] { return export_vm(context, *options); });
}

}  // namespace

void add_vm_define(CLI::App& vm, Context& context) {
  add_define(vm, context);
  add_export(vm, context);
  auto name = std::make_shared<std::string>();
  const auto with_name = [&](const char* command, const char* summary) {
    auto* added = vm.add_subcommand(command, summary);
    added->add_option("VM", *name, "Its name or UUID")->required();
    added->footer(std::string("Examples:\n  vmsec vm ") + command + " web-1\n  vmsec vm " + command + " web-1 --json");
    return added;
  };
  context.on(with_name("start", "Start a VM that was defined and does not run"),
             [&context, name] { return start(context, *name); });
  context.on(with_name("undefine", "Forget a VM that does not run; its disks stay"),
             [&context, name] { return undefine(context, *name); });
}

}  // namespace vmsec::cli

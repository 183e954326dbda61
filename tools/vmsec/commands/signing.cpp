// vmsec module key, sign, verify, inspect: an object's file and its signatures. No host is asked.
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::cli {
namespace {

struct SigningOptions {
  std::string file;
  std::string key;
  std::string name;
  std::string kind = "module";
  [[nodiscard]] ObjectKind object_kind() const { return kind == "plugin" ? ObjectKind::plugin : ObjectKind::module; }
};

// "keys/acme.key" is called acme.
std::string signer_of(const SigningOptions& wanted) {
  if (!wanted.name.empty()) return wanted.name;
  const auto file = wanted.key.substr(wanted.key.rfind('/') + 1);
  return file.substr(0, file.find('.'));
}

Ending make_key(const Context& context, const SigningOptions& wanted) {
  VMSEC_TRY(const auto made, PlacementKey::create(wanted.file, KeyType::ed25519));
  VMSEC_TRY(const std::string raw, read_public_key(made.public_key().pem(), wanted.file + ".pub"));
  if (context.options.json) {
    Context::print_json(Json{{"key", wanted.file}, {"public_key", wanted.file + ".pub"}, {"key_id", key_id(raw)}});
    return Exit::ok;
  }
  print_facts({{"private key", wanted.file + "  (for who signs; never on a host)"},
               {"public key", wanted.file + ".pub  (to every host: vmsec module trust add)"},
               {"key id", key_id(raw)}});
  return Exit::ok;
}

Ending sign(const Context& context, const SigningOptions& wanted) {
  VMSEC_TRY(const auto made, sign_object(wanted.file, wanted.object_kind(), wanted.key, signer_of(wanted)));
  const std::string file = signature_file_of(wanted.file);
  if (context.options.json) {
    Json keys = Json::array();
    for (const auto& one : made.signatures) keys.push_back({{"key", one.key}, {"key_id", one.key_id}});
    Context::print_json(Json{{"file", wanted.file},
                             {"kind", wanted.kind},
                             {"sha256", made.sha256},
                             {"signature_file", file},
                             {"signatures", std::move(keys)}});
    return Exit::ok;
  }
  print_facts({{"signed", wanted.file + " as a " + wanted.kind},
               {"SHA-256", made.sha256},
               {"by key", made.signatures.back().key + ", id " + made.signatures.back().key_id},
               {"signatures", file + "  (goes where the file goes)"}});
  return Exit::ok;
}

Json json_of(const ObjectReport& report) {
  Json refusals = Json::array();
  for (const Error& refusal : report.refusals)
    refusals.push_back({{"code", std::string(to_string(refusal.code))}, {"message", refusal.message}});
  return {{"file", report.file},         {"kind", std::string(to_string(report.kind))},
          {"sha256", report.sha256},     {"abi", {{"major", report.abi_major}, {"minor", report.abi_minor}}},
          {"name", report.name},         {"version", report.version},
          {"summary", report.summary},   {"section", report.section},
          {"provides", report.provides}, {"needs", report.needs},
          {"asks", report.asks},         {"links", report.links},
          {"signer", report.signer},     {"refusals", std::move(refusals)}};
}

void print_object(const ObjectReport& report) {
  std::vector<Fact> facts = {{"file", report.file}, {"SHA-256", report.sha256}};
  if (report.kind == ObjectKind::module) {
    facts.push_back({"name", report.name.empty() ? "-" : report.name + " " + report.version});
    facts.push_back({"summary", report.summary.empty() ? "-" : report.summary});
    facts.push_back({"module ABI", std::to_string(report.abi_major) + "." + std::to_string(report.abi_minor)});
    facts.push_back({"policy section", report.section.empty() ? "-" : "[vm." + report.section + "]"});
    facts.push_back({"provides", joined(report.provides, "-")});
    facts.push_back({"needs", joined(report.needs, "-")});
    facts.push_back({"asks", joined(report.asks, "-")});
  }
  facts.push_back({"links", joined(report.links, "-")});
  facts.push_back({"signed by", report.signer.empty() ? "nobody who is trusted" : report.signer});
  facts.push_back({"loads", report.refusals.empty() ? coloured(Colour::green, "yes") : coloured(Colour::red, "no")});
  for (const Error& refusal : report.refusals)
    facts.push_back({std::string(to_string(refusal.code)), coloured(Colour::red, refusal.message)});
  print_facts(facts);
}

// What is refused is what was asked for: no failure of this command.
Ending inspect(const Context& context, const SigningOptions& wanted) {
  VMSEC_TRY(const Trust trust, Trust::read(context.options.trust));
  VMSEC_TRY(const auto report, inspect_object(wanted.file, wanted.object_kind(), trust));
  if (context.options.json)
    Context::print_json(json_of(report));
  else
    print_object(report);
  return Exit::ok;
}

Ending verify(const Context& context, const SigningOptions& wanted) {
  VMSEC_TRY(const Trust trust, Trust::read(context.options.trust));
  VMSEC_TRY(const auto report, inspect_object(wanted.file, wanted.object_kind(), trust));
  if (!report.refusals.empty())
    return fail_with(report.refusals.front(),
                     "\"vmsec module inspect\" shows all of it, \"vmsec module trust list\" "
                     "whom this host trusts");
  if (context.options.json) {
    Context::print_json(Json{{"file", report.file}, {"sha256", report.sha256}, {"signer", report.signer}});
    return Exit::ok;
  }
  std::printf("%s: signed by %s, and loads\n", safe(report.file).c_str(), report.signer.c_str());
  return Exit::ok;
}

CLI::App* add(CLI::App* module, const char* name, const char* summary, const std::shared_ptr<SigningOptions>& wanted) {
  auto* command = module->add_subcommand(name, summary);
  command->add_option("FILE", wanted->file, "The shared object")->required();
  command->add_option("--kind", wanted->kind, "What it is: module (the default) or plugin")
      ->check(CLI::IsMember({"module", "plugin"}))
      ->type_name("NAME");
  return command;
}

}  // namespace

void add_signing(CLI::App& app, Context& context) {
  auto* module = app.get_subcommand("module");
  auto wanted = std::make_shared<SigningOptions>();
  auto* key = module->add_subcommand("key", "A new pair of keys that signs modules and plugins (Ed25519)");
  key->add_option("FILE", wanted->file, "The private key; the public one is FILE.pub")->required();
  key->footer("Examples:\n  vmsec module key acme.key");
  context.on(key, [&context, wanted] { return make_key(context, *wanted); });

  auto* signing = add(module, "sign", "Sign a module or a plugin: FILE.sig, which goes where FILE goes", wanted);
  signing->add_option("--key", wanted->key, "The private key, that nobody else may read")
      ->required()
      ->type_name("FILE");
  signing->add_option("--name", wanted->name, "What to call the key (the file's name)")->type_name("NAME");
  signing->footer(
      "Examples:\n  vmsec module sign scanner.so --key acme.key\n"
      "  vmsec module sign hyper.so --kind plugin --key acme.key --name acme");
  context.on(signing, [&context, wanted] { return sign(context, *wanted); });

  auto* checking = add(module, "verify", "Would this host load it? By its signature, manifest and links", wanted);
  checking->footer("Examples:\n  vmsec module verify scanner.so\n  vmsec module verify scanner.so --trust trust.toml");
  context.on(checking, [&context, wanted] { return verify(context, *wanted); });

  auto* looking = add(module, "inspect", "What it says of itself, who signed it, and what would be refused", wanted);
  looking->footer("Examples:\n  vmsec module inspect scanner.so\n  vmsec module inspect scanner.so --json");
  context.on(looking, [&context, wanted] { return inspect(context, *wanted); });
}

}  // namespace vmsec::cli

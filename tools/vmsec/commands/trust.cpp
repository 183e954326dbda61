// vmsec module trust: the operator's trust store, shown and changed. No host is asked: it reads the store when it
// starts.
#include <algorithm>
#include <filesystem>

#include "commands/commands.hpp"
#include "input.hpp"
#include "output.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/trust.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

constexpr std::size_t kMaximumKey = 64 << 10;

struct TrustChange {
  std::string subject;  // a key's name, a module's, or a digest
  std::string file;
  std::vector<std::string> roles = {"module"};
  std::string until;
  std::string reason;
  std::string version;
};

std::string store_file(const Context& context) {
  return context.options.trust.empty() ? std::string(kOperatorTrust) : context.options.trust;
}

// None yet is an empty one.
Result<TrustStore> open_store(const Context& context) {
  auto store = read_trust_store(store_file(context));
  if (store || store.error().code != Code::not_found) return store;
  TrustStore none;
  none.file = store_file(context);
  return none;
}

// What is written is what would be read: a wrong name or day is found before the file is touched.
Ending keep(const Context& context, const TrustStore& store, const std::string& what) {
  VMSEC_CHECK(parse_trust_store(trust_store_text(store), store.file));
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(store.file).parent_path(), ignored);
  VMSEC_CHECK(write_trust_store(store));
  if (context.options.json)
    Context::print_json(Json{{"file", store.file}, {"done", what}});
  else
    std::printf("%s: %s; hosts see it when they start\n", safe(store.file).c_str(), safe(what).c_str());
  return Exit::ok;
}

std::unexpected<Failure> no_key(const TrustStore& store, const std::string& name) {
  return fail_with(Error{Code::not_found, "trust store " + store.file + ": no key " + units::quoted(name), 0, {}},
                   "\"vmsec module trust list\" shows those there are");
}

auto find_key(TrustStore& store, const std::string& name) {
  return std::ranges::find(store.keys, name, &TrustedKey::name);
}

std::string roles_of(const TrustedKey& key) {
  std::string text;
  for (const TrustRole role : key.roles) text += (text.empty() ? "" : ", ") + std::string(to_string(role));
  return text;
}

Json json_of(const TrustStore& store) {
  Json keys = Json::array();
  for (const auto& key : store.keys) {
    Json roles = Json::array();
    for (const TrustRole role : key.roles) roles.push_back(std::string(to_string(role)));
    keys.push_back({{"name", key.name},
                    {"key_id", key_id(key.public_key)},
                    {"roles", std::move(roles)},
                    {"not_after", key.not_after.empty() ? Json() : Json(key.not_after)},
                    {"revoked", key.revoked.empty() ? Json() : Json(key.revoked)},
                    {"reason", key.reason}});
  }
  Json minimums = Json::array();
  for (const auto& minimum : store.minimums)
    minimums.push_back({{"module", minimum.module}, {"version", minimum.version}});
  Json revoked = Json::array();
  for (const auto& object : store.revoked) revoked.push_back({{"sha256", object.sha256}, {"reason", object.reason}});
  return {{"file", store.file},
          {"keys", std::move(keys)},
          {"minimums", std::move(minimums)},
          {"revoked", std::move(revoked)}};
}

void print_store(const TrustStore& store, const char* whose) {
  if (store.file.empty()) return;
  std::printf("%s store, %s\n", whose, safe(store.file).c_str());
  Table keys({"KEY", "ID", "ROLES", "UNTIL", "STANDING"});
  for (const auto& key : store.keys)
    keys.add({key.name, key_id(key.public_key).substr(0, 16), roles_of(key),
              key.not_after.empty() ? "-" : key.not_after,
              key.revoked.empty()
                  ? "good"
                  : coloured(Colour::red, "revoked " + key.revoked + (key.reason.empty() ? "" : ": " + key.reason))});
  if (store.keys.empty())
    std::puts("no keys");
  else
    keys.print();
  for (const auto& minimum : store.minimums)
    std::printf("at least  %s %s\n", minimum.module.c_str(), minimum.version.c_str());
  for (const auto& object : store.revoked)
    std::printf("revoked   %s %s\n", object.sha256.c_str(), safe(object.reason).c_str());
}

Ending list_keys(const Context& context) {
  VMSEC_TRY(const Trust trust, Trust::read(context.options.trust));
  if (context.options.json) {
    Context::print_json(Json{{"operator", json_of(trust.operators())}, {"shipped", json_of(trust.shipped())}});
    return Exit::ok;
  }
  print_store(trust.operators(), "operator's");
  if (!trust.shipped().file.empty()) std::puts("");
  print_store(trust.shipped(), "shipped");
  return Exit::ok;
}

Result<std::vector<TrustRole>> roles_wanted(const TrustChange& wanted) {
  std::vector<TrustRole> roles;
  for (const auto& text : wanted.roles) {
    VMSEC_TRY(const TrustRole role, parse_role(text));
    roles.push_back(role);
  }
  return roles;
}

// Without a file: the shipped store's key of this name, with its roles and those that
// are wanted. In the place of an older one: packages of another build have another key.
Ending extend(const Context& context, TrustStore& store, const TrustChange& wanted) {
  VMSEC_TRY(TrustStore shipped, read_trust_store(shipped_trust()));
  const auto theirs = find_key(shipped, wanted.subject);
  if (theirs == shipped.keys.end())
    return fail_with(Error{Code::not_found,
                           "trust key " + wanted.subject + ": the shipped store, " + shipped.file +
                               ", has none of this name, and no file with a public key is given",
                           0,
                           {}},
                     "\"vmsec module trust list\" shows those there are");
  TrustedKey key = *theirs;
  key.not_after = wanted.until;
  VMSEC_TRY(const auto roles, roles_wanted(wanted));
  for (const TrustRole role : roles)
    if (std::ranges::find(key.roles, role) == key.roles.end()) key.roles.push_back(role);
  const auto here = find_key(store, key.name);
  if (here != store.keys.end() && !here->revoked.empty())
    return fail_with(
        Error{Code::denied, "trust store " + store.file + ": key " + units::quoted(key.name) + " is revoked", 0, {}},
        "a key that is revoked stays so");
  const std::string done = "key " + key.name + " is trusted for " + roles_of(key);
  if (here != store.keys.end())
    *here = std::move(key);
  else
    store.keys.push_back(std::move(key));
  return keep(context, store, done);
}

Ending add_key(const Context& context, const TrustChange& wanted) {
  VMSEC_TRY(TrustStore store, open_store(context));
  if (wanted.file.empty()) return extend(context, store, wanted);
  VMSEC_TRY(const std::string pem, read_input("trust key " + wanted.subject, wanted.file, kMaximumKey));
  TrustedKey key;
  key.name = wanted.subject;
  VMSEC_TRY(key.public_key, read_public_key(pem, wanted.file));
  VMSEC_TRY(key.roles, roles_wanted(wanted));
  key.not_after = wanted.until;
  if (find_key(store, key.name) != store.keys.end())
    return usage_error("trust store " + store.file + ": there is a key " + units::quoted(key.name) +
                       " already: \"vmsec module trust remove\" it first");
  store.keys.push_back(key);
  return keep(context, store, "key " + key.name + " is trusted for " + roles_of(key));
}

// Whoever removes a revoked key revokes nothing any more.
Ending remove_key(const Context& context, const TrustChange& wanted) {
  VMSEC_TRY(TrustStore store, open_store(context));
  const auto found = find_key(store, wanted.subject);
  if (found == store.keys.end()) return no_key(store, wanted.subject);
  if (!found->revoked.empty())
    return fail_with(Error{Code::denied,
                           "trust store " + store.file + ": key " + units::quoted(wanted.subject) +
                               " is revoked, and stays on the list",
                           0,
                           {}},
                     "without its entry, another store could trust it again");
  store.keys.erase(found);
  return keep(context, store, "key " + wanted.subject + " is removed");
}

std::string today() {
  std::string text = human_time(system_now());
  return text.substr(0, 10);
}

Ending revoke_object(const Context& context, const TrustChange& wanted) {
  VMSEC_TRY(TrustStore store, open_store(context));
  const bool digest =
      wanted.subject.size() == 64 && wanted.subject.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (digest) {
    store.revoked.push_back({wanted.subject, wanted.reason});
    return keep(context, store, "file " + wanted.subject + " is revoked");
  }
  auto found = find_key(store, wanted.subject);
  if (found == store.keys.end()) {
    // One of the shipped store's: from now on the operator's names it too.
    VMSEC_TRY(TrustStore shipped, read_trust_store(shipped_trust()));
    const auto theirs = find_key(shipped, wanted.subject);
    if (theirs == shipped.keys.end()) return no_key(store, wanted.subject);
    store.keys.push_back(*theirs);
    found = store.keys.end() - 1;
  }
  if (found->revoked.empty()) found->revoked = today();
  if (!wanted.reason.empty()) found->reason = wanted.reason;
  return keep(context, store, "key " + wanted.subject + " is revoked, with all that it ever signed");
}

Ending minimum(const Context& context, const TrustChange& wanted) {
  VMSEC_TRY(TrustStore store, open_store(context));
  std::erase_if(store.minimums, [&](const MinimumVersion& one) { return one.module == wanted.subject; });
  store.minimums.push_back({wanted.subject, wanted.version});
  return keep(context, store, "module " + wanted.subject + " must be " + wanted.version + " or later");
}

}  // namespace

void add_trust(CLI::App& app, Context& context) {
  auto* trust = app.get_subcommand("module")->add_subcommand("trust", "Whose modules and plugins this host runs");
  trust->require_subcommand(1);
  trust->footer("Examples:\n  vmsec module trust list\n  vmsec module trust add acme acme.key.pub --role module");
  auto wanted = std::make_shared<TrustChange>();
  const auto command = [&](const char* name, const char* summary, const char* examples, auto act) {
    auto* made = trust->add_subcommand(name, summary);
    made->footer(std::string("Examples:\n  vmsec module trust ") + examples);
    context.on(made, [&context, wanted, act] { return act(context, *wanted); });
    return made;
  };
  command("list", "The operator's store and the shipped one", "list\n  vmsec module trust list --json",
          [](const Context& of, const TrustChange&) { return list_keys(of); });
  auto* adding = command("add", "Trust a key",
                         "add acme acme.key.pub\n  vmsec module trust add acme acme.key.pub "
                         "--role module --role in-process --until 2030-12-31\n  vmsec module trust add vmsec-build "
                         "--role in-process",
                         add_key);
  adding->add_option("NAME", wanted->subject, "What to call it")->required();
  adding->add_option("FILE", wanted->file, "The public key (PEM); none: the shipped store's of this name");
  adding->add_option("--role", wanted->roles, "For what: module (the default), plugin, in-process; may be repeated")
      ->check(CLI::IsMember({"module", "plugin", "in-process"}))
      ->type_name("NAME")
      ->take_all()
      ->allow_extra_args(false);
  adding->add_option("--until", wanted->until, "The last day, as 2030-12-31; else for ever")->type_name("DAY");
  auto* removing = command("remove", "Trust a key no more", "remove acme", remove_key);
  removing->add_option("NAME", wanted->subject, "The key")->required();
  auto* revoking = command("revoke", "Never again load what a key signed, or one file",
                           "revoke acme --reason \"key was "
                           "stolen\"\n  vmsec module trust revoke SHA256 --reason CVE-2031-1",
                           revoke_object);
  revoking->add_option("NAME", wanted->subject, "The key, or a file's SHA-256")->required();
  revoking->add_option("--reason", wanted->reason, "Why, for who reads the refusal")->type_name("TEXT");
  auto* least = command("minimum", "Load no older version of a module", "minimum scanner 1.4.2", minimum);
  least->add_option("MODULE", wanted->subject, "The module")->required();
  least->add_option("VERSION", wanted->version, "The oldest one that loads")->required();
}

}  // namespace vmsec::cli

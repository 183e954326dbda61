// vmsec pki: the certificate authority of the hosts, and placement keys. No host is asked.
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

struct PkiCommand {
  std::string dir;
  std::string name;  // of the authority, a host, or a serial
  std::string out = ".";
  std::string file;
  std::uint32_t days = 0;
  std::uint32_t crl_days = 7;
  std::string key = "ecdsa-p256";
};

KeyType key_type(const std::string& name) { return name == "ed25519" ? KeyType::ed25519 : KeyType::ecdsa_p256; }

constexpr std::uint64_t kDay = 24UL * 3600;

Json json_of(const IssuedCertificate& certificate) {
  return {{"serial", certificate.serial},
          {"host", certificate.host},
          {"not_before", time_json(certificate.not_before)},
          {"not_after", time_json(certificate.not_after)},
          {"revoked", certificate.revoked ? time_json(*certificate.revoked) : Json()}};
}

Json json_of(const std::vector<IssuedCertificate>& certificates) {
  Json list = Json::array();
  for (const auto& certificate : certificates) list.push_back(json_of(certificate));
  return list;
}

// What every answer about the list says: hosts refuse everybody once it is stale.
Json crl_json(const CertificateAuthority& authority, const RevocationList& list) {
  return {{"revocations", authority.crl_file().string()},
          {"number", list.number},
          {"next_update", time_json(list.next_update)}};
}

std::string crl_text(const CertificateAuthority& authority, const RevocationList& list) {
  return "number " + std::to_string(list.number) + " in " + authority.crl_file().string() + ", good until " +
         human_time(list.next_update);
}

Ending init(const Context& context, const PkiCommand& wanted) {
  AuthorityOptions options;
  options.key = key_type(wanted.key);
  if (wanted.days != 0) options.days = wanted.days;
  VMSEC_TRY(const auto authority, CertificateAuthority::init(wanted.dir, wanted.name, options));
  VMSEC_TRY(const auto list, authority.revocations());
  if (context.options.json) {
    Json json = {{"name", authority.name()}, {"certificate", authority.certificate_file().string()}};
    json.update(crl_json(authority, list));
    Context::print_json(json);
    return Exit::ok;
  }
  print_facts(
      {{"authority", authority.name() + ", good until " + human_time(authority.not_after())},
       {"certificate", authority.certificate_file().string() + "  (to every host)"},
       {"revocation list", crl_text(authority, list) + "  (to every host; a new one, by \"pki crl\", before then)"}});
  return Exit::ok;
}

Ending issue(const Context& context, const PkiCommand& wanted) {
  VMSEC_TRY(auto authority, CertificateAuthority::open(wanted.dir));
  IssueOptions options;
  options.out_dir = wanted.out;
  options.key = key_type(wanted.key);
  if (wanted.days != 0) options.days = wanted.days;
  VMSEC_TRY(const auto files, authority.issue(wanted.name, options));
  if (context.options.json) {
    Context::print_json(Json{{"host", wanted.name},
                             {"serial", files.serial},
                             {"certificate", files.certificate.string()},
                             {"key", files.key.string()}});
    return Exit::ok;
  }
  print_facts({{"host", wanted.name},
               {"serial", files.serial},
               {"certificate", files.certificate.string()},
               {"key", files.key.string() + "  (to that host alone)"}});
  return Exit::ok;
}

// A revocation that no list tells of protects nobody: so the list is made at once.
Ending revoke(const Context& context, const PkiCommand& wanted) {
  VMSEC_TRY(auto authority, CertificateAuthority::open(wanted.dir));
  VMSEC_TRY(const auto revoked, authority.revoke(wanted.name));
  VMSEC_CHECK(authority.publish_crl(wanted.crl_days * kDay));
  VMSEC_TRY(const auto list, authority.revocations());
  if (context.options.json) {
    Json json = {{"revoked", json_of(revoked)}};
    json.update(crl_json(authority, list));
    Context::print_json(json);
    return Exit::ok;
  }
  for (const auto& each : revoked) std::printf("revoked %s of %s\n", each.serial.c_str(), each.host.c_str());
  std::printf("revocation list %s: bring it to every host\n", crl_text(authority, list).c_str());
  return Exit::ok;
}

Ending publish(const Context& context, const PkiCommand& wanted) {
  VMSEC_TRY(auto authority, CertificateAuthority::open(wanted.dir));
  VMSEC_CHECK(authority.publish_crl(wanted.crl_days * kDay));
  VMSEC_TRY(const auto list, authority.revocations());
  if (context.options.json) {
    Context::print_json(crl_json(authority, list));
    return Exit::ok;
  }
  std::printf("revocation list %s: bring it to every host\n", crl_text(authority, list).c_str());
  return Exit::ok;
}

std::string standing(const IssuedCertificate& certificate) {
  if (certificate.revoked) return coloured(Colour::red, "revoked " + human_time(*certificate.revoked));
  if (system_now() >= certificate.not_after) return coloured(Colour::yellow, "expired");
  return "good";
}

Ending list(const Context& context, const PkiCommand& wanted) {
  VMSEC_TRY(auto authority, CertificateAuthority::open(wanted.dir));
  VMSEC_TRY(const auto certificates, authority.list());
  VMSEC_TRY(const auto crl, authority.revocations());
  if (context.options.json) {
    Json json = {{"name", authority.name()}, {"not_after", time_json(authority.not_after())}};
    json.update(crl_json(authority, crl));
    json["certificates"] = json_of(certificates);
    Context::print_json(json);
    return Exit::ok;
  }
  print_facts({{"authority", authority.name() + ", good until " + human_time(authority.not_after())},
               {"revocation list", crl_text(authority, crl)}});
  std::puts("");
  Table table({"HOST", "SERIAL", "VALID FROM", "UNTIL", "STANDING"});
  for (const auto& each : certificates)
    table.add({each.host, each.serial, human_time(each.not_before), human_time(each.not_after), standing(each)});
  table.print();
  return Exit::ok;
}

Ending placement_key(const Context& context, const PkiCommand& wanted, const std::string& type) {
  VMSEC_TRY(const auto key, PlacementKey::create(wanted.file, key_type(type)));
  const std::string digest = hexadecimal(key.public_key().digest());
  if (context.options.json) {
    Context::print_json(Json{{"key", wanted.file}, {"public_key", wanted.file + ".pub"}, {"digest", digest}});
    return Exit::ok;
  }
  print_facts({{"private key", wanted.file + "  (for the control plane; never on a host)"},
               {"public key", wanted.file + ".pub  (to every host: identity.placement_keys)"},
               {"digest", digest}});
  return Exit::ok;
}

void add_key_type(CLI::App* command, std::string& key) {
  command->add_option("--key-type", key, "Which kind of key")
      ->check(CLI::IsMember({"ecdsa-p256", "ed25519"}))
      ->type_name("NAME");
}

void add_crl_days(CLI::App* command, const std::shared_ptr<PkiCommand>& wanted) {
  command->add_option("--days", wanted->crl_days, "How long the list is good; hosts refuse a stale one (7)")
      ->type_name("N")
      ->check(CLI::Range(1, 365));
}

}  // namespace

void add_pki(CLI::App& app, Context& context) {
  auto* pki = app.add_subcommand("pki", "The hosts' certificates: init, issue, revoke, crl, list; placement keys");
  pki->require_subcommand(1);
  pki->footer(
      "Examples:\n  vmsec pki init ca --name \"Example cloud\"\n  vmsec pki issue ca host-a --out /etc/vmsec\n"
      "  vmsec pki placement-key placement.key");
  auto wanted = std::make_shared<PkiCommand>();
  const auto add = [&](const char* name, const char* summary, const char* examples) {
    auto* command = pki->add_subcommand(name, summary);
    command->add_option("DIR", wanted->dir, "The authority's folder")->required();
    command->footer(std::string("Examples:\n") + examples);
    return command;
  };
  auto* init_command = add("init", "A new certificate authority", "  vmsec pki init ca --name \"Example cloud\"");
  init_command->add_option("--name", wanted->name, "Its name, in every certificate")->required()->type_name("TEXT");
  init_command->add_option("--days", wanted->days, "How long it is good (3650)")->type_name("N");
  add_key_type(init_command, wanted->key);
  context.on(init_command, [&context, wanted] { return init(context, *wanted); });

  auto* issue_command =
      add("issue", "A key and a certificate for a host", "  vmsec pki issue ca host-a --out /etc/vmsec");
  issue_command->add_option("HOST", wanted->name, "The host's name")->required();
  issue_command
      ->add_option("--out", wanted->out,
                   "Folder for HOST.crt and HOST.key, made where it is missing; without it, this one")
      ->type_name("DIR");
  issue_command->add_option("--days", wanted->days, "How long it is good (365)")->type_name("N");
  add_key_type(issue_command, wanted->key);
  context.on(issue_command, [&context, wanted] { return issue(context, *wanted); });

  auto* revoke_command = add("revoke", "Revoke a host's certificates, or one of them; publish the list",
                             "  vmsec pki revoke ca host-b\n  vmsec pki revoke ca 0c1f...");
  revoke_command->add_option("HOST|SERIAL", wanted->name, "A host's name, or a serial")->required();
  add_crl_days(revoke_command, wanted);
  context.on(revoke_command, [&context, wanted] { return revoke(context, *wanted); });

  auto* crl_command = add("crl", "Sign a new revocation list", "  vmsec pki crl ca --days 7");
  add_crl_days(crl_command, wanted);
  context.on(crl_command, [&context, wanted] { return publish(context, *wanted); });

  auto* list_command =
      add("list", "All certificates and their standing", "  vmsec pki list ca\n  vmsec pki list ca --json");
  context.on(list_command, [&context, wanted] { return list(context, *wanted); });

  auto* placement = pki->add_subcommand("placement-key", "A key that signs migration tickets, for the control plane");
  placement->add_option("FILE", wanted->file, "The private key; the public one goes to FILE.pub")->required();
  auto type = std::make_shared<std::string>("ed25519");
  add_key_type(placement, *type);
  placement->footer("Examples:\n  vmsec pki placement-key placement.key");
  context.on(placement, [&context, wanted, type] { return placement_key(context, *wanted, *type); });
}

}  // namespace vmsec::cli

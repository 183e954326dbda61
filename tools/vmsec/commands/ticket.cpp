// vmsec ticket: a placement key's leave to move one VM, once, from here to there.
#include <fcntl.h>
#include <unistd.h>

#include "commands/commands.hpp"
#include "output.hpp"
#include "tickets.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/ticket.hpp"

namespace vmsec::cli {
namespace {

Json claims_json(const TicketClaims& claims) {
  Json json = to_json(claims);
  // Digests, whatever their bytes look like.
  json["configuration_digest"] = hexadecimal(claims.configuration_digest);
  json["source_key"] = hexadecimal(claims.source_key);
  json["destination_key"] = hexadecimal(claims.destination_key);
  json["placement_key"] = hexadecimal(claims.placement_key);
  return json;
}

// A new file, for us alone: whoever holds a ticket cannot use it without a host's
// key, but has no need to read it either.
Status write_ticket(const std::string& file, const std::string& text) {
  const Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out.valid() && errno == EEXIST)
    return fail(Code::already_exists, "write ticket " + file + ": it is there already, and is never replaced");
  if (!out.valid()) return fail(errno_error("write ticket " + file));
  if (::write(out.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(out.get()) != 0)
    return fail(errno_error("write ticket " + file));
  return {};
}

Ending create(Context& context, const TicketWish& wish, const std::string& file) {
  VMSEC_TRY(const NewTicket ticket, make_ticket(context, wish));
  const std::string text = ticket_text(ticket.bytes);
  if (!file.empty()) VMSEC_CHECK(write_ticket(file, text));
  if (context.options.json) {
    Json json = claims_json(ticket.claims);
    if (file.empty())
      json["ticket"] = text;
    else
      json["file"] = file;
    Context::print_json(json);
  } else if (file.empty()) {
    std::fputs(text.c_str(), stdout);
  } else {
    std::printf("%s: %s from %s to %s, until %s\n", file.c_str(), safe(wish.vm).c_str(), ticket.claims.source.c_str(),
                ticket.claims.destination.c_str(), human_time(ticket.claims.expires).c_str());
  }
  return Exit::ok;
}

// "not checked" without a key; else a Failure where it does not fit.
std::expected<std::string, Failure> signature_word(const std::string& ticket, const std::string& file,
                                                   const std::string& key_file) {
  if (key_file.empty()) return "not checked (--key FILE checks it)";
  VMSEC_TRY(const PublicKey key, PublicKey::load(key_file));
  VMSEC_TRY(const auto parts, wire::decode<SignedTicket>(ticket));
  if (auto good = key.verify(kTicketLabel, parts.claims, parts.signature); !good)
    return fail_with(good.error().in("check ticket " + file + " against " + key_file),
                     "another key signed it, or it was changed: no host will take it");
  return "good";
}

Ending show(Context& context, const std::string& file, const std::string& key_file) {
  VMSEC_TRY(const std::string ticket, read_ticket_file(file));
  // The signature first: what was changed is named as that, whatever it reads as.
  VMSEC_TRY(const std::string signature, signature_word(ticket, file, key_file));
  const auto decoded = claims_of(ticket);
  if (!decoded) return std::unexpected(Failure(decoded.error().in("read ticket " + file)));
  const TicketClaims& claims = *decoded;
  const bool expired = system_now() >= claims.expires;
  if (context.options.json) {
    Json json = claims_json(claims);
    json["signature"] = signature;
    json["expired"] = expired;
    Context::print_json(json);
    return Exit::ok;
  }
  print_facts({{"ticket", claims.id},
               {"VM", claims.domain.text()},
               {"configuration", hexadecimal(claims.configuration_digest)},
               {"source", claims.source},
               {"source's key", hexadecimal(claims.source_key)},
               {"destination", claims.destination},
               {"destination's key", hexadecimal(claims.destination_key)},
               {"valid from", human_time(claims.not_before)},
               {"until", human_time(claims.expires) + (expired ? coloured(Colour::red, " (expired)") : "")},
               {"placement key", hexadecimal(claims.placement_key)},
               {"signature", signature}});
  return Exit::ok;
}

}  // namespace

void add_ticket(CLI::App& app, Context& context) {
  auto* ticket = app.add_subcommand("ticket", "Migration tickets: create, show");
  ticket->require_subcommand(1);
  ticket->footer("Examples:\n  vmsec ticket show web-1.ticket");

  auto wish = std::make_shared<TicketWish>();
  auto file = std::make_shared<std::string>();
  auto key = std::make_shared<std::string>();
  auto* create_command = ticket->add_subcommand("create", "Sign a ticket by the placement key");
  create_command->add_option("--key", wish->placement_key, "The placement key's file")->required()->type_name("FILE");
  create_command->add_option("--vm,--domain", wish->vm, "The VM's name or UUID")->required()->type_name("VM");
  create_command->add_option("--to", wish->destination, "The destination's name")->required()->type_name("HOST");
  create_command->add_option("--source-cert", wish->source_certificate, "The source's certificate")
      ->required()
      ->type_name("FILE");
  create_command->add_option("--destination-cert", wish->destination_certificate, "The destination's certificate")
      ->required()
      ->type_name("FILE");
  create_command->add_option("--ttl", wish->ttl, "How long it is good: 10min; at most 24h")->type_name("DURATION");
  create_command
      ->add_option("--configuration-digest", wish->configuration_digest,
                   "SHA-256 of the VM's configuration; without it the source's agent is asked")
      ->type_name("HEX");
  create_command->add_option("--out,-o", *file, "A new file; without it, standard output")->type_name("FILE");
  create_command->footer(
      "The agent asked is the source's. A ticket is good for one migration of this VM with this\n"
      "configuration, from and to these hosts' keys.\n\n"
      "Examples:\n"
      "  vmsec ticket create --key placement.key --vm web-1 --to host-b \\\n"
      "      --source-cert host-a.crt --destination-cert host-b.crt --out web-1.ticket");
  context.on(create_command, [&context, wish, file] { return create(context, *wish, *file); });

  auto* show_command = ticket->add_subcommand("show", "What a ticket allows");
  show_command->add_option("FILE", *file, "The ticket")->required();
  show_command->add_option("--key", *key, "Check its signature by this public placement key")->type_name("FILE");
  show_command->footer(
      "Examples:\n  vmsec ticket show web-1.ticket\n  vmsec ticket show web-1.ticket --key placement.key.pub");
  context.on(show_command, [&context, file, key] { return show(context, *file, *key); });
}

}  // namespace vmsec::cli

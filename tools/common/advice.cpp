#include "common/advice.hpp"

#include <array>
#include <string_view>

namespace vmsec::tools {
namespace {

struct Advice {
  std::string_view words;  // that the message has
  std::string_view next;
};

// The first one that fits: what is more particular comes first.
constexpr std::array kAdvice = {
    Advice{"another vmsecd uses", "one agent a state folder: stop the other one, or give this one its own host.state"},
    Advice{"its last checkpoint was signed by another key", "\"vmsec audit verify\" takes both certificates by --key"},
    Advice{"open audit log",
           "\"vmsec audit verify FOLDER --key CERTIFICATE\" says how far it is good; keep audit.log* and audit.head as "
           "evidence: with all of them moved away a new log begins"},
    Advice{
        "append to audit log",
        "nothing is done without its record: make room on the disk of the state folder, and look at audit.log there"},
    Advice{"read audit log", "name the log or its folder, as in \"vmsec audit show /var/lib/vmsec\""},
    Advice{"trust store",
           "\"vmsec module trust list\" shows the stores; root's, and writable by nobody else, they must be"},
    Advice{"trust key", "\"vmsec module trust list\" shows the keys, \"vmsec module key\" makes one"},
    Advice{"find module",
           "\"vmsec module list --scan\" shows those there are, host.module_path where they are looked for"},
    Advice{"find plugin",
           "\"vmsec plugin list --scan\" shows those there are; each is a package: apt install vmsec-plugin-..."},
    Advice{"start module", "\"vmsec doctor\" tries each part of its sandbox; its own settings are in [module.NAME]"},
    Advice{"in namespaces of its own", "\"vmsec doctor\" tries each part of the sandbox, and says what to do"},
    Advice{"libvirt-sock", "start libvirtd: systemctl start libvirtd; \"vmsec doctor\" tells what else is missing"},
    Advice{"identity.", "\"vmsec pki issue\" makes certificate and key, \"vmsec pki crl\" the revocation list"},
    Advice{"certificate", "\"vmsec pki list\" shows the certificates, \"vmsec pki issue\" makes a new one"},
    Advice{"revocation list", "\"vmsec pki crl\" makes a new one: put it in the place of the old one on each host"},
    Advice{"listen", "see who has the address (ss -ltnp), or change host.listen or host.control"},
    Advice{"ticket", "\"vmsec ticket show FILE\" says what it is for, \"vmsec ticket create\" makes another"},
    Advice{"policy", "\"vmsec policy check FILE\" lists every finding; the format is in policy.md"},
    Advice{"revoke grant", "\"vmsec grant list\" and \"vmsec module list\" show what there is"},
    Advice{"restore grant", "\"vmsec grant list\" shows the withdrawals with their numbers"},
    Advice{"tenant", "\"vmsec tenant show\" shows tenants, their VMs, and what they are offered"},
    Advice{"make folder", "make it, or name another: host.state and host.run, or --state"},
    Advice{"folder ", "chown and chmod it as the message says, or name another: host.state and host.run, or --state"},
    Advice{"module ", "\"vmsec module list\" shows how each does, \"vmsec module restart NAME\" begins one again"}};

std::string by_family(const Error& error) {
  switch (error.code) {
    case Code::unsupported:
      return "\"vmsec host capabilities\" says what this hypervisor can do, and why not";
    case Code::wrong_state:
      return "\"vmsec vm list\" and \"vmsec migrate list\" tell what is under way; try again when it has ended";
    case Code::not_found:
      return "check the name: the lists (\"vmsec vm list\", \"vmsec module list\", \"vmsec migrate list\") have those "
             "there are";
    default:
      break;
  }
  switch (family(error.code)) {
    case Family::environment:
      return "put right what the message names and try again; \"vmsec doctor\" tells what this machine lacks";
    case Family::security:
      return "refused for security: check the keys, certificates and rights that the message names before you go on";
    default:
      return "the command's --help shows usage and examples";
  }
}

}  // namespace

std::string advice_on_object(const Error& error) {
  switch (error.code) {
    case Code::untrusted:
      return "where its signer is to be trusted: vmsec module trust add NAME KEY.pub";
    case Code::tampered:
      return "install it again, file and .sig together; a file that is stripped is signed after that";
    case Code::expired:
      return "install what a current key signed, or trust the key longer (--until)";
    case Code::revoked:
      return "remove it, or install the version that replaces it";
    case Code::denied:
      return "vmsec module trust list shows roles and minimum versions: install a newer one, or change them";
    case Code::unsupported:
      return "install the build for this vmsec: its ABI, or a library that it links, is another one";
    default:
      return "vmsec module inspect FILE shows what it is, vmsec module trust list whom this host trusts";
  }
}

std::string advice_on(const Error& error) {
  if (error.message.find("load module") != std::string::npos || error.message.find("load plugin") != std::string::npos)
    return advice_on_object(error);
  for (const Advice& advice : kAdvice)
    if (error.message.find(advice.words) != std::string::npos) return std::string(advice.next);
  return by_family(error);
}

}  // namespace vmsec::tools

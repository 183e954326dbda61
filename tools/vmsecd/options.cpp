#include "options.hpp"

#include <charconv>
#include <filesystem>

#include "vmsec/identity.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::daemon {
namespace {

namespace fs = std::filesystem;

enum class Part { required, optional };  // optional: ":7443" listens on every address

// "address:port", as for listen and a [[peer]]'s address; IPv6 in brackets.
Status check_address(const std::string& what, const std::string& address, Part host) {
  const auto bad = [&](const std::string& cause) {
    return fail(Code::invalid_argument, what + " = \"" + address + "\": " + cause + "; want \"192.0.2.1:7443\"");
  };
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return bad("the port is missing");
  if (colon == 0 && host == Part::required) return bad("the address is missing");
  unsigned port = 0;
  const char* end = address.data() + address.size();
  const auto [rest, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc() || rest != end || port > 65535) return bad("the port is no number of 0 to 65535");
  return {};
}

Status check_file(const std::string& what, const std::string& file) {
  std::error_code error;
  if (fs::is_regular_file(file, error)) return {};
  return fail(Code::not_found, what + " = \"" + file + "\": there is no such file");
}

Status check_identity(const HostOptions& options) {
  const IdentityFiles& files = options.identity;
  const bool none = files.ca.empty() && files.certificate.empty() && files.key.empty() && files.revocations.empty() &&
                    files.placement_keys.empty();
  if (none && options.listen.empty() && options.peers.empty()) return {};
  if (none) return fail(Code::invalid_argument, "host.listen and [[peer]] need an [identity]");
  for (const auto& [what, file] :
       {std::pair("identity.ca", files.ca), std::pair("identity.key", files.key),
        std::pair("identity.certificate", files.certificate), std::pair("identity.revocations", files.revocations)}) {
    if (file.empty()) return fail(Code::invalid_argument, std::string(what) + " is missing");
    VMSEC_CHECK(check_file(what, file));
  }
  for (const auto& key : files.placement_keys) {
    VMSEC_CHECK(check_file("identity.placement_keys", key));
  }
  for (const auto& former : files.former_certificates) VMSEC_CHECK(check_file("identity.former_certificates", former));
  return {};
}

Status check_policy(const std::string& file) {
  if (file.empty()) return {};
  const auto policy = Policy::read(file);
  if (policy) return {};
  return fail(Code::invalid_argument, describe(policy.error(), file));
}

}  // namespace

Result<HostOptions> complete_options(const std::string& config_file) {
  VMSEC_TRY(HostOptions options, read_host_options(config_file));
  if (options.state_dir.empty()) options.state_dir = "/var/lib/vmsec";
  if (options.run_dir.empty()) options.run_dir = "/run/vmsec";
  if (options.control_socket.empty()) options.control_socket = options.run_dir + "/vmsecd.sock";
  return options;
}

Status check_options(const HostOptions& options) {
  if (auto good = check_host_name(options.name); !good) return fail(good.error().in("host.name"));
  if (!options.listen.empty()) VMSEC_CHECK(check_address("host.listen", options.listen, Part::optional));
  if (!options.metrics_listen.empty())
    VMSEC_CHECK(check_address("metrics.listen", options.metrics_listen, Part::optional));
  for (const auto& [name, address] : options.peers) {
    if (auto good = check_host_name(name); !good) return fail(good.error().in("[[peer]] name"));
    VMSEC_CHECK(check_address("[[peer]] \"" + name + "\" address", address, Part::required));
  }
  VMSEC_CHECK(check_identity(options));
  VMSEC_CHECK(check_policy(options.policy_file));
  return check_host_options(options);
}

}  // namespace vmsec::daemon

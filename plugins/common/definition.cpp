#include "definition.hpp"

#include <algorithm>
#include <filesystem>

#include "vmsec/definition.hpp"

namespace vmsec::common {
namespace {

bool is_lost(const std::vector<Loss>& losses, const std::string& place) {
  return std::ranges::any_of(
      losses, [&](const Loss& loss) { return place == loss.place || place.starts_with(loss.place + "."); });
}

Status check_file(const std::string& place, const std::string& path, bool device) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::not_found)
    return fail(Code::not_found, place + ": there is no " + path + " on this host");
  if (type == std::filesystem::file_type::regular || (device && type == std::filesystem::file_type::block)) return {};
  return fail(Code::invalid_argument,
              place + ": " + path + " is no " + (device ? "regular file or block device" : "regular file"));
}

Status check_bridge(const std::string& place, const std::string& bridge) {
  std::error_code error;
  if (std::filesystem::is_directory("/sys/class/net/" + bridge + "/bridge", error)) return {};
  if (std::filesystem::exists("/sys/class/net/" + bridge, error))
    return fail(Code::invalid_argument, place + ": " + bridge + " is an interface, and no bridge");
  return fail(Code::not_found, place + ": there is no bridge " + bridge + " on this host");
}

}  // namespace

Status check_definition(const DomainDefinition& definition) {
  if (const auto flaw = find_flaw(definition)) return fail(Code::invalid_argument, flaw->place + ": " + flaw->message);
  return {};
}

Status check_losses(const std::vector<Loss>& losses, const std::vector<std::string>& without) {
  for (const auto& place : without)
    if (std::ranges::none_of(losses, [&](const Loss& loss) { return loss.place == place; }))
      return fail(Code::invalid_argument, "without " + place + ": nothing is lost there");
  std::string said;
  for (const auto& loss : losses)
    if (std::ranges::find(without, loss.place) == without.end())
      said += (said.empty() ? "" : "; ") + loss.place + ": " + loss.reason;
  if (said.empty()) return {};
  return fail(Code::unsupported, said);
}

Status check_host_has(const DomainDefinition& definition, const std::vector<Loss>& losses) {
  const auto wanted = [&](const std::string& place, const std::string& value) {
    return !value.empty() && !is_lost(losses, place);
  };
  for (const auto& disk : definition.disks)
    if (const auto place = "disk." + disk.target + ".source"; wanted(place, disk.source))
      VMSEC_CHECK(check_file(place, disk.source, true));
  if (wanted("boot.kernel", definition.boot.kernel))
    VMSEC_CHECK(check_file("boot.kernel", definition.boot.kernel, false));
  if (wanted("boot.initrd", definition.boot.initrd))
    VMSEC_CHECK(check_file("boot.initrd", definition.boot.initrd, false));
  for (std::size_t i = 0; i < definition.nics.size(); ++i)
    if (const auto place = "nic." + std::to_string(i) + ".bridge"; wanted(place, definition.nics[i].bridge))
      VMSEC_CHECK(check_bridge(place, definition.nics[i].bridge));
  return {};
}

Status check_define(const DefineDomain& request, const std::vector<Loss>& losses) {
  if (request.domain != request.definition.domain)
    return fail(Code::invalid_argument, "domain: the call and the definition name two");
  VMSEC_CHECK(check_definition(request.definition));
  VMSEC_CHECK(check_losses(losses, request.without));
  return check_host_has(request.definition, losses);
}

}  // namespace vmsec::common

#include "host_settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "toml_reader.hpp"

namespace vmsec::sim {
namespace {

std::unexpected<Error> bad(const std::string& key, std::string_view cause) {
  return fail(Code::invalid_argument, "setting " + key.substr(0, 64) + " of the simulated host: " + std::string(cause));
}

Result<std::string> host_name(const std::string& uri) {
  if (uri.empty()) return std::string("host");
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  const bool good = uri.starts_with("sim:") && uri.size() <= 64 + 4 && std::all_of(uri.begin() + 4, uri.end(), allowed);
  if (!good) return fail(Code::invalid_argument, "open \"" + uri.substr(0, 80) + "\": want sim:NAME");
  return uri.size() == 4 ? std::string("host") : uri.substr(4);
}

Status read_one(const std::string& key, const std::string& value, HostSettings& out) {
  if (key == "domains") {
    out.domains = value;
    return {};
  }
  if (key == "disks") {
    if (!value.starts_with('/')) return bad(key, "want an absolute path");
    out.disks = value;
    return {};
  }
  if (key == "guests") {
    if (!value.starts_with('/')) return bad(key, "want an absolute path");
    out.guests = value;
    return {};
  }
  if (key == "autostart") {
    if (value != "true" && value != "false") return bad(key, "want true or false");
    out.autostart = value == "true" ? Autostart::yes : Autostart::no;
    return {};
  }
  if (key == "cpus") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out.cpus);
    if (error != std::errc{} || *end != '\0' || out.cpus == 0 || out.cpus > 4096) return bad(key, "want 1 to 4096");
    return {};
  }
  if (key == "memory") {
    const auto size = parse_size(value);
    if (!size || *size == 0) return bad(key, size ? "want more than 0" : size.error().message);
    out.memory.value = *size;
    return {};
  }
  if (key == "tpm") {
    if (value != "swtpm") return bad(key, "want \"swtpm\"");
    out.tpm = TpmKind::swtpm;
    return {};
  }
  return bad(key, "unknown");
}

}  // namespace

Result<HostSettings> read_settings(const BackendOptions& options, Faults& faults) {
  HostSettings out;
  VMSEC_TRY(out.name, host_name(options.uri));
  out.cpus = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  out.memory.value =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (!options.state_dir.empty()) {
    out.store = options.state_dir + "/sim";
    out.disks = out.store + "/disks";
  }
  for (const auto& [key, value] : options.settings) {
    if (key.starts_with(Faults::kPrefix)) {
      VMSEC_CHECK(faults.add(key, value));
    } else {
      VMSEC_CHECK(read_one(key, value, out));
    }
  }
  return out;
}

}  // namespace vmsec::sim

#include "loader/links.hpp"

#include <algorithm>
#include <array>

namespace vmsec::loader {
namespace {

using std::string_view_literals::operator""sv;

// Names up to ".so."; what follows is the library's own version.
constexpr std::array kModules = {"libc"sv,       "libm"sv,  "libstdc++"sv, "libgcc_s"sv,  "ld-linux-x86-64"sv,
                                 "libpthread"sv, "libdl"sv, "librt"sv,     "libatomic"sv, "libcrypto"sv,
                                 "libssl"sv};
constexpr std::array kPlugins = {"libvirt"sv,     "libvirt-qemu"sv,        "libxml2"sv,
                                 "libxenlight"sv, "libxenforeignmemory"sv, "libxenctrl"sv,
                                 "libxenguest"sv, "libxenstore"sv,         "libxentoollog"sv};
#ifdef VMSEC_SANITIZED
constexpr std::array kSanitizers = {"libasan"sv, "libubsan"sv, "libtsan"sv};
#else
constexpr std::array<std::string_view, 0> kSanitizers = {};
#endif

bool is_version(std::string_view text) {
  return !text.empty() && text.front() != '.' && text.back() != '.' &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

bool may_link(ObjectKind kind, std::string_view library) {
  const auto end = library.find(".so.");
  if (end == std::string_view::npos || !is_version(library.substr(end + 4))) return false;
  const auto name = library.substr(0, end);
  if (std::ranges::find(kModules, name) != kModules.end()) return true;
  if (std::ranges::find(kSanitizers, name) != kSanitizers.end()) return true;
  if (kind == ObjectKind::plugin) return std::ranges::find(kPlugins, name) != kPlugins.end();
  return name.starts_with("libtss2-") && name.find('/') == std::string_view::npos;
}

}  // namespace vmsec::loader

#include "loader/inspect.hpp"

#include <cstring>

#include "loader/elf.hpp"
#include "loader/links.hpp"
#include "vmsec/abi.h"
#include "vmsec/backend.hpp"

namespace vmsec::loader {
namespace {

constexpr std::size_t kMaximumManifestSection = (64 << 10) + 1;

class Inspector {
 public:
  Inspector(const Elf& elf, ObjectKind kind, const std::string& file) : elf_(elf), kind_(kind), file_(file) {}

  Inspection look() {
    found_.needed = elf_.needed();
    for (const auto& sentence : elf_.refused()) refuse(Code::denied, sentence);
    for (const auto& library : found_.needed)
      if (!may_link(kind_, library))
        refuse(Code::denied, "it links " + library + ", which is not on the list of what a " +
                                 std::string(to_string(kind_)) + " may link");
    if (kind_ == ObjectKind::module) {
      look_at_abi();
      look_at_manifest();
    } else {
      look_at_note();
    }
    return std::move(found_);
  }

 private:
  void refuse(Code code, const std::string& cause) {
    found_.refusals.push_back(Error{code, "load " + std::string(to_string(kind_)) + " " + file_ + ": " + cause, 0, {}});
  }

  void look_at_abi() {
    const auto section = elf_.section(".vmsec.abi");
    if (!section) return refuse(Code::unsupported, section.error().message);
    vmsec_abi_note note{};
    if (section->size() < sizeof note) return refuse(Code::unsupported, "its section .vmsec.abi is too small");
    std::memcpy(&note, section->data(), sizeof note);
    if (note.size != section->size()) return refuse(Code::unsupported, "its section .vmsec.abi lies about its size");
    found_.abi_major = note.abi_major;
    found_.abi_minor = note.abi_minor;
    if (note.abi_major == VMSEC_ABI_MAJOR && note.abi_minor <= VMSEC_ABI_MINOR) return;
    refuse(Code::unsupported, "its ABI is " + std::to_string(note.abi_major) + "." + std::to_string(note.abi_minor) +
                                  ", this host's " + std::to_string(VMSEC_ABI_MAJOR) + "." +
                                  std::to_string(VMSEC_ABI_MINOR));
  }

  // What its entry says too, once it is loaded.
  void look_at_note() {
    const auto section = elf_.section(".vmsec.plugin");
    if (!section) return refuse(Code::unsupported, section.error().message);
    PluginNote note{};
    if (section->size() != sizeof note) return refuse(Code::unsupported, "its section .vmsec.plugin has another size");
    std::memcpy(&note, section->data(), sizeof note);
    if (note.abi != kPluginAbi)
      return refuse(Code::unsupported, "it was built for plugin ABI " + std::to_string(note.abi) +
                                           ", this library has " + std::to_string(kPluginAbi));
    found_.manifest.summary.assign(note.summary, ::strnlen(note.summary, sizeof note.summary));
  }

  void look_at_manifest() {
    const auto section = elf_.section(".vmsec.manifest");
    if (!section) return refuse(Code::unsupported, section.error().message);
    if (section->size() > kMaximumManifestSection) return refuse(Code::limit_exceeded, "its manifest exceeds 64 KiB");
    std::string_view text = *section;
    if (text.empty() || text.back() != '\0') return refuse(Code::invalid_argument, "its manifest does not end");
    text.remove_suffix(1);
    found_.manifest_text = text;
    auto manifest = parse_manifest(text, file_);
    if (!manifest) return refuse(manifest.error().code, manifest.error().message);
    found_.manifest = std::move(*manifest);
    if (const auto version = parse_version(found_.manifest.version); !version)
      refuse(Code::invalid_argument, "its manifest: " + version.error().message);
  }

  const Elf& elf_;
  const ObjectKind kind_;
  const std::string& file_;
  Inspection found_;
};

}  // namespace

Result<Inspection> inspect(std::string_view bytes, ObjectKind kind, const std::string& file) {
  const auto elf = Elf::read(bytes);
  if (!elf) return fail(elf.error().in("load " + std::string(to_string(kind)) + " " + file));
  return Inspector(*elf, kind, file).look();
}

}  // namespace vmsec::loader

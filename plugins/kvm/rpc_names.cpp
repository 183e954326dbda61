// What a call is called in messages and in the audit log. The number is always
// there; the words are for who reads it, where we know them.
#include <algorithm>
#include <array>

#include "rpc_message.hpp"

namespace vmsec::kvm::rpc {

namespace {

struct Name {
  std::uint32_t number;
  std::string_view words;
};

// What a peer that wants more than a migration would ask for, beside the migration's own.
constexpr std::array kRemoteNames = {
    Name{1, "connect open"},
    Name{2, "connect close"},
    Name{7, "get capabilities"},
    Name{8, "attach device"},
    Name{9, "start domain"},
    Name{10, "create domain"},
    Name{11, "define domain"},
    Name{12, "destroy domain"},
    Name{14, "get domain XML"},
    Name{22, "look up domain by id"},
    Name{23, "look up domain by name"},
    Name{24, "look up domain by UUID"},
    Name{28, "resume domain"},
    Name{29, "set autostart"},
    Name{34, "suspend domain"},
    Name{35, "undefine domain"},
    Name{40, "create network"},
    Name{41, "define network"},
    Name{53, "dump domain's memory"},
    Name{54, "restore domain"},
    Name{55, "save domain"},
    Name{60, "supports feature"},
    Name{66, "auth list"},
    Name{76, "create storage pool"},
    Name{77, "define storage pool"},
    Name{93, "create storage volume"},
    Name{94, "delete storage volume"},
    Name{97, "look up storage volume by path"},
    Name{104, "peek into domain's memory"},
    Name{105, "register for domain events"},
    Name{118, "detach node device"},
    Name{123, "create node device"},
    Name{142, "define secret"},
    Name{144, "set secret"},
    Name{145, "get secret"},
    Name{160, "attach device with flags"},
    Name{167, "register for domain events"},
    Name{180, "define network filter"},
    Name{185, "create snapshot"},
    Name{201, "open console"},
    Name{208, "upload to storage volume"},
    Name{209, "download from storage volume"},
    Name{211, "take screenshot"},
    Name{214, "migrate prepare, third form"},
    Name{231, "undefine domain with flags"},
    Name{234, "destroy domain with flags"},
    Name{266, "rebase block device"},
    Name{273, "list domains"},
    Name{296, "open channel"},
    Name{302, "migrate begin"},
    Name{303, "migrate prepare"},
    Name{304, "migrate prepare tunnel"},
    Name{305, "migrate perform"},
    Name{306, "migrate finish"},
    Name{307, "migrate confirm"},
    Name{316, "register for domain events"},
    Name{345, "copy block device"},
    Name{350, "define domain with flags"},
    Name{357, "set user's password"},
    Name{358, "rename domain"},
    Name{360, "register close callback"},
    Name{361, "unregister close callback"},
    Name{364, "migrate start post-copy"},
};

constexpr std::array kQemuNames = {
    Name{1, "monitor command"},
    Name{2, "attach to process"},
    Name{3, "guest agent command"},
    Name{4, "register for monitor events"},
    Name{7, "monitor command with descriptors"},
};

template <std::size_t kCount>
std::string named(const std::array<Name, kCount>& names, std::uint32_t procedure) {
  const std::string number = "procedure " + std::to_string(procedure);
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const Name& each) { return each.number == procedure; });
  return found == names.end() ? number : number + " (" + std::string(found->words) + ")";
}

}  // namespace

std::string hexadecimal(std::uint32_t value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4)
    if (const auto digit = value >> shift & 15; digit != 0 || !text.empty() || shift == 0) text += kDigits[digit];
  return "0x" + text;
}

std::string call_name(const Header& header) {
  if (header.program == kRemoteProgram) return named(kRemoteNames, header.procedure);
  const std::string program = "program " + hexadecimal(header.program);
  if (header.program == kQemuProgram) return program + " (QEMU), " + named(kQemuNames, header.procedure);
  return program + ", procedure " + std::to_string(header.procedure);
}

}  // namespace vmsec::kvm::rpc

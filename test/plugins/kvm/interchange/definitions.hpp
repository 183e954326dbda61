// Definitions for tests, and a host to translate them for.
#pragma once

#include <random>

#include "definition_xml.hpp"
#include "vmsec/definition.hpp"

namespace vmsec::kvm::test {

inline const DomainHost kHost{"qemu", "x86_64", "/usr/bin/qemu-system-x86_64"};

// All that a definition can say, but for a firmware. The corpus has what libvirt 9.0 made of it.
inline DomainDefinition full_definition() {
  DomainDefinition d;
  d.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");
  d.name = "web-1";
  d.guest = GuestKind::hvm;
  d.vcpus = 1;
  d.vcpus_maximum = 4;
  d.memory.value = std::uint64_t{256} << 20;
  d.disks = {{"vda", "/srv/a.img", DiskFormat::raw, false}, {"vdb", "/dev/vg/data", DiskFormat::qcow2, true}};
  d.nics = {{"52:54:00:aa:bb:cc", "br0"}, {"52:54:00:aa:bb:cd", ""}};
  d.boot.kernel = "/srv/k & <k>";
  d.boot.initrd = "/srv/initrd";
  d.boot.command_line = R"(a=1 & b<2 "c" 'd'  ]]> &amp; e)";
  d.tpm = true;
  d.tags = {"web", "dmz"};
  return d;
}

inline DomainDefinition least_definition(Firmware firmware) {
  DomainDefinition d;
  d.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d7");
  d.name = "web-2";
  d.vcpus = 2;
  d.vcpus_maximum = 2;
  d.memory.value = 64 << 20;
  d.disks = {{"vda", "/srv/a.img", DiskFormat::raw, false}};
  d.boot.firmware = firmware;
  return d;
}

// Any definition without flaws that KVM can say in full.
class AnyDefinition {
 public:
  explicit AnyDefinition(std::uint64_t seed) : random_(seed) {}

  DomainDefinition next() {
    DomainDefinition d;
    std::array<std::uint8_t, 16> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(below(256));
    bytes[0] |= 1;
    d.domain = Uuid(bytes);
    d.name = word(63);
    d.guest = below(2) == 0 ? GuestKind::usual : GuestKind::hvm;
    d.vcpus_maximum = 1 + below(128);
    d.vcpus = 1 + below(d.vcpus_maximum);
    d.memory.value = (1 + std::uint64_t{below(1 << 24)}) << 20;
    for (char letter = 'a'; letter <= 'z'; ++letter)
      if (below(6) == 0) d.disks.push_back(disk(letter));
    for (std::uint32_t i = below(5); i > 0; --i)
      d.nics.push_back({mac(i), below(2) == 0 ? "" : "br" + std::to_string(below(100))});
    d.boot = boot();
    d.tpm = below(2) == 0;
    for (std::uint32_t i = below(5); i > 0; --i) d.tags.push_back(std::to_string(i) + word(60));
    return d;
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  std::string word(std::uint32_t longest) {
    static constexpr std::string_view kLetters = "abcXYZ019._+-";
    std::string text = "w";
    for (std::uint32_t i = below(longest); i > 0; --i) text += kLetters[below(kLetters.size())];
    return text;
  }
  std::string printable(std::uint32_t longest) {
    std::string text;
    for (std::uint32_t i = below(longest); i > 0; --i) text += static_cast<char>(' ' + below('~' - ' ' + 1));
    return text;
  }
  std::string path() {
    static constexpr std::array kFolders = {"/srv/", "/dev/", "/dev/shm/", "/"};
    std::string text = kFolders[below(kFolders.size())];
    for (const char c : printable(40)) text += c == '/' || c == '.' ? 'x' : c;
    return text + "e";
  }
  std::string mac(std::uint32_t index) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text = "52:54:00:00:0" + std::to_string(index) + ":";
    return text + kDigits[below(16)] + kDigits[below(16)];
  }
  DefinedDisk disk(char letter) {
    return {std::string("vd") + letter, path(), below(2) == 0 ? DiskFormat::raw : DiskFormat::qcow2, below(2) == 0};
  }
  Boot boot() {
    Boot boot;
    boot.firmware = static_cast<Firmware>(below(3));
    if (boot.firmware != Firmware::none || below(3) == 0) return boot;
    boot.kernel = path();
    if (below(2) == 0) boot.initrd = path();
    if (below(3) != 0) boot.command_line = printable(2000);
    return boot;
  }

  std::mt19937_64 random_;
};

}  // namespace vmsec::kvm::test

// Definitions that are ones, with and without what libxl cannot say.
#pragma once

#include <random>

#include "vmsec/capability/interchange.hpp"

namespace vmsec::xen {

inline std::size_t below(std::mt19937& random, std::size_t limit) { return random() % limit; }

inline std::string random_text(std::mt19937& random, std::string_view alphabet, std::size_t length) {
  std::string out;
  while (out.size() < length) out += alphabet[below(random, alphabet.size())];
  return out;
}

inline std::string random_path(std::mt19937& random) {
  return "/p" + random_text(random, "abcXYZ019 -_.,:'\"\\{}[]", 1 + below(random, 40)) + "/x";
}

inline std::string random_mac(std::mt19937& random, std::size_t number) {
  std::string out = "52:54:00";
  for (int i = 0; i < 2; ++i) out += ":" + random_text(random, "0123456789abcdef", 2);
  constexpr std::string_view kDigits = "0123456789abcdef";
  return out + ":0" + kDigits[number % 16];
}

inline Boot random_boot(std::mt19937& random) {
  if (below(random, 4) == 0) return {static_cast<Firmware>(below(random, 3)), {}, {}, {}};
  Boot out;
  out.kernel = random_path(random);
  if (below(random, 2) == 0) out.initrd = random_path(random);
  out.command_line = random_text(random, "ab=,01 \"\\'", below(random, 3) == 0 ? 0 : below(random, 2000));
  return out;
}

inline DomainDefinition random_definition(std::mt19937& random) {
  DomainDefinition out;
  std::array<std::uint8_t, 16> uuid{};
  for (auto& byte : uuid) byte = static_cast<std::uint8_t>(1 + below(random, 255));
  out.domain = Uuid(uuid);
  out.name = "a" + random_text(random, "aZ09._+-", below(random, 63));
  out.guest = static_cast<GuestKind>(below(random, 4));
  out.vcpus_maximum = static_cast<std::uint32_t>(1 + below(random, 128));
  out.vcpus = static_cast<std::uint32_t>(1 + below(random, out.vcpus_maximum));
  out.memory.value = (1 + below(random, std::size_t{1} << 24)) << 20;
  for (char letter = 'z'; letter >= 'a'; --letter)
    if (below(random, 8) == 0)
      out.disks.push_back({std::string("vd") + letter, random_path(random),
                           below(random, 40) == 0 ? DiskFormat::qcow2 : DiskFormat::raw, below(random, 2) == 0});
  for (std::size_t i = below(random, 17); i > 0; --i)
    out.nics.push_back({random_mac(random, i), below(random, 3) == 0 ? "" : random_text(random, "br01", 15)});
  for (DefinedNic& nic : out.nics)
    if (!nic.bridge.empty()) nic.bridge.front() = 'b';
  out.boot = random_boot(random);
  out.tpm = below(random, 8) == 0;
  if (below(random, 8) == 0) out.tags = {"gold"};
  return out;
}

}  // namespace vmsec::xen

// Definitions drawn at random: each is one, and each field takes all of its forms.
#pragma once

#include <catch2/catch.hpp>
#include <random>

#include "vmsec/definition.hpp"

namespace vmsec::test {

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  DomainDefinition definition() {
    DomainDefinition out;
    std::array<std::uint8_t, 16> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(number(1, 255));
    out.domain = Uuid(bytes);
    out.name = name(63);
    out.guest = static_cast<GuestKind>(number(0, 3));
    out.vcpus = static_cast<std::uint32_t>(number(1, 128));
    out.vcpus_maximum = static_cast<std::uint32_t>(number(out.vcpus, 128));
    out.memory = {number(1, chance() ? 1U << 24 : 64) << 20};
    for (char letter = 'a'; letter <= 'z'; ++letter)
      if (number(0, 9) == 0) out.disks.push_back(disk(letter));
    for (auto count = number(0, 16); count > 0; --count)
      out.nics.push_back({mac(static_cast<unsigned>(count)), chance() ? name(15) : ""});
    out.boot = boot();
    out.tpm = chance();
    for (auto count = number(0, 4); count > 0; --count) out.tags.push_back(std::to_string(count) + name(20));
    const auto flaw = find_flaw(out);
    if (flaw) FAIL(flaw->place + ": " + flaw->message);
    return out;
  }

 private:
  std::uint64_t number(std::uint64_t least, std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(least, most)(random_);
  }
  bool chance() { return number(0, 1) == 1; }

  std::string of(std::string_view characters, std::uint64_t least, std::uint64_t most) {
    std::string out;
    for (auto count = number(least, most); count > 0; --count) out += characters[number(0, characters.size() - 1)];
    return out;
  }
  std::string name(std::uint64_t longest) { return of("abcXYZ019", 1, 1) + of("abcdefXYZ0189._+-", 0, longest - 1); }
  // Every printable character, quotes and backslashes among them.
  std::string printable(std::uint64_t longest) {
    std::string all;
    for (char c = ' '; c <= '~'; ++c) all += c;
    return of(all, 1, longest);
  }
  std::string path() { return "/" + of("abc\"\\ =#'[]", 1, 30) + "/" + of("abc._-\"\\", 1, 30) + "x"; }

  DefinedDisk disk(char letter) {
    return {std::string("vd") + letter, path(), chance() ? DiskFormat::raw : DiskFormat::qcow2, chance()};
  }
  static std::string mac(unsigned number) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    return std::string("52:54:00:ab:cd:") + kDigits[number >> 4] + kDigits[number & 15];
  }
  Boot boot() {
    if (chance()) return {static_cast<Firmware>(number(0, 2)), "", "", ""};
    return {Firmware::none, path(), chance() ? path() : "", chance() ? printable(2000) : ""};
  }

  std::mt19937 random_;
};

}  // namespace vmsec::test

// Secure Boot, as firmware measures it into PCR 7: SecureBoot, PK, KEK, db, dbx, at times
// more, a separator, and then by which authority each image was let run.
#include <array>

#include "bytes.hpp"
#include "rules.hpp"

namespace vmsec::boot {
namespace {

constexpr std::array<std::string_view, 4> kLists{"pk", "kek", "db", "dbx"};
constexpr std::string_view kGlobalVariable("\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c", 16);
constexpr std::string_view kSeparator("\0\0\0\0", 4);

std::string little_64(std::uint64_t value) {
  const std::string big = big_endian(value);
  return {big.rbegin(), big.rend()};
}

class SecureBootRules {
 public:
  SecureBootRules(const Reference& reference, const Measured& measured) : reference_(reference), measured_(measured) {}

  Rulings judge() && {
    const auto on = secure_boot_digest(reference_.bank, true);
    const auto off = secure_boot_digest(reference_.bank, false);
    const auto separator = digest(reference_.bank, {kSeparator});
    if (!on || !off || !separator) return {{}, "PCR 7: Secure Boot cannot be judged in bank " + bank()};
    if (measured_.empty()) return {{}, "PCR 7: nothing was measured into it: whether Secure Boot is on is not known"};
    const bool is_on = equal(measured_[0]->digest, *on);
    rule(0, "secure_boot", reference_.line_of("secure_boot"), is_on);
    if (!is_on)
      refuse(0, equal(measured_[0]->digest, *off) ? "Secure Boot is off"
                                                  : "SecureBoot is " + to_hex(measured_[0]->digest) +
                                                        ", the reference allows " + to_hex(*on) + " (on)");
    bool separated = false;
    for (std::size_t i = 1; i < measured_.size(); ++i) {
      const bool variable = i <= kLists.size();
      if (!variable && !separated && equal(measured_[i]->digest, *separator)) {
        separated = true;
        rule(i, "secure_boot", reference_.line_of("secure_boot"), true);
        continue;
      }
      by_list(i, variable ? std::string(kLists[i - 1]) : separated ? "authority" : "extra");
    }
    if (!separated && !reference_.secure_boot_lists.empty() && rulings_.cause.empty())
      rulings_.cause = "PCR 7: the separator behind dbx was not measured";
    return std::move(rulings_);
  }

 private:
  [[nodiscard]] std::string bank() const { return to_string(reference_.bank); }
  void rule(std::size_t i, const std::string& key, std::size_t line, bool allowed) {
    rulings_.events.push_back({measured_[i]->number, key, line, allowed});
  }
  void refuse(std::size_t i, const std::string& cause) {
    if (rulings_.cause.empty()) rulings_.cause = "PCR 7 event " + std::to_string(measured_[i]->number) + ": " + cause;
  }

  void by_list(std::size_t i, const std::string& name) {
    const std::string key = "secure_boot." + name;
    const auto found = reference_.secure_boot_lists.find(name);
    if (found == reference_.secure_boot_lists.end()) {
      // Between dbx and the separator stands nothing, unless the reference says what.
      const bool free = name != "extra" || reference_.secure_boot_lists.empty();
      rule(i, {}, 0, free);
      if (!free) refuse(i, "additional, before the separator: digest " + to_hex(measured_[i]->digest));
      return;
    }
    for (std::size_t place = 0; place < found->second.size(); ++place)
      if (equal(measured_[i]->digest, found->second[place])) return rule(i, key, reference_.line_of(key, place), true);
    rule(i, key, 0, false);
    refuse(i, name + " is " + to_hex(measured_[i]->digest) + ", the reference allows " + allowed_text(found->second));
  }

  const Reference& reference_;
  const Measured& measured_;
  Rulings rulings_;
};

}  // namespace

// UEFI_VARIABLE_DATA: GUID, lengths of name and data, the name in UTF-16, the data.
Result<std::string> secure_boot_digest(Hash bank, bool on) {
  constexpr std::string_view kName = "SecureBoot";
  std::string wide;
  for (const char c : kName) wide += {c, '\0'};
  return digest(bank, {kGlobalVariable, little_64(kName.size()), little_64(1), wide,
                       on ? std::string_view("\1", 1) : std::string_view("\0", 1)});
}

Rulings by_secure_boot(const Reference& reference, const Measured& measured) {
  return SecureBootRules(reference, measured).judge();
}

}  // namespace vmsec::boot

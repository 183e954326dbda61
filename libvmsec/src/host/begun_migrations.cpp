#include "host/begun_migrations.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "host/capabilities.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::host {
namespace {

// Beyond this many a migration is not remembered, and then nothing of it goes on.
constexpr std::size_t kMaximum = 4096;

constexpr std::array<std::string_view, 2> kBegin = {"Start", "Prepare"};
constexpr std::array<std::string_view, 5> kSettle = {"Activate", "Discard", "Reclaim", "Release", "Unhold"};
constexpr std::array<std::string_view, 8> kCarry = {"Open",   "Next",    "Decide", "Progress",
                                                    "Cancel", "Holding", "Hold",   "StartPostCopy"};

bool is_one_of(const auto& names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

std::string name_of(std::uint32_t method) { return Capabilities::method_name(Methods<Migration>::kName, method); }

}  // namespace

void BegunMigrations::note(std::uint32_t method, const Uuid& domain) {
  const std::string name = name_of(method);
  const std::lock_guard lock(mutex_);
  if (is_one_of(kBegin, name) && (stages_.size() < kMaximum || stages_.contains(domain))) stages_[domain] = Stage::open;
  const auto found = stages_.find(domain);
  if (found != stages_.end() && is_one_of(kSettle, name)) found->second = Stage::settled;
}

bool BegunMigrations::goes_on(std::uint32_t method, const Uuid& domain) {
  const std::string name = name_of(method);
  const std::lock_guard lock(mutex_);
  const auto found = stages_.find(domain);
  if (found == stages_.end()) return false;
  if (name == "Close") return true;
  return found->second == Stage::open && (is_one_of(kCarry, name) || is_one_of(kSettle, name));
}

}  // namespace vmsec::host

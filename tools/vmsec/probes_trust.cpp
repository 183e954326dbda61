// Whose modules and plugins load here, and which do not.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/advice.hpp"
#include "output.hpp"
#include "probes.hpp"
#include "scan.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSoon = std::uint64_t{60} * 24 * 60 * 60;

Probe row(const std::string& name, Standing standing, const std::string& detail, const std::string& next = {}) {
  return {"trust", name, standing, detail, {}, next};
}

std::string count_of(const TrustStore& store) {
  const auto some = [](std::size_t count, const char* one) {
    return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
  };
  return store.file + ": " + some(store.keys.size(), "key") + ", " + some(store.minimums.size(), "minimum version") +
         ", " + some(store.revoked.size(), "revoked file");
}

// The reader refuses a store that others may write to; whoever may write to its folder can replace it.
std::string who_may_replace(const std::string& file) {
  struct stat found{};
  const std::string folder = fs::path(file).parent_path();
  if (::stat(folder.c_str(), &found) != 0) return {};
  const bool sticky = (found.st_mode & S_ISVTX) != 0;
  if (found.st_uid != 0 && found.st_uid != ::geteuid())
    return folder + " belongs to user " + std::to_string(found.st_uid);
  return (found.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky ? "others may write to " + folder : "";
}

std::string advice_on_store(const Error& error, const std::string& file) {
  if (error.code == Code::denied) return "nothing loads until then: chown root:root " + file + "; chmod go-w " + file;
  if (error.code == Code::not_found) return "vmsec module trust add makes it; or name another by --trust";
  return "nothing loads until it can be read: put right what the message names";
}

Probe operators_store(const ProbePlaces& places) {
  const std::string name = "operator's store";
  const std::string file = places.trust.empty() ? std::string(kOperatorTrust) : places.trust;
  const auto store = read_trust_store(file);
  if (!store && store.error().code == Code::not_found && places.trust.empty())
    return row(name, Standing::ok, "no " + file + ": the shipped store alone counts");
  if (!store) return row(name, Standing::missing, store.error().message, advice_on_store(store.error(), file));
  if (const auto who = who_may_replace(file); !who.empty())
    return row(name, Standing::attention, count_of(*store) + "; " + who + ", and so replace it",
               "chown root:root " + fs::path(file).parent_path().string() + "; chmod go-w " +
                   fs::path(file).parent_path().string());
  return row(name, Standing::ok, count_of(*store));
}

Probe shipped_store(const Trust& trust) {
  const std::string name = "shipped store";
  if (!trust.shipped().file.empty()) return row(name, Standing::ok, count_of(trust.shipped()));
  return row(name, Standing::missing,
             "no " + shipped_trust() + ": the modules that come with vmsec are signed by nobody",
             "apt install --reinstall libvmsec0");
}

std::string day_of(UnixSeconds time) { return human_time(time).substr(0, 10); }

void examine_key(const TrustedKey& key, const std::string& file, std::vector<Probe>& rows) {
  const std::string name = "key " + key.name;
  const UnixSeconds now = system_now();
  if (!key.revoked.empty()) {
    const std::string why = key.reason.empty() ? "" : " (" + key.reason + ")";
    rows.push_back(row(name, Standing::attention, file + ": revoked since " + key.revoked + why,
                       "replace what it signed, where rows below name any"));
  } else if (key.not_after.empty()) {
    return;
  } else if (key.not_after < day_of(now)) {
    rows.push_back(row(name, Standing::missing,
                       file + ": was trusted until " + key.not_after + ": nothing that it signed loads",
                       "install what a current key signed, or trust it longer: vmsec module trust remove " + key.name +
                           ", then add it with --until"));
  } else if (key.not_after < day_of({now.value + kSoon})) {
    rows.push_back(row(name, Standing::attention, file + ": is trusted until " + key.not_after,
                       "ask its owner for modules that the next key signs, and add that key before then"));
  }
}

// A key that the operator's store names counts as it says there.
void examine_keys(const Trust& trust, std::vector<Probe>& rows) {
  for (const auto& key : trust.operators().keys) examine_key(key, trust.operators().file, rows);
  for (const auto& key : trust.shipped().keys) {
    const bool named = std::ranges::find(trust.operators().keys, key.public_key, &TrustedKey::public_key) !=
                       trust.operators().keys.end();
    if (!named || !key.revoked.empty()) examine_key(key, trust.shipped().file, rows);
  }
}

void examine_objects(ObjectKind kind, const std::vector<std::string>& folders, const Trust& trust,
                     std::vector<Probe>& rows) {
  const std::string word(to_string(kind));
  std::size_t good = 0;
  const auto found = refused_objects(kind, folders, trust, good);
  rows.push_back(row(
      word + "s", good > 0 ? Standing::ok : Standing::missing,
      std::to_string(good) + " of " + std::to_string(good + found.size()) + " load",
      good > 0 ? ""
               : "install the packages vmsec-modules and vmsec-plugin-..., or name a folder by --" + word + "-path"));
  for (const auto& [name, error] : found)
    rows.push_back(row(word + " " + name, Standing::missing, error.message, tools::advice_on_object(error)));
}

}  // namespace

std::vector<Probe> examine_trust(const ProbePlaces& places) {
  std::vector<Probe> rows = {operators_store(places)};
  const auto trust = Trust::read(places.trust);
  if (!trust) {
    if (rows.front().standing != Standing::missing)
      rows.push_back(
          row("shipped store", Standing::missing, trust.error().message, "apt install --reinstall libvmsec0"));
    return rows;
  }
  rows.push_back(shipped_store(*trust));
  examine_keys(*trust, rows);
  examine_objects(ObjectKind::plugin, places.plugins, *trust, rows);
  examine_objects(ObjectKind::module, places.modules, *trust, rows);
  return rows;
}

}  // namespace vmsec::cli

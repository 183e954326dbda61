// The one place where withdrawals and choices change: in force and on the disk.
#pragma once

#include <filesystem>
#include <functional>
#include <mutex>

#include "host/grant_state.hpp"
#include "host/module_link.hpp"
#include "vmsec/export.hpp"

namespace vmsec::host {

// Any thread; each change runs alone.
class VMSEC_EXPORT GrantLedger {
 public:
  explicit GrantLedger(Grants& grants) : grants_(grants) {}

  // Reads what stands, puts it in force, and keeps it there from now on. `tampered`
  // where the file is not what was written there: then the host shall not start.
  Status keep_in(std::filesystem::path file);

  using Change = std::function<Status(GrantState&)>;
  // Takes something away: in force even where it cannot be written down, and then an
  // error that says so. Where `change` fails, nothing happens.
  Status take(const Change& change);
  // Gives something back: on the disk first. After any error nothing was given.
  // `recorded` comes between, and its error stops it too.
  Status give(const Change& change, const std::function<Status()>& recorded);

 private:
  Status write(const GrantState& state) const;

  Grants& grants_;
  std::mutex mutex_;
  std::filesystem::path file_;  // empty: nothing outlives this process
};

}  // namespace vmsec::host

// Spent tickets: a file for each id; O_EXCL lets exactly one spend succeed.
#include <sys/stat.h>

#include "identity/files.hpp"
#include "identity/ticket_form.hpp"

namespace vmsec {
namespace fs = std::filesystem;
using namespace identity;

namespace {

constexpr std::uint64_t kMarginSeconds = 24UL * 3600;

// When the ticket of that file ended. A file that a crash left empty tells by its
// own time: no ticket lives longer than kMaxTicketSeconds.
Result<UnixSeconds> end_of(const fs::path& file) {
  VMSEC_TRY(std::string text, read_file(file, 64));
  const bool whole = text.size() > 1 && text.size() <= 19 && text.back() == '\n' &&
                     text.find_first_not_of("0123456789") == text.size() - 1;
  if (whole) return UnixSeconds{std::stoull(text)};
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return fail(errno_error("look at " + file.string()));
  return UnixSeconds{static_cast<std::uint64_t>(info.st_mtime) + kMaxTicketSeconds};
}

}  // namespace

Result<SpentTickets> SpentTickets::open(const fs::path& state_dir) {
  SpentTickets spent;
  spent.dir_ = state_dir / "spent";
  if (::mkdir(spent.dir_.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(errno_error("create folder " + spent.dir_.string()));
  VMSEC_CHECK(sync_folder(state_dir));
  return spent;
}

Status SpentTickets::spend(const TicketClaims& claims) const {
  if (!is_ticket_id(claims.id)) return fail(Code::invalid_argument, "spend ticket: not an id");
  auto written = write_new_file(dir_ / claims.id, std::to_string(claims.expires.value) + "\n", 0600);
  if (written) return {};
  if (written.error().code == Code::already_exists)
    return fail(Code::denied, "spend ticket " + claims.id + ": it was spent before");
  return fail(written.error().in("spend ticket " + claims.id));
}

Result<std::size_t> SpentTickets::prune(UnixSeconds now) const {
  std::size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator at(dir_, error), end; !error && at != end; at.increment(error)) {
    if (!is_ticket_id(at->path().filename().string())) continue;
    const auto ended = end_of(at->path());
    if (!ended || ended->value + kMarginSeconds >= now.value) continue;
    std::error_code ignored;  // another process may have been faster
    if (fs::remove(at->path(), ignored)) ++count;
  }
  if (error) return fail(Code::io, "list " + dir_.string() + ": " + error.message());
  VMSEC_CHECK(sync_folder(dir_));
  return count;
}

}  // namespace vmsec

// Trust stores on the disk.
#include <dlfcn.h>
#include <sys/stat.h>

#include <filesystem>

#include "identity/files.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

constexpr std::size_t kMaximumFile = 1 << 20;

// Who may write to it decides what this host runs.
Status check_owner(const struct stat& found, const std::string& what) {
  if (found.st_uid != ::geteuid() && found.st_uid != 0)
    return fail(Code::denied, what + ": it must belong to this user or root");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) return fail(Code::denied, what + ": others may write to it");
  return {};
}

}  // namespace

Result<TrustStore> read_trust_store(const std::string& file) {
  const std::string what = "read trust store " + file;
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  struct stat found{};
  if (::fstat(fd.get(), &found) != 0) return fail(errno_error(what));
  if (!S_ISREG(found.st_mode)) return fail(Code::invalid_argument, what + ": it is no regular file");
  VMSEC_CHECK(check_owner(found, what));
  VMSEC_TRY(const std::string text, identity::read_file("/proc/self/fd/" + std::to_string(fd.get()), kMaximumFile));
  return parse_trust_store(text, file);
}

Status write_trust_store(const TrustStore& store) {
  return identity::replace_file(store.file, trust_store_text(store), 0644);
}

std::string shipped_trust() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&shipped_trust), &self) == 0 || self.dli_fname == nullptr)
    return "vmsec/trust.toml";
  std::error_code ignored;
  const auto library = std::filesystem::canonical(self.dli_fname, ignored);
  return (library.parent_path() / "vmsec" / "trust.toml").string();
}

Result<Trust> Trust::read(const std::string& operators) {
  TrustStore shipped;
  auto found = read_trust_store(shipped_trust());
  if (!found && found.error().code != Code::not_found) return fail(found.error());
  if (found) shipped = std::move(*found);
  const std::string file = operators.empty() ? std::string(kOperatorTrust) : operators;
  auto own = read_trust_store(file);
  if (own) return Trust(std::move(shipped), std::move(*own));
  if (!operators.empty() || own.error().code != Code::not_found) return fail(own.error());
  TrustStore none;
  none.file = file;
  return Trust(std::move(shipped), std::move(none));
}

}  // namespace vmsec

// Trust stores on the disk.
#include <dlfcn.h>
#include <sys/stat.h>

#include <filesystem>

#include "identity/files.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

constexpr std::size_t kMaximumStore = 1 << 20;

// Who may write to it decides what this host runs.
Status check_owner(const struct stat& found, uid_t also, const std::string& what) {
  if (found.st_uid != ::geteuid() && found.st_uid != 0 && found.st_uid != also)
    return fail(Code::denied, what + ": it must belong to this user or root");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) return fail(Code::denied, what + ": others may write to it");
  return {};
}

Result<TrustStore> read_store(const std::string& file, uid_t also) {
  const std::string what = "read trust store " + file;
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  struct stat found{};
  if (::fstat(fd.get(), &found) != 0) return fail(errno_error(what));
  if (!S_ISREG(found.st_mode)) return fail(Code::invalid_argument, what + ": it is no regular file");
  VMSEC_CHECK(check_owner(found, also, what));
  const auto text = identity::read_file("/proc/self/fd/" + std::to_string(fd.get()), kMaximumStore);
  if (!text) return fail(text.error().in(what));
  return parse_trust_store(*text, file);
}

std::string library() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&shipped_trust), &self) == 0 || self.dli_fname == nullptr) return {};
  std::error_code ignored;
  return std::filesystem::canonical(self.dli_fname, ignored).string();
}

// Whose libvmsec runs here is trusted with its store, too: root runs a developer's build.
uid_t library_owner() {
  struct stat found{};
  return ::stat(library().c_str(), &found) == 0 ? found.st_uid : 0;
}

}  // namespace

Result<TrustStore> read_trust_store(const std::string& file) { return read_store(file, 0); }

Status write_trust_store(const TrustStore& store) {
  return identity::replace_file(store.file, trust_store_text(store), 0644);
}

std::string shipped_trust() {
  return (std::filesystem::path(library()).parent_path() / "vmsec" / "trust.toml").string();
}

Result<Trust> Trust::read(const std::string& operators) {
  TrustStore shipped;
  auto found = read_store(shipped_trust(), library_owner());
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

#include "store.hpp"

#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>

namespace vmsec::sim {
namespace {

constexpr std::size_t kRecordMaximum = 1 << 20;
constexpr std::string_view kSuffix = ".domain";

Status write_all(int fd, std::string_view bytes, const std::string& what) {
  while (!bytes.empty()) {
    const auto done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0) return fail(errno_error(what));
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const std::string what = "read " + path;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  std::string bytes;
  std::string part(65536, '\0');
  while (true) {
    const auto count = ::read(file.get(), part.data(), part.size());
    if (count < 0) return fail(errno_error(what));
    if (count == 0) return bytes;
    bytes.append(part.data(), static_cast<std::size_t>(count));
    if (bytes.size() > most)
      return fail(Code::limit_exceeded, what + ": longer than " + std::to_string(most) + " bytes");
  }
}

Result<Store> Store::open(const std::string& folder) {
  if (folder.empty()) return Store({}, {});
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error("make folder " + folder));
  const std::string path = folder + "/lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return fail(errno_error("open " + path));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(errno_error("lock " + path));
    return fail(Code::wrong_state, "open simulated host in " + folder + ": it runs already");
  }
  return Store(folder, std::move(lock));
}

Result<std::vector<StoredDomain>> Store::load() const {
  std::vector<StoredDomain> out;
  if (!durable()) return out;
  std::error_code error;
  for (std::filesystem::directory_iterator each(folder_, error), end; !error && each != end; each.increment(error)) {
    const std::string path = each->path().string();
    if (!path.ends_with(kSuffix)) continue;
    VMSEC_TRY(const std::string bytes, read_file(path, kRecordMaximum));
    auto domain = wire::decode<StoredDomain>(bytes);
    if (!domain) return fail(domain.error().in(path));
    if (this->path(domain->domain) != path)
      return fail(Code::invalid_argument, path + ": is the record of another domain");
    out.push_back(std::move(*domain));
  }
  if (error) return fail(Code::io, "list " + folder_ + ": " + error.message());
  return out;
}

Status Store::put(const StoredDomain& domain) {
  if (!durable()) return {};
  const std::string target = path(domain.domain);
  const std::string fresh = target + ".new";
  const std::string what = "write " + target;
  Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return fail(errno_error(what));
  VMSEC_CHECK(write_all(file.get(), wire::encode(domain), what));
  if (::fsync(file.get()) != 0) return fail(errno_error(what));
  if (::rename(fresh.c_str(), target.c_str()) != 0) return fail(errno_error(what));
  return sync_folder();
}

Status Store::sync_folder() const {
  const Fd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) return fail(errno_error("sync " + folder_));
  return {};
}

}  // namespace vmsec::sim

#include "host/records_service.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "vmsec/fd.hpp"
#include "vmsec/units.hpp"

namespace vmsec::host {
namespace {

constexpr std::size_t kMaximumValue = 1 << 20;

bool is_key(const std::string& key) {
  return !key.empty() && key.size() <= 128 && key.front() != '.' && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

Status check_key(const std::string& operation, const std::string& key) {
  if (is_key(key)) return {};
  return fail(Code::invalid_argument,
              operation + " record: a key is 1 to 128 of a-z A-Z 0-9 . _ -, not beginning with a dot");
}

Status write_whole(int fd, const std::string& value, const std::string& what) {
  std::size_t done = 0;
  while (done < value.size()) {
    const ssize_t wrote = ::write(fd, value.data() + done, value.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(errno_error(what));
    done += static_cast<std::size_t>(wrote);
  }
  return {};
}

Status sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail(errno_error("sync folder " + folder));
  return {};
}

Result<std::string> read_whole(const std::string& path, const std::string& what) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  std::string value(kMaximumValue + 1, '\0');
  std::size_t size = 0;
  while (size < value.size()) {
    const ssize_t got = ::read(fd.get(), value.data() + size, value.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(what));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaximumValue) return fail(Code::limit_exceeded, what + ": more than 1 MiB");
  value.resize(size);
  return value;
}

}  // namespace

Status RecordsService::look_up_sizes() {
  if (sizes_) return {};
  std::map<std::string, std::uint64_t> sizes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    std::error_code gone;
    const std::string key = entry.path().filename();
    const auto size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (is_key(key) && !gone) sizes[key] = key.size() + size;
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Error{Code::io, "count records in " + folder_ + ": " + error.message(), error.value(), "errno"});
  for (const auto& [key, size] : sizes) total_ += size;
  sizes_ = std::move(sizes);
  return {};
}

// What is there already stays, and may become less, also where the quota was made smaller.
Status RecordsService::check_quota(const Record& record) const {
  const auto old = sizes_->find(record.key);
  const std::uint64_t had = old == sizes_->end() ? 0 : old->second;
  const std::uint64_t wanted = record.key.size() + record.value.size();
  const std::string what = "put record " + record.key + ": ";
  if (had == 0 && sizes_->size() >= quota_.count)
    return fail(Code::limit_exceeded,
                what + "the quota record_count of " + std::to_string(quota_.count) + " records is used up");
  if (wanted > had && total_ - had + wanted > quota_.bytes.value)
    return fail(Code::limit_exceeded, what + "the quota records of " + to_text(quota_.bytes) +
                                          " is used up: " + to_text(Bytes{total_}) + " are kept");
  return {};
}

Result<Empty> RecordsService::put(const Record& record) {
  VMSEC_CHECK(check_key("put", record.key));
  const std::string what = "put record " + record.key;
  if (record.value.size() > kMaximumValue) return fail(Code::limit_exceeded, what + ": more than 1 MiB");
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(look_up_sizes());
  VMSEC_CHECK(check_quota(record));
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error("make folder " + folder_));
  const std::string path = folder_ + "/" + record.key;
  const std::string fresh = folder_ + "/.new";
  {
    const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return fail(errno_error(what));
    VMSEC_CHECK(write_whole(fd.get(), record.value, what));
    if (::fsync(fd.get()) != 0) return fail(errno_error(what));
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail(errno_error(what));
  std::uint64_t& size = (*sizes_)[record.key];
  total_ -= size;
  size = record.key.size() + record.value.size();
  total_ += size;
  VMSEC_CHECK(sync_folder(folder_));
  return Empty{};
}

Result<Record> RecordsService::get(const RecordKey& request) {
  VMSEC_CHECK(check_key("get", request.key));
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(std::string value, read_whole(folder_ + "/" + request.key, "get record " + request.key));
  return Record{request.key, std::move(value)};
}

Result<Empty> RecordsService::remove(const RecordKey& request) {
  VMSEC_CHECK(check_key("remove", request.key));
  const std::lock_guard lock(mutex_);
  if (::unlink((folder_ + "/" + request.key).c_str()) != 0) {
    if (errno == ENOENT) return Empty{};
    return fail(errno_error("remove record " + request.key));
  }
  if (sizes_)
    if (const auto old = sizes_->find(request.key); old != sizes_->end()) {
      total_ -= old->second;
      sizes_->erase(old);
    }
  VMSEC_CHECK(sync_folder(folder_));
  return Empty{};
}

Result<RecordList> RecordsService::list(const RecordKey& prefix) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> keys;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    std::string key = entry.path().filename();
    if (is_key(key) && key.starts_with(prefix.key)) keys.push_back(std::move(key));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Error{Code::io, "list records in " + folder_ + ": " + error.message(), error.value(), "errno"});
  std::ranges::sort(keys);
  RecordList list;
  for (auto& key : keys) {
    VMSEC_TRY(std::string value, read_whole(folder_ + "/" + key, "get record " + key));
    list.records.push_back({std::move(key), std::move(value)});
  }
  return list;
}

}  // namespace vmsec::host

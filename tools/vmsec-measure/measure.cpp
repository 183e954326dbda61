#include "measure.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "evidence/files.hpp"
#include "tpm/tpm.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxPendingBytes = kMaxLogBytes + 4096;

Result<Fd> lock(const std::string& log) {
  const std::string path = log + ".lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX) != 0) return fail(errno_error("lock " + path));
  return fd;
}

Status write_all(const std::string& path, const std::string& bytes) {
  const std::string what = "write the module log " + path;
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fail(errno_error(what));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(errno_error(what));
    done += static_cast<std::size_t>(wrote);
  }
  if (::fsync(fd.get()) != 0) return fail(errno_error(what));
  return {};
}

// As a whole, or not at all.
Status replace(const std::string& log, const std::string& bytes) {
  const std::string fresh = log + ".new";
  VMSEC_CHECK(write_all(fresh, bytes));
  if (::rename(fresh.c_str(), log.c_str()) != 0) return fail(errno_error("write the module log " + log));
  const auto folder = std::filesystem::path(log).parent_path();
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail(errno_error("sync folder " + folder.string()));
  return {};
}

// The log of this boot, begun where there is none; one of another boot is done with.
Result<std::string> log_of_boot(const std::string& path, std::uint32_t reset_count, const std::vector<Bank>& banks) {
  auto log = read_file(path, kMaxLogBytes, "module log");
  if (!log && log.error().native == ENOENT) return begin_module_log(banks, reset_count);
  if (!log) return fail(log.error());
  VMSEC_TRY(const auto read, read_module_log(*log));
  if (read.reset_count != reset_count) return begin_module_log(banks, reset_count);
  if (!std::ranges::equal(read.banks, banks, {}, &Bank::hash, &Bank::hash))
    return fail(Code::wrong_state, "module log " + path + ": it is of other PCR banks than the TPM's");
  return log;
}

std::string pending_file(const std::string& log) { return log + ".pending"; }

Status forget_pending(const std::string& log) {
  const std::string path = pending_file(log);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail(errno_error("remove " + path));
}

Result<std::string> value_of(Tpm& tpm, std::uint32_t pcr, const std::vector<Bank>& banks) {
  VMSEC_TRY(auto values, tpm.read_pcrs(PcrMask{1U << pcr}, banks.front().hash));
  return std::move(values[pcr]);
}

// An object that is in the log and was never measured was never loaded: it is taken out, so that it is measured when it
// is.
Status settle(const std::string& log, Tpm& tpm, std::uint32_t reset_count, const std::vector<Bank>& banks) {
  const auto bytes = read_file(pending_file(log), kMaxPendingBytes, "state of the module log");
  if (!bytes && bytes.error().native == ENOENT) return {};
  if (!bytes) return fail(bytes.error());
  VMSEC_TRY(const auto pending, wire::decode<PendingMeasurement>(*bytes));
  if (pending.reset_count != reset_count) return forget_pending(log);
  if (!is_module_pcr(pending.pcr)) return fail(Code::invalid_argument, pending_file(log) + ": of no PCR for modules");
  VMSEC_TRY(const auto value, value_of(tpm, pending.pcr, banks));
  if (value == pending.value) VMSEC_CHECK(replace(log, pending.log));
  return forget_pending(log);
}

}  // namespace

Status measure(const MeasureRequest& request) {
  VMSEC_CHECK(check_object(request.object));
  if (!is_module_pcr(request.pcr))
    return fail(Code::invalid_argument, "PCR " + std::to_string(request.pcr) + ": want 8 to 15, not 10");
  VMSEC_TRY(const auto locked, lock(request.log));
  VMSEC_TRY(auto tpm, Tpm::open(request.tcti));
  VMSEC_TRY(const auto resets, tpm.reset_count());
  VMSEC_TRY(const auto banks, tpm.banks());
  if (banks.empty()) return fail(Code::unsupported, "the TPM has no active PCR bank");
  VMSEC_CHECK(settle(request.log, tpm, resets, banks));
  VMSEC_TRY(const auto before, log_of_boot(request.log, resets, banks));
  VMSEC_TRY(const auto known, read_module_log(before));
  for (const auto& each : known.objects)
    if (each.pcr == request.pcr && each.object == request.object) return {};
  VMSEC_TRY(const auto event, module_event(request.pcr, banks, request.object));
  if (before.size() + event.size() > kMaxLogBytes)
    return fail(Code::limit_exceeded, "module log " + request.log + ": it is full");
  VMSEC_TRY(auto value, value_of(tpm, request.pcr, banks));
  VMSEC_CHECK(replace(pending_file(request.log),
                      wire::encode(PendingMeasurement{resets, request.pcr, std::move(value), before})));
  // First the log: whoever is quoted in between shows one that is ahead, which says nothing of what is not measured.
  VMSEC_CHECK(replace(request.log, before + event));
  const auto extended = tpm.extend(request.pcr, banks, module_event_data(request.object));
  const auto settled = settle(request.log, tpm, resets, banks);
  return extended ? settled : extended;
}

}  // namespace vmsec::boot

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
Result<std::string> log_of_boot(const std::string& path, const ModuleLogStart& now, const std::vector<Bank>& banks) {
  auto log = read_file(path, kMaxLogBytes, "module log");
  if (!log && log.error().native == ENOENT) return begin_module_log(banks, now);
  if (!log) return fail(log.error());
  VMSEC_TRY(const auto read, read_module_log(*log));
  if (read.start.reset_count != now.reset_count) return begin_module_log(banks, now);
  if (!std::ranges::equal(read.banks, banks, {}, &Bank::hash, &Bank::hash))
    return fail(Code::wrong_state, "module log " + path + ": it is of other PCR banks than the TPM's");
  return log;
}

Result<std::string> value_of(Tpm& tpm, std::uint32_t pcr, const std::vector<Bank>& banks) {
  VMSEC_TRY(auto values, tpm.read_pcrs(PcrMask{1U << pcr}, banks.front().hash));
  return std::move(values[pcr]);
}

// As much of the log as the PCR has: an object that was written down and not measured, for the agent ended or the TPM
// failed in between, was not loaded either. What the log says is never believed beyond that.
Result<std::string> confirmed(const std::string& path, const std::string& log, const std::string& value,
                              std::uint32_t pcr) {
  VMSEC_TRY(const auto read, read_module_log(log));
  if (read.start.pcr != pcr)
    return fail(Code::wrong_state, "module log " + path + ": it is of PCR " + std::to_string(read.start.pcr) +
                                       ": another PCR begins with the next boot");
  VMSEC_TRY(const auto count, measured_objects(read, value));
  if (!count)
    return fail(Code::tampered, "module log " + path + ": it does not lead to PCR " + std::to_string(pcr) +
                                    ": the log was changed, or something else has extended the PCR");
  return *count == read.objects.size() ? log : log.substr(0, read.objects[*count].offset);
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
  VMSEC_TRY(const auto value, value_of(tpm, request.pcr, banks));
  VMSEC_TRY(const auto log, log_of_boot(request.log, {resets, request.pcr, value}, banks));
  VMSEC_TRY(const auto before, confirmed(request.log, log, value, request.pcr));
  VMSEC_TRY(const auto known, read_module_log(before));
  for (const auto& each : known.objects)
    if (each.object == request.object) return {};
  VMSEC_TRY(const auto event, module_event(request.pcr, banks, request.object));
  if (before.size() + event.size() > kMaxLogBytes)
    return fail(Code::limit_exceeded, "module log " + request.log + ": it is full");
  // First the log: whoever is quoted in between shows one that is ahead, which says nothing of what is not measured.
  VMSEC_CHECK(replace(request.log, before + event));
  return tpm.extend(request.pcr, banks, module_event_data(request.object));
}

}  // namespace vmsec::boot

// MemoryAccess: QEMU's memory file where there is one, else libvirt's peek.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "context.hpp"
#include "domain.hpp"
#include "guest_memory.hpp"
#include "qemu_process.hpp"
#include "units.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::uint64_t kLargestRead = 1 << 20;
constexpr std::uint64_t kPeekChunk = 1 << 20;  // 100 MiB/s; in chunks of 64 KiB 16 MiB/s
constexpr std::string_view kMemoryFile = "/memfd:memory-backend-memfd";

struct DirClose {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string link_of(int folder, const char* name) {
  std::array<char, 512> target{};
  const ssize_t length = readlinkat(folder, name, target.data(), target.size());
  return length <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

// QEMU's one memory file, opened anew and for reading only.
Result<Fd> open_memory_file(const QemuProcess& qemu, std::uint64_t ram_bytes) {
  const int descriptors = openat(qemu.proc.get(), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptors < 0) return fail(errno_error("look into QEMU's descriptors", errno, Code::unsupported));
  const std::unique_ptr<DIR, DirClose> folder(fdopendir(descriptors));
  if (folder == nullptr) {
    close(descriptors);
    return fail(errno_error("look into QEMU's descriptors"));
  }
  Fd file;
  ino_t inode = 0;
  while (const dirent* entry = readdir(folder.get())) {
    if (!link_of(descriptors, entry->d_name).starts_with(kMemoryFile)) continue;
    Fd next(openat(descriptors, entry->d_name, O_RDONLY | O_CLOEXEC));
    struct stat info{};
    if (!next.valid() || fstat(next.get(), &info) != 0)
      return fail(errno_error("open QEMU's memory file", errno, Code::unsupported));
    if (file.valid() && info.st_ino == inode) continue;
    if (file.valid()) return fail(Code::unsupported, "QEMU has more than one memory file");
    if (static_cast<std::uint64_t>(info.st_size) != ram_bytes)
      return fail(Code::unsupported, "QEMU's memory file has another size than the guest's memory");
    inode = info.st_ino;
    file = std::move(next);
  }
  if (!file.valid()) return fail(Code::unsupported, "QEMU holds no memory file");
  return file;
}

Result<std::string> read_file(const Fd& file, std::uint64_t offset, std::uint64_t length) {
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read QEMU's memory file"));
    if (count == 0) return fail(Code::io, "read QEMU's memory file: it ended early");
    done += static_cast<std::size_t>(count);
  }
  return bytes;
}

Result<std::string> peek(virDomainPtr domain, std::uint64_t address, std::uint64_t length,
                         const std::string& operation) {
  std::string bytes(length, '\0');
  for (std::uint64_t done = 0; done < length; done += kPeekChunk) {
    const std::uint64_t chunk = std::min(kPeekChunk, length - done);
    if (virDomainMemoryPeek(domain, address + done, chunk, bytes.data() + done, VIR_MEMORY_PHYSICAL) < 0)
      return fail(virt_error(operation));
  }
  return bytes;
}

class KvmMemoryAccess final : public MemoryAccess {
 public:
  explicit KvmMemoryAccess(std::shared_ptr<Context> context)
      : context_(std::move(context)), run_dir_(context_->setting("libvirt_run_dir", kUsualRunDir)) {}

  Result<MemoryMap> map(const DomainRef& request) override {
    const std::string operation = "map the memory of " + request.domain.text();
    VMSEC_TRY(const Guest guest, open(request.domain, operation));
    auto map = map_of(guest, request.domain);
    if (!map) return fail(map.error().in(operation));
    return map;
  }

  Result<MemoryBytes> read(const ReadMemory& request) override {
    const std::string operation = "read " + std::to_string(request.length.value) + " bytes of the memory of " +
                                  request.domain.text() + " at " + std::to_string(request.guest_address);
    if (request.length.value > kLargestRead)
      return fail(Code::invalid_argument, operation + ": more than " + std::to_string(kLargestRead) + " in one call");
    VMSEC_TRY(const Guest guest, open(request.domain, operation));
    VMSEC_TRY(const auto regions, ram_regions(guest.xml.machine, guest.ram));
    if (!is_guest_memory(regions, request.guest_address, request.length.value))
      return fail(Code::invalid_argument, operation + ": outside of its memory");
    if (request.length.value == 0) return MemoryBytes{};
    const MemoryRegion* region = region_of(regions, request.guest_address, request.length.value);
    if (region != nullptr) {
      // Whatever the reason why it cannot be mapped: libvirt reads it too.
      if (const auto map = map_of(guest, request.domain)) {
        const std::uint64_t offset = region->file_offset + request.guest_address - region->guest_address;
        auto bytes = read_file(map->file, offset, request.length.value);
        if (!bytes) return fail(bytes.error().in(operation));
        return MemoryBytes{std::move(*bytes)};
      }
    }
    VMSEC_TRY(std::string bytes, peek(guest.domain.get(), request.guest_address, request.length.value, operation));
    return MemoryBytes{std::move(bytes)};
  }

 private:
  struct Guest {
    DomainPtr domain;
    DomainXml xml;
    std::uint64_t ram = 0;
  };

  Result<Guest> open(const Uuid& uuid, const std::string& operation) {
    Guest out;
    VMSEC_TRY(out.domain, context_->connection->domain(uuid, operation));
    VMSEC_CHECK(require_active(out.domain.get(), operation));
    // What has not come is a hole in its file, which reads as zeros; one that is filled from here stops its QEMU.
    int state = 0;
    int reason = 0;
    if (virDomainGetState(out.domain.get(), &state, &reason, 0) < 0) return fail(virt_error(operation));
    if (state == VIR_DOMAIN_RUNNING &&
        (reason == VIR_DOMAIN_RUNNING_POSTCOPY || reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED))
      return fail(Code::wrong_state, operation + ": it follows by post-copy, and is not whole here yet");
    VMSEC_TRY(out.xml, xml_of(out.domain.get(), operation));
    virDomainInfo info{};
    if (virDomainGetInfo(out.domain.get(), &info) < 0) return fail(virt_error(operation));
    out.ram = std::uint64_t{info.maxMem} * common::kKibibyte;
    if (!out.xml.memory_simple)
      return fail(Code::unsupported, operation + ": the layout of NUMA cells and hot-plugged memory is not known");
    return out;
  }

  Result<MemoryMap> map_of(const Guest& guest, const Uuid& uuid) {
    if (guest.xml.memory_source != "memfd" || !guest.xml.memory_shared)
      return fail(Code::unsupported, name_of(guest.domain.get()) +
                                         "'s memory is in no file that can be mapped (its XML wants memoryBacking "
                                         "with source memfd and access shared)");
    MemoryMap out;
    VMSEC_TRY(out.regions, ram_regions(guest.xml.machine, guest.ram));
    VMSEC_TRY(const QemuProcess qemu, find_qemu(run_dir_, name_of(guest.domain.get()), uuid));
    VMSEC_TRY(out.file, open_memory_file(qemu, guest.ram));
    return out;
  }

  std::shared_ptr<Context> context_;
  std::string run_dir_;
};

}  // namespace

Result<std::unique_ptr<MemoryAccess>> make_memory_access(std::shared_ptr<Context> context) {
  return std::unique_ptr<MemoryAccess>(std::make_unique<KvmMemoryAccess>(std::move(context)));
}

}  // namespace vmsec::kvm

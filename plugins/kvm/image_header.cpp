#include "image_header.hpp"

#include <unistd.h>

#include "xdr.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::uint32_t kMagic = 0x514649fb;
constexpr std::uint64_t kExternalData = 4;
// Dirty, corrupt, another compression, extended L2 entries: nothing to open.
constexpr std::uint64_t kHarmless = 1 | 2 | 8 | 16;
constexpr std::uint32_t kClusterBitsLeast = 9;
constexpr std::uint32_t kClusterBitsMost = 21;

std::unexpected<Error> denied(const std::string& cause) { return fail(Code::denied, "its header " + cause); }

Status check_features(std::uint64_t features) {
  if ((features & kExternalData) != 0) return denied("names an external data file");
  if ((features & ~kHarmless) != 0) return denied("has features that are not known here");
  return {};
}

Result<std::string> read_at(const Fd& image, std::size_t size, std::uint64_t offset) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::pread(image.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read an image's header", errno, Code::denied));
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

Result<BackingName> parse_qcow2_header(std::string_view bytes) {
  // Big-endian words one after another: XDR's reader reads them.
  XdrReader reader(bytes);
  BackingName backing;
  const auto magic = reader.u32("magic");
  if (!magic || *magic != kMagic) return denied("is not that of a qcow2 image");
  VMSEC_TRY(const std::uint32_t version, reader.u32("qcow2 version"));
  VMSEC_TRY(backing.offset, reader.u64("qcow2 backing file's place"));
  VMSEC_TRY(backing.size, reader.u32("qcow2 backing file's size"));
  VMSEC_TRY(const std::uint32_t cluster_bits, reader.u32("qcow2 cluster size"));
  if (version != 2 && version != 3) return denied("is of version " + std::to_string(version));
  if (cluster_bits < kClusterBitsLeast || cluster_bits > kClusterBitsMost)
    return denied("has no sensible cluster size");
  if (version == 3) {
    VMSEC_TRY(const auto skipped, reader.fixed(48, "qcow2 header"));
    static_cast<void>(skipped);
    VMSEC_TRY(const std::uint64_t features, reader.u64("qcow2 features"));
    VMSEC_CHECK(check_features(features));
  }
  if (backing.offset == 0) return BackingName{};
  const std::uint64_t cluster = std::uint64_t{1} << cluster_bits;
  if (backing.size > kBackingNameLimit || backing.offset > cluster || backing.size > cluster - backing.offset)
    return denied("has its backing file's name outside of its first cluster");
  return backing;
}

Result<std::string> qcow2_backing(const Fd& image) {
  VMSEC_TRY(const std::string header, read_at(image, kImageHeaderSize, 0));
  VMSEC_TRY(const BackingName backing, parse_qcow2_header(header));
  if (backing.size == 0) return std::string();
  VMSEC_TRY(std::string name, read_at(image, backing.size, backing.offset));
  if (name.size() != backing.size) return denied("ends within its backing file's name");
  // QEMU's string ends there.
  if (name.find('\0') != std::string::npos) return denied("has a NUL in its backing file's name");
  return name;
}

}  // namespace vmsec::kvm

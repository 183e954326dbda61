#include "loader/sealed_file.hpp"

#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <utility>

namespace vmsec::loader {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<std::string> digest_of(std::string_view bytes, const std::string& file) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    return fail(Code::internal, "digest " + file + ": SHA-256 is not available");
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// The file may grow or shrink meanwhile: what was read until its end is the copy.
Result<std::size_t> fill(int to, int from, const std::string& file) {
  std::array<char, 1 << 16> buffer{};
  std::size_t size = 0;
  while (true) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read " + file));
    if (got == 0) return size;
    size += static_cast<std::size_t>(got);
    if (size > SealedFile::kMaximum)
      return fail(Code::limit_exceeded,
                  "read " + file + ": more than " + std::to_string(SealedFile::kMaximum >> 20) + " MiB");
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
      if (put < 0 && errno != EINTR) return fail(errno_error("copy " + file));
      done += put < 0 ? 0 : put;
    }
  }
}

}  // namespace

Result<SealedFile> SealedFile::copy(const std::string& file) {
  const Fd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!source.valid()) return fail(errno_error("load " + file));
  struct stat found{};
  if (::fstat(source.get(), &found) != 0) return fail(errno_error("load " + file));
  if (!S_ISREG(found.st_mode)) return fail(Code::unsupported, "load " + file + ": it is no regular file");
  SealedFile sealed;
  sealed.file_ = file;
  sealed.fd_.reset(::memfd_create(file.substr(file.rfind('/') + 1).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!sealed.fd_.valid()) return fail(errno_error("load " + file + ": make memory for it"));
  VMSEC_TRY(const std::size_t size, fill(sealed.fd_.get(), source.get(), file));
  if (::fcntl(sealed.fd_.get(), F_ADD_SEALS, kSeals) != 0)
    return fail(errno_error("load " + file + ": seal its memory"));
  VMSEC_CHECK(sealed.map(size));
  return sealed;
}

Result<SealedFile> SealedFile::adopt(Fd fd, const std::string& file) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals)
    return fail(Code::tampered, "load " + file + ": its memory is not sealed");
  struct stat found{};
  if (::fstat(fd.get(), &found) != 0) return fail(errno_error("load " + file));
  const auto size = static_cast<std::size_t>(found.st_size);
  if (size > kMaximum)
    return fail(Code::limit_exceeded, "load " + file + ": more than " + std::to_string(kMaximum >> 20) + " MiB");
  SealedFile sealed;
  sealed.file_ = file;
  sealed.fd_ = std::move(fd);
  VMSEC_CHECK(sealed.map(size));
  return sealed;
}

Status SealedFile::map(std::size_t size) {
  if (size > 0) {
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (mapped == MAP_FAILED) return fail(errno_error("load " + file_ + ": map it"));
    bytes_ = {static_cast<const char*>(mapped), size};
  }
  VMSEC_TRY(digest_, digest_of(bytes_, file_));
  return {};
}

SealedFile::SealedFile(SealedFile&& other) noexcept
    : file_(std::move(other.file_)),
      fd_(std::move(other.fd_)),
      bytes_(std::exchange(other.bytes_, {})),
      digest_(std::move(other.digest_)) {}

SealedFile& SealedFile::operator=(SealedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(fd_, other.fd_);
  std::swap(bytes_, other.bytes_);
  std::swap(digest_, other.digest_);
  return *this;
}

SealedFile::~SealedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace vmsec::loader

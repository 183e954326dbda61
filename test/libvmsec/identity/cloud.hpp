// A small cloud for tests: an authority, hosts, a placement key and a clock that tests move.
#pragma once

#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "vmsec/identity.hpp"

namespace vmsec::test {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string form = (fs::temp_directory_path() / "vmsec-test-XXXXXX").string();
    if (::mkdtemp(form.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = form;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The value, or a failed test that prints the error.
template <class T>
T good(Result<T> result) {
  if (!result) FAIL(to_string(result.error().code) << ": " << result.error().message);
  return std::move(*result);
}
inline void good(const Status& status) {
  if (!status) FAIL(to_string(status.error().code) << ": " << status.error().message);
}

// The error's code; Code::ok where there is none. Its message is kept for CHECKs.
template <class T>
Code code_of(const Result<T>& result) {
  if (result) return Code::ok;
  UNSCOPED_INFO(result.error().message);
  return result.error().code;
}
template <class T>
std::string message_of(const Result<T>& result) {
  return result ? std::string() : result.error().message;
}

inline std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void spit(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

class FakeClock {
 public:
  explicit FakeClock(std::uint64_t start = 1'800'000'000) : now_(std::make_shared<std::atomic<std::uint64_t>>(start)) {}
  [[nodiscard]] UnixSeconds now() const { return UnixSeconds{now_->load()}; }
  void advance(std::int64_t seconds) { *now_ += static_cast<std::uint64_t>(seconds); }
  [[nodiscard]] Clock clock() const {
    return [now = now_] { return UnixSeconds{now->load()}; };
  }

 private:
  std::shared_ptr<std::atomic<std::uint64_t>> now_;
};

struct Cloud {
  explicit Cloud(KeyType key = KeyType::ecdsa_p256)
      : key_type(key),
        authority(good(CertificateAuthority::init(dir.path() / "ca", "test cloud", {key, 3650}, clock.clock()))),
        placement(good(PlacementKey::create(dir.path() / "placement.key"))) {}

  // Issues the host its certificate on first use.
  HostFiles files(const std::string& host, std::uint32_t days = 365) {
    const fs::path home = dir.path() / host;
    if (fs::create_directory(home)) {
      good(authority.issue(host, {days, home, key_type}));
      fs::create_directory(home / "state");
    }
    return {authority.certificate_file(),       home / (host + ".crt"), home / (host + ".key"), authority.crl_file(),
            {dir.path() / "placement.key.pub"}, home / "state"};
  }
  HostIdentity host(const std::string& name, std::uint32_t days = 365) {
    return good(HostIdentity::load(files(name, days), clock.clock()));
  }

  TempDir dir;
  FakeClock clock;
  KeyType key_type;
  CertificateAuthority authority;
  PlacementKey placement;
};

}  // namespace vmsec::test

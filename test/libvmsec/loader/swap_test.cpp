// Somebody exchanges the file between check and load, as fast as it goes: by rename, and by writing into it.
#include <atomic>
#include <cstdlib>
#include <thread>

#include "libvmsec/loader/signed.hpp"
#include "loader/module_file.hpp"
#include "paths.hpp"

namespace vmsec::test {
namespace {

constexpr int kRounds = 10'000;
constexpr int kMaximumRounds = 50 * kRounds;  // until both ends have been seen

struct Swap {
  std::string good = slurp(std::string(VMSEC_BINARY_DIR) + "/test/small/good.so");
  std::string evil = slurp(std::string(VMSEC_BINARY_DIR) + "/test/small/evil.so");
  TempDir dir;
  fs::path file = dir.path() / "small.so";
  SigningKey key{dir, "maker"};

  Swap() {
    spit(file, good);
    key.sign(file);
  }
  void by_rename(const std::string& bytes) const {
    spit(dir.path() / "fresh", bytes);
    fs::rename(dir.path() / "fresh", file);
  }
  void in_place(const std::string& bytes) const {
    const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), 0) < 0 ||
        ::ftruncate(fd.get(), static_cast<off_t>(bytes.size())) != 0)
      throw std::runtime_error("write");
  }
};

}  // namespace

TEST_CASE("swapped between check and load 10,000 times, unverified code never runs") {
  const Swap swap;
  const Trust trust = trust_in(swap.key.trusted({TrustRole::module}));
  const vmsec_host host{sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, nullptr, nullptr};
  ::unsetenv("VMSEC_TEST_MARK");
  std::atomic<bool> over = false;
  std::thread attacker([&] {
    for (int i = 0; !over; ++i) {
      const std::string& bytes = i % 2 == 0 ? swap.evil : swap.good;
      if (i % 4 < 2)
        swap.by_rename(bytes);
      else
        swap.in_place(bytes);
    }
  });
  int loaded = 0;
  int refused = 0;
  int wrong = 0;
  for (int i = 0; i < kRounds || ((loaded == 0 || refused == 0) && i < kMaximumRounds); ++i) {
    const auto file = loader::ModuleFile::open(swap.file, trust);
    if (!file) {
      ++refused;
      if (file.error().code != Code::tampered) ++wrong;
      continue;
    }
    if (!loader::start_in_process(*file, host, {})) ++wrong;
    ++loaded;
    if (std::getenv("VMSEC_TEST_MARK") != nullptr) break;
  }
  over = true;
  attacker.join();
  INFO(loaded << " loaded, " << refused << " refused");
  CHECK(std::getenv("VMSEC_TEST_MARK") == nullptr);
  CHECK(wrong == 0);
  CHECK(loaded > 0);
  CHECK(refused > 0);
  // The mark is one that loading leaves: unverified, the same file runs.
  spit(swap.file, swap.evil);
  const auto file = good(loader::ModuleFile::adopt(good(loader::SealedFile::copy(swap.file))));
  CHECK(loader::start_in_process(file, host, {}).has_value());
  CHECK(std::getenv("VMSEC_TEST_MARK") != nullptr);
}

}  // namespace vmsec::test

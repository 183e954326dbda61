#include "swtpm.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "evidence/replay.hpp"
#include "vmsec/fd.hpp"

extern char** environ;

namespace vmsec::boot::test {
namespace {

// The socket's file is there a moment before anybody listens on it.
bool listens(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

TempFolder::TempFolder() {
  std::string pattern = std::filesystem::temp_directory_path() / "vmsec-boot-XXXXXX";
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::file(const std::string& name, std::string_view content) const {
  const auto path = path_ / name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

int run(const std::string& command) {
  const int status = std::system(("{ " + command + "; } >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool has_program(const std::string& name) { return run("command -v " + name) == 0; }

bool Swtpm::available() {
  static const bool there = has_program("swtpm");
  if (!there) WARN("SKIPPED: swtpm is not installed (apt-get install swtpm), nothing was tested here");
  return there;
}

Swtpm::Swtpm() {
  std::filesystem::create_directory(state());
  start();
}

Swtpm::~Swtpm() { stop(); }

std::string Swtpm::tcti() const { return "swtpm:path=" + (folder_.path() / "sock").string(); }

void Swtpm::start() {
  const std::string sock = folder_.path() / "sock";
  std::filesystem::remove(sock);
  std::filesystem::remove(sock + ".ctrl");
  std::vector<std::string> words{"swtpm",
                                 "socket",
                                 "--tpm2",
                                 "--tpmstate",
                                 "dir=" + state().string(),
                                 "--server",
                                 "type=unixio,path=" + sock,
                                 "--ctrl",
                                 "type=unixio,path=" + sock + ".ctrl",
                                 "--flags",
                                 "not-need-init,startup-clear",
                                 "--log",
                                 "file=" + (folder_.path() / "log").string()};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  REQUIRE(::posix_spawnp(&pid_, "swtpm", nullptr, nullptr, argv.data(), environ) == 0);
  for (int i = 0; i < 1000 && !(listens(sock + ".ctrl") && listens(sock)); ++i) {
    REQUIRE(::waitpid(pid_, nullptr, WNOHANG) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(listens(sock));
}

void Swtpm::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Swtpm::reset() {
  stop();
  start();
}

void Swtpm::manufacture() {
  stop();
  std::filesystem::remove_all(state());
  std::filesystem::create_directory(state());
  start();
}

namespace {

// A connection for one errand.
class Esys {
 public:
  explicit Esys(const std::string& tcti) {
    REQUIRE(Tss2_TctiLdr_Initialize(tcti.c_str(), &way_) == 0);
    REQUIRE(Esys_Initialize(&esys_, way_, nullptr) == 0);
  }
  ~Esys() {
    Esys_Finalize(&esys_);
    Tss2_TctiLdr_Finalize(&way_);
  }
  Esys(const Esys&) = delete;
  Esys& operator=(const Esys&) = delete;
  [[nodiscard]] ESYS_CONTEXT* get() const { return esys_; }

 private:
  TSS2_TCTI_CONTEXT* way_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
};

}  // namespace

void Swtpm::extend(std::uint32_t pcr, std::string_view digest, Hash bank) {
  const Esys esys(tcti());
  TPML_DIGEST_VALUES values{};
  values.count = 1;
  values.digests[0].hashAlg = static_cast<TPMI_ALG_HASH>(bank);
  REQUIRE(digest.size() == digest_size(bank));
  std::memcpy(&values.digests[0].digest, digest.data(), digest.size());
  REQUIRE(Esys_PCR_Extend(esys.get(), pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values) == 0);
}

void Swtpm::write_nv(std::uint32_t index, std::string_view content) {
  const Esys esys(tcti());
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = TPMA_NV_AUTHREAD | TPMA_NV_OWNERWRITE | TPMA_NV_NO_DA;
  area.nvPublic.dataSize = static_cast<UINT16>(content.size());
  const TPM2B_AUTH none{};
  ESYS_TR object = ESYS_TR_NONE;
  REQUIRE(Esys_NV_DefineSpace(esys.get(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &none, &area,
                              &object) == 0);
  for (std::size_t at = 0; at < content.size(); at += 512) {
    TPM2B_MAX_NV_BUFFER some{};
    const auto part = content.substr(at, 512);
    some.size = static_cast<UINT16>(part.size());
    std::memcpy(some.buffer, part.data(), part.size());
    REQUIRE(Esys_NV_Write(esys.get(), ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &some,
                          static_cast<UINT16>(at)) == 0);
  }
  Esys_TR_Close(esys.get(), &object);
}

void Swtpm::boot(std::string_view log, Hash bank) {
  const auto replayed = replay(log, bank);
  REQUIRE(replayed);
  for (const auto& event : replayed->measurements) extend(event.pcr, event.digest, bank);
}

}  // namespace vmsec::boot::test

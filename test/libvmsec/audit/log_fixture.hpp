// A host with an audit log, and the log's lines for tests to tamper with.
#pragma once

#include <openssl/evp.h>

#include <sstream>

#include "libvmsec/identity/cloud.hpp"
#include "vmsec/audit.hpp"

namespace vmsec::test {

// Of a line without its hash: as somebody makes it who knows the code but not the key.
inline std::string record_hash(const std::string& hashed) {
  const std::string text = std::string("vmsec audit record v1") + '\0' + hashed;
  unsigned char digest[32];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : digest) (out += kDigits[byte >> 4]) += kDigits[byte & 15];
  return out;
}

struct Logged {
  Cloud cloud;
  HostIdentity host = cloud.host("web-1");
  fs::path dir = cloud.dir.path() / "audit";
  std::shared_ptr<std::atomic<std::uint64_t>> micros =
      std::make_shared<std::atomic<std::uint64_t>>(1'800'000'000'000'000);

  Logged() { fs::create_directory(dir); }

  [[nodiscard]] fs::path file() const { return dir / "audit.log"; }
  [[nodiscard]] AuditOptions options(std::uint32_t every = 4) const {
    AuditOptions out;
    out.checkpoint_every = every;
    out.clock = [micros = micros] { return Microseconds{micros->fetch_add(1)}; };
    return out;
  }
  [[nodiscard]] Result<std::unique_ptr<AuditLog>> open(std::uint32_t every = 4) const {
    return AuditLog::open(dir, host, options(every));
  }
  static AuditEntry entry(const std::string& detail, Outcome outcome = Outcome::succeeded) {
    return {"migration.commit", outcome, *Uuid::parse("12345678-1234-1234-1234-123456789abc"), "web-2", detail};
  }
  // Some acts, and an orderly end.
  void fill(int acts) const {
    const auto log = good(open());
    for (int i = 0; i < acts; ++i) good(log->append("migration", entry("act " + std::to_string(i))));
    good(log->close());
  }
  [[nodiscard]] AuditReport verify(const std::optional<AuditAnchor>& anchor = {}) const {
    auto report = good(verify_audit(file(), {host.public_key()}, anchor));
    UNSCOPED_INFO(report.cause);
    return report;
  }

  [[nodiscard]] std::vector<std::string> lines() const {
    std::istringstream in(slurp(file()));
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  void write(const std::vector<std::string>& all) const {
    std::string text;
    for (const auto& line : all) text += line + "\n";
    spit(file(), text);
  }
};

}  // namespace vmsec::test

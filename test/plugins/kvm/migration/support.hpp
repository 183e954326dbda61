// The captured messages, and small edits of them.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "domain_policy.hpp"
#include "paths.hpp"
#include "rpc_message.hpp"

namespace vmsec::kvm::test {

inline std::string data(const std::string& name) {
  std::ifstream file(std::string(VMSEC_SOURCE_DIR) + "/test/plugins/kvm/migration/data/" + name, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline rpc::Message message_of(const std::string& bytes) {
  rpc::Framer framer;
  framer.add(bytes);
  auto message = framer.next();
  REQUIRE(message);
  REQUIRE(message->has_value());
  REQUIRE(framer.pending() == 0);
  return std::move(**message);
}

inline rpc::Message captured(const std::string& name) { return message_of(data(name + ".bin")); }

inline rpc::Message call(std::uint32_t procedure, std::uint32_t serial, std::string_view payload = {}) {
  rpc::Header header;
  header.procedure = procedure;
  header.serial = serial;
  return message_of(rpc::encode(header, payload));
}

inline rpc::Message reply_to(const rpc::Message& call, std::string_view payload,
                             rpc::Outcome outcome = rpc::Outcome::ok) {
  rpc::Header header = call.header;
  header.type = static_cast<std::uint32_t>(rpc::Type::reply);
  header.status = static_cast<std::uint32_t>(outcome);
  return message_of(rpc::encode(header, payload));
}

inline const std::string kDomainUuid = "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6";

inline ExpectedDomain expected_domain() { return {*Uuid::parse(kDomainUuid), "km-web"}; }

// Allows the captured domain.
inline IncomingPolicy permissive_policy() {
  auto policy = IncomingPolicy::from_settings({{"incoming.disk_roots", "/srv/vmsec/disks"},
                                               {"incoming.kernel_roots", "/srv/vmsec/guest"},
                                               {"incoming.file_roots", "/var/log/libvirt/qemu"},
                                               {"incoming.tap_prefix", "kmtap"},
                                               {"incoming.bridges", "br-guest"}});
  REQUIRE(policy);
  return *policy;
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace vmsec::kvm::test

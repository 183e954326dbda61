// What firmware writes into events, made by hand.
#pragma once

#include "event_logs.hpp"
#include "evidence/openssl_handles.hpp"

namespace vmsec::boot::test {

inline std::string utf16(std::string_view text) {
  std::string out;
  for (const char c : text) out += std::string{c, '\0'};
  return out;
}

// A GUID's 16 bytes from its text: its first three parts are little-endian.
inline std::string guid(std::string_view text) {
  std::string hex;
  for (const char c : text)
    if (c != '-') hex += c;
  const std::string raw = from_hex(hex).value();
  return {raw[3], raw[2], raw[1],  raw[0],  raw[5],  raw[4],  raw[7],  raw[6],
          raw[8], raw[9], raw[10], raw[11], raw[12], raw[13], raw[14], raw[15]};
}

inline constexpr std::string_view kGlobal = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
inline constexpr std::string_view kImageSecurity = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
inline constexpr std::string_view kShim = "605dab50-e046-4300-abb6-3dd810dd8b23";
inline constexpr std::string_view kSha256List = "c1c41626-504c-4092-aca9-41f936934328";
inline constexpr std::string_view kX509List = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";

inline std::string variable(std::string_view vendor, std::string_view name, std::string_view data) {
  return guid(vendor) + little(std::uint64_t{name.size()}) + little(std::uint64_t{data.size()}) + utf16(name) +
         std::string(data);
}

inline std::string node(std::uint8_t type, std::uint8_t kind, std::string_view data) {
  return std::string{static_cast<char>(type), static_cast<char>(kind)} +
         little(static_cast<std::uint16_t>(data.size() + 4)) + std::string(data);
}

inline std::string end_of_path() { return node(0x7f, 0xff, ""); }

inline std::string hard_drive() {
  return node(4, 1,
              little(1U) + little(std::uint64_t{2048}) + little(std::uint64_t{4096}) +
                  guid("ef72374c-2630-46a1-88d6-082693781140") + "\2\2");
}

inline std::string disk_path(std::string_view file) {
  return node(2, 1, little(0x0a0341d0U) + little(0U)) + node(1, 1, std::string("\0\3", 2)) + hard_drive() +
         node(4, 4, utf16(file) + std::string(2, '\0')) + end_of_path();
}

inline std::string image(std::string_view path, std::uint64_t bytes = 1000) {
  return little(std::uint64_t{0x1000}) + little(bytes) + little(std::uint64_t{0}) + little(std::uint64_t{path.size()}) +
         std::string(path);
}

inline std::string hash_list(std::size_t entries) {
  return guid(kSha256List) + little(static_cast<std::uint32_t>(28 + 48 * entries)) + little(0U) + little(48U) +
         std::string(48 * entries, 'h');
}

// One entry that holds the certificate.
inline std::string certificate_list(std::string_view der) {
  const auto entry = static_cast<std::uint32_t>(16 + der.size());
  return guid(kX509List) + little(28 + entry) + little(0U) + little(entry) + std::string(16, 'o') + std::string(der);
}

// Self-signed, of that common name.
inline std::string certificate(const std::string& name) {
  const PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const X509Ptr x509(X509_new());
  X509_set_version(x509.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
  X509_set_pubkey(x509.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(x509.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(x509.get(), subject);
  X509_sign(x509.get(), key.get(), EVP_sha256());
  std::string der(static_cast<std::size_t>(i2d_X509(x509.get(), nullptr)), '\0');
  unsigned char* at = octets(der);
  i2d_X509(x509.get(), &at);
  return der;
}

inline std::string load_option(std::string_view text, std::string_view path, std::uint32_t attributes = 1) {
  return little(attributes) + little(static_cast<std::uint16_t>(path.size())) + utf16(text) + std::string(2, '\0') +
         std::string(path);
}

inline std::string partition(std::string_view name) {
  std::string entry(56, 'p');
  entry += utf16(name);
  entry.resize(128, '\0');
  return entry;
}

inline std::string partition_table(const std::vector<std::string>& names) {
  std::string table = "EFI PART" + std::string(48, '\0') + guid("2aeb90b6-e13c-4197-8ee2-59e9ed2959dc");
  table.resize(84, '\0');
  table += little(128U) + std::string(4, '\0') + little(std::uint64_t{names.size()});
  for (const auto& name : names) table += partition(name);
  return table;
}

inline std::string tagged(std::uint32_t id, std::string_view data) {
  return little(id) + little(static_cast<std::uint32_t>(data.size())) + std::string(data);
}

}  // namespace vmsec::boot::test

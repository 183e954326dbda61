#include "efi.hpp"

#include <openssl/err.h>

#include <algorithm>

#include "bytes.hpp"
#include "openssl_handles.hpp"

namespace vmsec::boot::efi {
namespace {

constexpr std::size_t kMaxNames = 8;
constexpr std::size_t kMaxTailBytes = 8;
constexpr std::size_t kMaxCertificateBytes = std::size_t{64} << 10;

constexpr std::string_view kX509 = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";
// SHA-256, SHA-1, SHA-224, SHA-384, SHA-512 of images; SHA-256, SHA-384, SHA-512 of certificates.
constexpr std::array<std::string_view, 8> kHashes{
    "c1c41626-504c-4092-aca9-41f936934328", "826ca512-cf10-4ac9-b187-be01496631bd",
    "0b6e5233-a65c-44c9-9407-d9ab83bfc8bd", "ff3e5307-9fd0-48c9-85f1-8ad56c701e01",
    "093e0fae-a6c4-4f50-9f1b-d41e2b89c19a", "3bd2a492-96c0-4079-b420-fcf98ef103ed",
    "7076876e-80c2-4ee6-aad2-28b349a6865b", "446dbf63-2502-4cda-bcfa-2465d2b0fe9d"};

bool read_list(ByteReader& reader, SignatureLists& lists) {
  const auto type = reader.take(kGuidBytes);
  const auto list = reader.little<std::uint32_t>();
  const auto header = reader.little<std::uint32_t>();
  const auto each = reader.little<std::uint32_t>();
  if (!type || !list || !header || !each || *each <= kGuidBytes) return false;
  const std::uint64_t before = std::uint64_t{28} + *header;
  if (*list < before || (*list - before) % *each != 0 || !reader.take(*header)) return false;
  const auto body = reader.take(static_cast<std::size_t>(*list - before));
  if (!body) return false;
  const std::size_t count = body->size() / *each;
  const std::string kind = guid_text(*type);
  if (std::ranges::find(kHashes, kind) != kHashes.end()) {
    lists.hashes += count;
    return true;
  }
  if (kind != kX509) {
    lists.others += count;
    return true;
  }
  lists.certificates += count;
  for (std::size_t i = 0; i < count && lists.names.size() < kMaxNames; ++i)
    if (auto name = certificate_name(body->substr(i * *each, *each).substr(kGuidBytes)))
      lists.names.push_back(std::move(*name));
  return true;
}

std::string common_name(const X509_NAME* subject) {
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
  if (size < 0) return {};
  std::string name = printable({reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size)}, 80);
  OPENSSL_free(utf8);
  return name;
}

}  // namespace

std::string guid_text(std::string_view guid) {
  ByteReader reader(guid);
  const auto a = reader.little<std::uint32_t>();
  const auto b = reader.little<std::uint16_t>();
  const auto c = reader.little<std::uint16_t>();
  const auto d = reader.take(2);
  const auto e = reader.take(6);
  if (!a || !b || !c || !d || !e) return {};
  return to_hex(big_endian(*a)) + "-" + to_hex(big_endian(*b)) + "-" + to_hex(big_endian(*c)) + "-" + to_hex(*d) + "-" +
         to_hex(*e);
}

std::string utf16_text(std::string_view bytes) {
  std::string out;
  ByteReader reader(bytes);
  while (const auto unit = reader.little<std::uint16_t>()) {
    if (*unit == 0) break;
    out += (*unit >= ' ' && *unit <= '~') ? static_cast<char>(*unit) : '?';
  }
  return out;
}

bool is_utf16(std::string_view bytes) {
  if (bytes.size() < 4 || bytes[0] == '\0') return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    const bool is_text = c == '\0' || c == '\t' || c == '\n' || c == '\r' || (c >= ' ' && c <= '~');
    if (i % 2 == 0 ? !is_text : c != '\0') return false;
  }
  return true;
}

std::optional<Variable> read_variable(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto vendor = reader.take(kGuidBytes);
  const auto name_units = reader.little<std::uint64_t>();
  const auto data_bytes = reader.little<std::uint64_t>();
  if (!vendor || !name_units || !data_bytes || *name_units > reader.left() / 2) return std::nullopt;
  const auto name = reader.take(static_cast<std::size_t>(*name_units) * 2);
  if (!name || *data_bytes > reader.left() || reader.left() - *data_bytes > kMaxTailBytes) return std::nullopt;
  const auto data = reader.take(static_cast<std::size_t>(*data_bytes));
  if (!data) return std::nullopt;
  return Variable{guid_text(*vendor), utf16_text(*name), *data, bytes.substr(0, reader.offset())};
}

std::optional<SignatureLists> read_signature_lists(std::string_view bytes) {
  SignatureLists lists;
  ByteReader reader(bytes);
  while (reader.left() != 0)
    if (!read_list(reader, lists)) return std::nullopt;
  return lists;
}

std::optional<std::string> certificate_name(std::string_view der) {
  if (der.size() < 2 || der.size() > kMaxCertificateBytes) return std::nullopt;
  const unsigned char* at = octets(der);
  const X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate) return std::nullopt;
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  std::string name = common_name(subject);
  if (name.empty()) {
    std::array<char, 128> line{};
    if (X509_NAME_oneline(subject, line.data(), static_cast<int>(line.size())) != nullptr)
      name = printable(line.data(), 80);
  }
  ERR_clear_error();
  return name;
}

std::optional<ImageLoad> read_image_load(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto location = reader.little<std::uint64_t>();
  const auto size = reader.little<std::uint64_t>();
  const auto link_time = reader.little<std::uint64_t>();
  const auto path_bytes = reader.little<std::uint64_t>();
  if (!location || !size || !link_time || !path_bytes || *path_bytes > reader.left()) return std::nullopt;
  ImageLoad load;
  load.bytes = *size;
  // Behind a path of no bytes shim of some versions leaves bytes that belong to nothing.
  if (*path_bytes != 0) load.path = read_device_path(reader.rest().substr(0, static_cast<std::size_t>(*path_bytes)));
  return load;
}

std::optional<LoadOption> read_load_option(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto attributes = reader.little<std::uint32_t>();
  const auto path_bytes = reader.little<std::uint16_t>();
  if (!attributes || !path_bytes) return std::nullopt;
  LoadOption option;
  option.active = (*attributes & 1U) != 0;
  const std::string_view text = reader.rest();
  while (true) {
    const auto unit = reader.little<std::uint16_t>();
    if (!unit) return std::nullopt;
    if (*unit == 0) break;
  }
  option.description = utf16_text(text);
  const auto path = reader.take(*path_bytes);
  if (!path) return std::nullopt;
  option.path = read_device_path(*path);
  return option;
}

std::optional<PartitionTable> read_partition_table(std::string_view bytes) {
  constexpr std::size_t kHeader = 92;
  constexpr std::size_t kEntry = 128;
  constexpr std::size_t kName = 56;
  ByteReader reader(bytes);
  const auto header = reader.take(kHeader);
  const auto count = reader.little<std::uint64_t>();
  if (!header || !count || !header->starts_with("EFI PART")) return std::nullopt;
  const auto entry = ByteReader(header->substr(84)).little<std::uint32_t>();
  if (!entry || *entry < kEntry || *count > reader.left() / *entry) return std::nullopt;
  PartitionTable table;
  table.disk = guid_text(header->substr(56, kGuidBytes));
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto each = reader.take(*entry);
    if (!each) return std::nullopt;
    table.partitions.push_back(utf16_text(each->substr(kName, kEntry - kName)));
  }
  if (reader.left() != 0) return std::nullopt;
  return table;
}

}  // namespace vmsec::boot::efi

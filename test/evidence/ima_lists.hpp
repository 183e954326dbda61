// IMA lists for tests, made as the kernel makes them.
#pragma once

#include "event_logs.hpp"

namespace vmsec::boot::test {

inline std::string field(std::string_view bytes) {
  return little(static_cast<std::uint32_t>(bytes.size())) + std::string(bytes);
}

inline std::string ima_raw(std::uint32_t pcr, std::string_view template_digest, std::string_view name,
                           std::string_view rest) {
  return little(pcr) + std::string(template_digest) + field(name) + std::string(rest);
}

inline std::string ima_entry(std::string_view name, std::string_view data, std::uint32_t pcr = 10) {
  return ima_raw(pcr, digest(Hash::sha1, {data}).value(), name, field(data));
}

inline std::string named_digest(std::string_view words, std::size_t size = 32, char fill = 'd') {
  return field(std::string(words) + ":" + std::string(1, '\0') + std::string(size, fill));
}

inline std::string path_field(std::string_view path) { return field(std::string(path) + '\0'); }

// What the template digest of such an entry is of.
inline std::string ng_data(std::string_view path, char fill = 'd') {
  return named_digest("sha256", 32, fill) + path_field(path);
}

inline std::string old_hashed(std::string_view path) {
  std::string hashed = std::string(20, 'd') + std::string(path);
  hashed.resize(20 + 256, '\0');
  return hashed;
}

inline std::string old_entry(std::string_view path) {
  return ima_raw(10, digest(Hash::sha1, {old_hashed(path)}).value(), "ima", std::string(20, 'd') + field(path));
}

inline std::string violation(std::string_view path) {
  return ima_raw(10, std::string(20, '\0'), "ima-ng", field(ng_data(path, '\0')));
}

}  // namespace vmsec::boot::test

#include "tc_parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(vmsec::common::parse_qdiscs(text));
  static_cast<void>(vmsec::common::parse_redirects(text));
  const auto links = vmsec::common::parse_links(text);
  if (!links) return 0;
  for (const auto& link : *links)
    if (!vmsec::common::is_interface_name(link)) __builtin_trap();
  return 0;
}

#include "vmsec/object.hpp"

#include <elf.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace vmsec {
namespace {

std::unexpected<Error> bad(const std::string& cause) { return fail(Code::unsupported, cause); }

bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

}  // namespace

Status check_object_head(std::string_view head, std::uint64_t size) {
  Elf64_Ehdr header{};
  if (head.size() < sizeof header) return bad("it is no shared object: it has " + std::to_string(size) + " bytes");
  std::memcpy(&header, head.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_type != ET_DYN)
    return bad("it is no 64-bit shared object");
  if (header.e_phentsize != sizeof(Elf64_Phdr) ||
      !within(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr), head.size()))
    return bad("its program headers are not where a shared object has them");
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    std::memcpy(&part, head.data() + header.e_phoff + i * sizeof part, sizeof part);
    if (part.p_type == PT_LOAD && !within(part.p_offset, part.p_filesz, size))
      return bad("it is cut short: it has " + std::to_string(size) + " bytes, and announces more");
  }
  return {};
}

Status check_object(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) return fail(Code::io, "load " + file + ": " + error.message());
  std::ifstream in(file, std::ios::binary);
  std::string head(kObjectHead, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  if (const auto whole = check_object_head(head, size); !whole) return fail(whole.error().in("load " + file));
  return {};
}

}  // namespace vmsec

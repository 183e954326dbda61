#include "vmsec/object.hpp"

#include <elf.h>

#include "libvmsec/identity/cloud.hpp"

namespace vmsec::test {
namespace {

// The head of an object with one loaded part of 1,000 bytes.
struct Head {
  Elf64_Ehdr header{};
  Elf64_Phdr part{};
  Head() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_type = ET_DYN;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof part;
    header.e_phnum = 1;
    part.p_type = PT_LOAD;
    part.p_filesz = 1000;
  }
  [[nodiscard]] std::string bytes() const {
    std::string out(sizeof header + sizeof part, '\0');
    std::memcpy(out.data(), &header, sizeof header);
    std::memcpy(out.data() + sizeof header, &part, sizeof part);
    return out;
  }
};

}  // namespace

TEST_CASE("an object is whole when all that it announces is there") {
  const Head head;
  good(check_object_head(head.bytes(), 1000));
  const auto cut = check_object_head(head.bytes(), 999);
  CHECK(code_of(cut) == Code::unsupported);
  CHECK_THAT(message_of(cut), Catch::Contains("cut short"));
}

TEST_CASE("headers that are no 64-bit shared object's, or that overflow, are refused") {
  Head head;
  SECTION("magic") { head.header.e_ident[0] = 'e'; }
  SECTION("class") { head.header.e_ident[EI_CLASS] = ELFCLASS32; }
  SECTION("a program") { head.header.e_type = ET_EXEC; }
  SECTION("header size") { head.header.e_phentsize = 1; }
  SECTION("headers beyond the head") { head.header.e_phoff = ~std::uint64_t{0}; }
  SECTION("too many headers") { head.header.e_phnum = 0xffff; }
  SECTION("a part at the end of the world") { head.part.p_offset = ~std::uint64_t{0}; }
  SECTION("a part of absurd size") { head.part.p_filesz = ~std::uint64_t{0}; }
  CHECK(code_of(check_object_head(head.bytes(), 1000)) == Code::unsupported);
}

TEST_CASE("a file that is not there, or is a folder, is an error that names it") {
  TempDir dir;
  for (const fs::path& file : {dir.path() / "none.so", dir.path()}) {
    const auto status = check_object(file.string());
    CHECK_FALSE(status);
    CHECK_THAT(message_of(status), Catch::Contains(file.string()));
  }
}

}  // namespace vmsec::test

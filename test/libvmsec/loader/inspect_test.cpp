// What is refused of an object by its bytes alone. The odd ones are made by the linker (small_module.c), or patched
// here.
#include "loader/inspect.hpp"

#include <elf.h>

#include <cstring>
#include <functional>

#include "libvmsec/identity/cloud.hpp"
#include "paths.hpp"

namespace vmsec::test {
namespace {

using loader::inspect;

std::string small(const std::string& name) {
  return slurp(std::string(VMSEC_BINARY_DIR) + "/test/small/" + name + ".so");
}

// The first refusal, or the error where it cannot be read at all.
Error refusal_of(const std::string& bytes, ObjectKind kind = ObjectKind::module) {
  const auto found = inspect(bytes, kind, "x.so");
  if (!found) return found.error();
  return found->refusals.empty() ? Error{Code::ok, {}, 0, {}} : found->refusals.front();
}

template <class T>
T get(const std::string& bytes, std::size_t at) {
  T value{};
  REQUIRE(at + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class T>
void change(std::string& bytes, std::size_t at, const std::function<void(T&)>& change) {
  T value = get<T>(bytes, at);
  change(value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

std::size_t section(const std::string& bytes, const std::string& name) {
  const auto header = get<Elf64_Ehdr>(bytes, 0);
  const auto names = get<Elf64_Shdr>(bytes, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr));
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const std::size_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    if (name == bytes.c_str() + names.sh_offset + get<Elf64_Shdr>(bytes, at).sh_name) return at;
  }
  FAIL("no section " << name);
  return 0;
}

std::size_t part(const std::string& bytes, std::uint32_t type, std::size_t which = 0) {
  const auto header = get<Elf64_Ehdr>(bytes, 0);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    const std::size_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
    if (get<Elf64_Phdr>(bytes, at).p_type == type && which-- == 0) return at;
  }
  FAIL("no part of type " << type);
  return 0;
}

}  // namespace

TEST_CASE("a module is known by its bytes") {
  const auto found = good(inspect(small("good"), ObjectKind::module, "x.so"));
  CHECK(found.refusals.empty());
  CHECK(found.abi_major == 1);
  CHECK(found.abi_minor == 0);
  CHECK(found.manifest.name == "small");
  CHECK(found.manifest_text == "name = \"small\"\nversion = \"1.0\"\n");
  CHECK(good(inspect(small("evil"), ObjectKind::module, "x.so")).needed == std::vector<std::string>{"libc.so.6"});
}

TEST_CASE("what asks the dynamic linker for other code is refused") {
  const auto [name, words] = GENERATE(table<std::string, std::string>({{"rpath", "RPATH"},
                                                                       {"runpath", "RUNPATH"},
                                                                       {"foreign", "links libresolv.so.2"},
                                                                       {"audit", "DT_AUDIT"},
                                                                       {"depaudit", "DT_DEPAUDIT"},
                                                                       {"filter", "DT_FILTER"},
                                                                       {"auxiliary", "DT_AUXILIARY"},
                                                                       {"global", "DF_1_GLOBAL"},
                                                                       {"interpose", "DF_1_INTERPOSE"},
                                                                       {"stack", "executable stack"}}));
  for (const auto kind : {ObjectKind::module, ObjectKind::plugin}) {
    const Error refused = refusal_of(small(name), kind);
    INFO(name << ": " << refused.message);
    CHECK(refused.code == Code::denied);
    CHECK_THAT(refused.message, Catch::Contains("x.so: ") && Catch::Contains(words));
  }
}

TEST_CASE("another ABI, a note that lies, and a manifest that is none are refused") {
  const auto [name, code, words] = GENERATE(
      table<std::string, Code, std::string>({{"no_note", Code::unsupported, "no section .vmsec.abi"},
                                             {"major_2", Code::unsupported, "its ABI is 2.0, this host's 1.0"},
                                             {"minor_99", Code::unsupported, "its ABI is 1.99, this host's 1.0"},
                                             {"note_size", Code::unsupported, "lies about its size"},
                                             {"no_manifest", Code::unsupported, "no section .vmsec.manifest"},
                                             {"huge_manifest", Code::limit_exceeded, "64 KiB"},
                                             {"writable_manifest", Code::unsupported, "writable"},
                                             {"odd_version", Code::invalid_argument, "1.0-rc1"}}));
  const Error refused = refusal_of(small(name));
  INFO(name << ": " << refused.message);
  CHECK(refused.code == code);
  CHECK_THAT(refused.message, Catch::Contains(words));
}

TEST_CASE("cut anywhere, an object is refused") {
  const std::string whole = small("good");
  for (std::size_t size = 0; size < whole.size(); size += 64) {
    INFO(size << " of " << whole.size() << " bytes");
    CHECK(refusal_of(whole.substr(0, size)).code == Code::unsupported);
  }
}

TEST_CASE("sections that are not what is loaded are refused") {
  std::string bytes = small("good");
  const auto manifest = [&](const std::function<void(Elf64_Shdr&)>& how) {
    change<Elf64_Shdr>(bytes, section(bytes, ".vmsec.manifest"), how);
  };
  REQUIRE(refusal_of(bytes).code == Code::ok);
  SECTION("the bytes are elsewhere in the file") {
    manifest([](auto& s) { s.sh_offset += 16; });
  }
  SECTION("the bytes are loaded elsewhere") {
    manifest([](auto& s) { s.sh_addr += 16; });
  }
  SECTION("beyond the file") {
    manifest([](auto& s) { s.sh_offset = s.sh_addr = ~std::uint64_t{0} - 8; });
  }
  SECTION("longer than the loaded part") {
    manifest([](auto& s) { s.sh_size = std::uint64_t{1} << 40; });
  }
  SECTION("an absurd size") {
    manifest([](auto& s) { s.sh_size = ~std::uint64_t{0}; });
  }
  SECTION("not loaded") {
    manifest([](auto& s) { s.sh_flags = 0; });
  }
  SECTION("no bytes of the file") {
    manifest([](auto& s) { s.sh_type = SHT_NOBITS; });
  }
  SECTION("two of them") {
    const auto name = get<Elf64_Shdr>(bytes, section(bytes, ".vmsec.manifest")).sh_name;
    change<Elf64_Shdr>(bytes, section(bytes, ".text"), [&](auto& s) { s.sh_name = name; });
  }
  SECTION("no section headers") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_shnum = 0; });
  }
  SECTION("section headers beyond the file") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_shoff = ~std::uint64_t{0} - 64; });
  }
  SECTION("names beyond the sections") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_shstrndx = 0xfff0; });
  }
  CHECK(refusal_of(bytes).code == Code::unsupported);
}

TEST_CASE("loaded parts that overlap, lie or do not fit are refused") {
  std::string bytes = small("good");
  const auto load = [&](std::size_t which, const std::function<void(Elf64_Phdr&)>& how) {
    change<Elf64_Phdr>(bytes, part(bytes, PT_LOAD, which), how);
  };
  SECTION("a part over the one before") {
    const auto first = get<Elf64_Phdr>(bytes, part(bytes, PT_LOAD, 0));
    load(1, [&](auto& p) { p.p_vaddr = first.p_vaddr; });
  }
  SECTION("more in the file than in memory") {
    load(0, [](auto& p) { p.p_memsz = p.p_filesz - 1; });
  }
  SECTION("beyond the file") {
    load(2, [](auto& p) { p.p_filesz = p.p_memsz = 1 << 20; });
  }
  SECTION("an address that overflows") {
    load(3, [](auto& p) { p.p_vaddr = ~std::uint64_t{0} - 4095; });
  }
  SECTION("not aligned") {
    load(1, [](auto& p) { p.p_vaddr += 8; });
  }
  SECTION("no alignment") {
    load(1, [](auto& p) { p.p_align = 0; });
  }
  SECTION("the dynamic table is elsewhere") {
    change<Elf64_Phdr>(bytes, part(bytes, PT_DYNAMIC), [](auto& p) { p.p_offset -= 16; });
  }
  SECTION("the dynamic table has no end") {
    change<Elf64_Phdr>(bytes, part(bytes, PT_DYNAMIC), [](auto& p) { p.p_filesz = 32; });
  }
  SECTION("no dynamic table") {
    change<Elf64_Phdr>(bytes, part(bytes, PT_DYNAMIC), [](auto& p) { p.p_type = PT_NULL; });
  }
  SECTION("another machine") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_machine = EM_AARCH64; });
  }
  SECTION("another byte order") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_ident[EI_DATA] = ELFDATA2MSB; });
  }
  SECTION("too many headers") {
    change<Elf64_Ehdr>(bytes, 0, [](auto& h) { h.e_phnum = 0xffff; });
  }
  CHECK(refusal_of(bytes).code == Code::unsupported);
}

TEST_CASE("what would be writable code, or an executable stack, is refused") {
  std::string bytes = small("good");
  SECTION("a part that is writable and executable") {
    change<Elf64_Phdr>(bytes, part(bytes, PT_LOAD, 1), [](auto& p) { p.p_flags |= PF_W; });
  }
  SECTION("nothing said of the stack") {
    change<Elf64_Phdr>(bytes, part(bytes, PT_GNU_STACK), [](auto& p) { p.p_type = PT_NULL; });
  }
  SECTION("relocations of the text") {
    const auto dynamic = get<Elf64_Phdr>(bytes, part(bytes, PT_DYNAMIC));
    for (std::size_t at = dynamic.p_offset; at < dynamic.p_offset + dynamic.p_filesz; at += sizeof(Elf64_Dyn))
      if (get<Elf64_Dyn>(bytes, at).d_tag == DT_RELACOUNT)
        change<Elf64_Dyn>(bytes, at, [](auto& d) { d.d_tag = DT_TEXTREL; });
  }
  CHECK(refusal_of(bytes).code == Code::denied);
}

TEST_CASE("names of libraries are looked for in what is loaded") {
  std::string bytes = small("evil");
  const auto dynamic = get<Elf64_Phdr>(bytes, part(bytes, PT_DYNAMIC));
  const auto patch = [&](std::int64_t tag, const std::function<void(Elf64_Dyn&)>& how) {
    for (std::size_t at = dynamic.p_offset; at < dynamic.p_offset + dynamic.p_filesz; at += sizeof(Elf64_Dyn))
      if (get<Elf64_Dyn>(bytes, at).d_tag == tag) return change<Elf64_Dyn>(bytes, at, how);
    FAIL("no such tag");
  };
  SECTION("a name beyond the table") {
    patch(DT_NEEDED, [](auto& d) { d.d_un.d_val = 1 << 20; });
  }
  SECTION("a table beyond the part") {
    patch(DT_STRSZ, [](auto& d) { d.d_un.d_val = 1 << 20; });
  }
  SECTION("a table nowhere") {
    patch(DT_STRTAB, [](auto& d) { d.d_un.d_val = ~std::uint64_t{0} - 4; });
  }
  SECTION("two tables") {
    patch(DT_RELACOUNT, [](auto& d) { d.d_tag = DT_STRTAB; });
  }
  CHECK(refusal_of(bytes).code == Code::unsupported);
}

}  // namespace vmsec::test

#include "loader/elf.hpp"

#include <elf.h>

#include <cstring>
#include <optional>

namespace vmsec::loader {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMaximumMemory = std::uint64_t{1} << 30;
constexpr std::size_t kMaximumHeaders = 64;
constexpr std::size_t kMaximumSections = 4096;
constexpr std::size_t kMaximumDynamic = 1024;
constexpr std::size_t kMaximumName = 256;

std::unexpected<Error> bad(const std::string& cause) { return fail(Code::unsupported, cause); }

bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

template <class T>
std::optional<T> at(std::string_view bytes, std::uint64_t offset) {
  if (!within(offset, sizeof(T), bytes.size())) return std::nullopt;
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// A text that ends with its NUL within the table.
std::optional<std::string> text_at(std::string_view table, std::uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const auto rest = table.substr(offset, kMaximumName);
  const auto end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(rest.substr(0, end));
}

Status check_header(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_ident[EI_VERSION] != EV_CURRENT ||
      header.e_machine != EM_X86_64 || header.e_type != ET_DYN)
    return bad("it is no 64-bit shared object for x86-64");
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > kMaximumHeaders)
    return bad("its program headers are not those of a shared object");
  return {};
}

// What the dynamic linker would do with each of these is to run code that nobody
// verified, or to make verified code writable.
struct Refusal {
  std::int64_t tag;
  const char* sentence;
};
constexpr Refusal kRefused[] = {
    {DT_RPATH, "it has an RPATH: what it links would be looked for where it says"},
    {DT_RUNPATH, "it has a RUNPATH: what it links would be looked for where it says"},
    {DT_AUDIT, "it names an auditor for the dynamic linker (DT_AUDIT)"},
    {DT_DEPAUDIT, "it names an auditor for the dynamic linker (DT_DEPAUDIT)"},
    {DT_FILTER, "it is a filter for another object (DT_FILTER)"},
    {DT_AUXILIARY, "it is a filter for another object (DT_AUXILIARY)"},
    {DT_TEXTREL, "its code is changed when it is loaded (DT_TEXTREL)"},
};

}  // namespace

Result<Elf> Elf::read(std::string_view bytes) {
  Elf elf(bytes);
  VMSEC_CHECK(elf.read_parts());
  return elf;
}

Status Elf::read_parts() {
  const auto header = at<Elf64_Ehdr>(bytes_, 0);
  if (!header) return bad("it is no shared object: it has " + std::to_string(bytes_.size()) + " bytes");
  VMSEC_CHECK(check_header(*header));
  bool stack = false;
  DynamicPlace dynamic;
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    if (!within(header->e_phoff, (i + 1) * sizeof(Elf64_Phdr), bytes_.size()))
      return bad("it is cut short: its program headers are not there");
    const auto place = header->e_phoff + i * sizeof(Elf64_Phdr);
    const auto part = at<Elf64_Phdr>(bytes_, place);
    if (part->p_type == PT_LOAD) VMSEC_CHECK(add_part(place));
    if (part->p_type == PT_GNU_STACK) {
      stack = true;
      if ((part->p_flags & PF_X) != 0) refused_.emplace_back("it wants an executable stack");
    }
    if (part->p_type != PT_DYNAMIC) continue;
    if (dynamic.found) return bad("it has two dynamic tables");
    dynamic = {part->p_vaddr, part->p_offset, part->p_filesz, true};
  }
  // Without the header, the dynamic linker makes the stack executable.
  if (!stack) refused_.emplace_back("it does not say that its stack is not executable (PT_GNU_STACK)");
  if (!dynamic.found) return bad("it has no dynamic table");
  return read_dynamic(dynamic);
}

Status Elf::add_part(std::uint64_t place) {
  const auto header = at<Elf64_Phdr>(bytes_, place);
  if (!within(header->p_offset, header->p_filesz, bytes_.size()))
    return bad("it is cut short: it has " + std::to_string(bytes_.size()) + " bytes, and announces more");
  if (header->p_memsz < header->p_filesz || header->p_memsz > kMaximumMemory || header->p_vaddr > kMaximumMemory)
    return bad("a loaded part of it is of absurd size");
  if (header->p_align < kPage || (header->p_align & (header->p_align - 1)) != 0 || header->p_align > kMaximumMemory ||
      ((header->p_vaddr - header->p_offset) & (header->p_align - 1)) != 0)
    return bad("a loaded part of it is not aligned");
  // Parts are mapped by whole pages, the later one over the earlier one.
  if (!parts_.empty() &&
      header->p_vaddr / kPage * kPage < (parts_.back().address + parts_.back().memory + kPage - 1) / kPage * kPage)
    return bad("loaded parts of it overlap, or are not in order");
  const bool writable = (header->p_flags & PF_W) != 0;
  if (writable && (header->p_flags & PF_X) != 0)
    refused_.emplace_back("a loaded part of it is writable and executable");
  parts_.push_back({header->p_vaddr, header->p_memsz, header->p_offset, header->p_filesz, writable});
  return {};
}

const Elf::Part* Elf::part_of(std::uint64_t address, std::uint64_t size) const {
  for (const Part& part : parts_)
    if (address >= part.address && within(address - part.address, size, part.size)) return &part;
  return nullptr;
}

Status Elf::read_dynamic(const DynamicPlace& place) {
  const Part* part = part_of(place.address, place.size);
  if (part == nullptr || part->offset + (place.address - part->address) != place.offset)
    return bad("its dynamic table is not where it is loaded");
  std::optional<std::uint64_t> strings;
  std::optional<std::uint64_t> size;
  std::vector<std::uint64_t> names;
  for (std::size_t i = 0;; ++i) {
    if (i == kMaximumDynamic || (i + 1) * sizeof(Elf64_Dyn) > place.size) return bad("its dynamic table does not end");
    const auto entry = at<Elf64_Dyn>(bytes_, place.offset + i * sizeof(Elf64_Dyn));
    if (entry->d_tag == DT_NULL) break;
    for (const Refusal& refusal : kRefused)
      if (entry->d_tag == refusal.tag) refused_.emplace_back(refusal.sentence);
    if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)
      refused_.emplace_back("its code is changed when it is loaded (DF_TEXTREL)");
    if (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & (DF_1_GLOBAL | DF_1_INTERPOSE)) != 0)
      refused_.emplace_back("its symbols would take the place of others' (DF_1_GLOBAL, DF_1_INTERPOSE)");
    if (entry->d_tag == DT_NEEDED) names.push_back(entry->d_un.d_val);
    // The linker takes the last of several: an object with two says two things.
    auto* const once = entry->d_tag == DT_STRTAB ? &strings : entry->d_tag == DT_STRSZ ? &size : nullptr;
    if (once == nullptr) continue;
    if (once->has_value()) return bad("its dynamic table says where its names are twice");
    *once = entry->d_un.d_val;
  }
  if (!strings || !size) return bad("its dynamic table does not say where its names are");
  return read_needed(names, *strings, *size);
}

Status Elf::read_needed(const std::vector<std::uint64_t>& names, std::uint64_t strings, std::uint64_t size) {
  const Part* part = part_of(strings, size);
  if (part == nullptr || part->writable) return bad("its table of names is not where it is loaded");
  const auto table = bytes_.substr(part->offset + (strings - part->address), size);
  for (const auto name : names) {
    auto text = text_at(table, name);
    if (!text) return bad("the name of a library that it links is not in its table of names");
    needed_.push_back(std::move(*text));
  }
  return {};
}

Result<std::string_view> Elf::section(std::string_view name) const {
  const auto header = at<Elf64_Ehdr>(bytes_, 0);
  if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shnum == 0 || header->e_shnum > kMaximumSections ||
      header->e_shstrndx >= header->e_shnum ||
      !within(header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr), bytes_.size()))
    return bad("its section headers are not those of a shared object");
  const auto section_at = [&](std::size_t index) {
    return *at<Elf64_Shdr>(bytes_, header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  const Elf64_Shdr names = section_at(header->e_shstrndx);
  if (!within(names.sh_offset, names.sh_size, bytes_.size())) return bad("its sections' names are not there");
  const auto table = bytes_.substr(names.sh_offset, names.sh_size);
  std::optional<Elf64_Shdr> found;
  for (std::size_t i = 1; i < header->e_shnum; ++i) {
    const Elf64_Shdr section = section_at(i);
    if (text_at(table, section.sh_name) != name) continue;
    if (found) return bad("it has two sections " + std::string(name));
    found = section;
  }
  if (!found) return fail(Code::not_found, "it has no section " + std::string(name));
  const Part* part = found->sh_type == SHT_PROGBITS && (found->sh_flags & SHF_ALLOC) != 0
                         ? part_of(found->sh_addr, found->sh_size)
                         : nullptr;
  if (part == nullptr || part->offset + (found->sh_addr - part->address) != found->sh_offset)
    return bad("its section " + std::string(name) + " is not what is loaded in that place");
  if (part->writable) return bad("its section " + std::string(name) + " is writable");
  return bytes_.substr(found->sh_offset, found->sh_size);
}

}  // namespace vmsec::loader

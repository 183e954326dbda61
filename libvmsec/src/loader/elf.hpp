// What a shared object's bytes say before anything of it is mapped: ELF64 for
// x86-64, read strictly. Every offset is checked, and what is read of a section
// or of the dynamic table are the bytes that the dynamic linker will map there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::loader {

// Borrows the bytes. A value; read by any thread.
class Elf {
 public:
  // `unsupported` with the cause: no such object, cut short, or parts that
  // overlap, that do not fit or that lie.
  static Result<Elf> read(std::string_view bytes);

  // The content of the one section of that name. It must be loaded, and not
  // writable; where the section's place and the loaded part's differ it is
  // refused. `not_found`, `unsupported`.
  [[nodiscard]] Result<std::string_view> section(std::string_view name) const;
  // Of DT_NEEDED, in order.
  [[nodiscard]] const std::vector<std::string>& needed() const { return needed_; }
  // What no object may ask of the dynamic linker, a sentence each.
  [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }

 private:
  struct Part {
    std::uint64_t address = 0;
    std::uint64_t memory = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    bool writable = false;
  };
  struct DynamicPlace {
    std::uint64_t address = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    bool found = false;
  };

  explicit Elf(std::string_view bytes) : bytes_(bytes) {}
  Status read_parts();
  Status add_part(std::uint64_t header);
  Status read_dynamic(const DynamicPlace& place);
  Status read_needed(const std::vector<std::uint64_t>& names, std::uint64_t strings, std::uint64_t size);
  // The bytes that will be mapped at an address; null where they are not all the file's.
  [[nodiscard]] const Part* part_of(std::uint64_t address, std::uint64_t size) const;

  std::string_view bytes_;
  std::vector<Part> parts_;
  std::vector<std::string> needed_;
  std::vector<std::string> refused_;
};

}  // namespace vmsec::loader

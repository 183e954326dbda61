// The reference file's grammar. toml++ is compiled into this file alone.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "bytes.hpp"
#include "digest.hpp"
#include "reference.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxDots = 16;  // in a line
constexpr std::size_t kMaxDigests = 4096;

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  Result<Reference> read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (key == "version") {
        VMSEC_CHECK(version(node));
      } else if (key == "pcrs") {
        VMSEC_CHECK(covered(node));
      } else if (key == "pcr") {
        VMSEC_CHECK(pcrs(node));
      } else {
        return bad(key.source(), "unknown key \"" + printable(key.str(), 64) + "\": want version, pcrs or pcr");
      }
    }
    VMSEC_CHECK(coverage());
    return std::move(reference_);
  }

  [[nodiscard]] std::unexpected<Error> bad(const toml::source_region& at, const std::string& cause) const {
    return bad(at.begin.line, at.begin.column, cause);
  }
  [[nodiscard]] std::unexpected<Error> bad(std::size_t line, std::size_t column, const std::string& cause) const {
    return fail(Code::invalid_argument,
                "reference " + file_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + cause);
  }

 private:
  Status version(const toml::node& node) const {
    if (node.value<std::int64_t>() == 1 && node.is_integer()) return {};
    return bad(node.source(), "version: want 1");
  }

  Result<const toml::array*> list(const toml::node& node, const std::string& what) const {
    const auto* array = node.as_array();
    if (array == nullptr) return bad(node.source(), what + ": want a list");
    if (array->empty()) return bad(node.source(), what + ": the list is empty");
    if (array->size() > kMaxDigests)
      return bad(node.source(), what + ": " + std::to_string(array->size()) + " entries, at most " +
                                    std::to_string(kMaxDigests) + " are allowed");
    return array;
  }

  Status covered(const toml::node& node) {
    VMSEC_TRY(const auto* array, list(node, "pcrs"));
    PcrMask mask;
    for (const auto& element : *array) {
      const auto* number = element.as_integer();
      if (number == nullptr || number->get() < 0 || number->get() >= kPcrCount)
        return bad(element.source(), "pcrs: want PCR numbers, 0 to 23");
      const auto pcr = static_cast<std::uint32_t>(number->get());
      if (mask.has(pcr)) return bad(element.source(), "pcrs: PCR " + std::to_string(pcr) + " is listed twice");
      mask.add(pcr);
    }
    covered_ = mask;
    return {};
  }

  Status pcrs(const toml::node& node) {
    const auto* table = node.as_table();
    if (table == nullptr) return bad(node.source(), "pcr: want tables [pcr.0] to [pcr.23]");
    for (const auto& [key, value] : *table) {
      const auto pcr = pcr_number(key.str());
      if (!pcr)
        return bad(key.source(),
                   "[pcr." + printable(key.str(), 32) + "]: a TPM's PCRs are 0 to 23, without leading zeros");
      VMSEC_CHECK(pcr_entry(value, key.source(), *pcr));
    }
    return {};
  }

  static std::optional<std::uint32_t> pcr_number(std::string_view text) {
    if (text.empty() || text.size() > 2 || (text.size() == 2 && text[0] == '0')) return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (number >= kPcrCount) return std::nullopt;
    return number;
  }

  Status pcr_entry(const toml::node& node, const toml::source_region& at, std::uint32_t pcr) {
    const std::string name = "pcr." + std::to_string(pcr);
    const auto* table = node.as_table();
    if (table == nullptr) return bad(node.source(), name + ": want a table with values or events");
    PcrReference entry;
    for (const auto& [key, value] : *table) {
      if (key == "values") {
        VMSEC_CHECK(digests(value, name + ".values", entry.values));
      } else if (key == "events") {
        VMSEC_CHECK(digests(value, name + ".events", entry.events));
      } else {
        return bad(key.source(), name + ": unknown key \"" + printable(key.str(), 64) + "\": want values or events");
      }
    }
    if (entry.values.empty() && entry.events.empty()) return bad(at, name + ": it has neither values nor events");
    reference_.pcrs[pcr] = std::move(entry);
    return {};
  }

  Status digests(const toml::node& node, const std::string& what, std::vector<std::string>& into) {
    VMSEC_TRY(const auto* array, list(node, what));
    for (const auto& element : *array) {
      const auto* text = element.as_string();
      if (text == nullptr) return bad(element.source(), what + ": want texts of 64 hexadecimal digits");
      const auto digest = from_hex(text->get());
      if (text->get().size() != 2 * kSha256Size)
        return bad(element.source(), what + ": a SHA-256 value of " + std::to_string(text->get().size()) +
                                         " hexadecimal digits, want 64");
      if (!digest) return bad(element.source(), what + ": not hexadecimal");
      into.push_back(*digest);
    }
    return {};
  }

  // What is not covered must have been left out on purpose.
  [[nodiscard]] Status coverage() const {
    const PcrMask given = reference_.mask();
    const PcrMask wanted = covered_.value_or(kFirmwarePcrs);
    if (const PcrMask absent{wanted.bits & ~given.bits}; absent.bits != 0)
      return bad(1, 1,
                 "nothing is said about PCR " + to_string(absent) +
                     (covered_ ? ", which pcrs lists" : "; a file that is to cover fewer says so by pcrs = [...]"));
    if (const PcrMask extra{given.bits & ~wanted.bits}; covered_ && extra.bits != 0)
      return bad(1, 1, "PCR " + to_string(extra) + " has a table, and pcrs does not list it");
    return {};
  }

  const std::string& file_;
  Reference reference_;
  std::optional<PcrMask> covered_;
};

struct Hostile {
  std::size_t line = 1;
  std::size_t column = 1;
  std::string cause;
};

// What toml++ must not see. It builds and frees nested tables by recursion: a line of dots would overflow the stack.
// And where a value should begin, some characters beyond ASCII (U+0323 is one) lead it to code that it holds for
// unreachable.
std::optional<Hostile> find_hostile(std::string_view text) {
  Hostile at;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '\0') at.cause = "a NUL";
    if (static_cast<unsigned char>(c) > 0x7e) at.cause = "a byte that is not ASCII";
    if (c == '.' && ++dots > kMaxDots) at.cause = "more than " + std::to_string(kMaxDots) + " dots in one line";
    if (!at.cause.empty()) return at;
    ++at.column;
    if (c == '\n') {
      ++at.line;
      at.column = 1;
      dots = 0;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Reference> parse_reference(std::string_view text, const std::string& file) {
  Reader reader(file);
  if (text.size() > kMaxReferenceBytes)
    return reader.bad(1, 1, "the file has more than " + std::to_string(kMaxReferenceBytes) + " bytes");
  if (const auto hostile = find_hostile(text)) return reader.bad(hostile->line, hostile->column, hostile->cause);
  const toml::parse_result result = toml::parse(text, file);
  if (!result) return reader.bad(result.error().source(), printable(result.error().description()));
  return reader.read(result.table());
}

}  // namespace vmsec::boot

// What the lines of a reference file mean.
#include <optional>
#include <set>

#include "bytes.hpp"
#include "digest.hpp"
#include "reference.hpp"
#include "toml_lines.hpp"

namespace vmsec::boot {
namespace {

class Reader final : public TomlSink {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  [[nodiscard]] std::unexpected<Error> bad(TextPlace at, const std::string& cause) const override {
    return fail(Code::invalid_argument,
                "reference " + file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + cause);
  }

  Status table(const TomlPath& path) override {
    if (path.size() != 2 || path[0].name != "pcr") return bad(path[0].place, "unknown table: want [pcr.0] to [pcr.23]");
    VMSEC_TRY(const auto pcr, pcr_of(path[1]));
    if (!places_.try_emplace(pcr, path[1].place).second) return bad(path[1].place, twice(pcr));
    table_ = path;
    return {};
  }

  Status assignment(const TomlPath& path, const TomlValue& value) override {
    TomlPath full = table_;
    full.insert(full.end(), path.begin(), path.end());
    if (full.size() == 1 && full[0].name == "version") return version(full[0], value);
    if (full.size() == 1 && full[0].name == "pcrs") return pcrs(full[0], value);
    if (full[0].name != "pcr" || full.size() == 1)
      return bad(path[0].place, "unknown key \"" + printable(full[0].name, 64) + "\": want version, pcrs or [pcr.0]");
    VMSEC_TRY(const auto pcr, pcr_of(full[1]));
    if (full.size() != 3 || (full[2].name != "values" && full[2].name != "events"))
      return bad(path.back().place,
                 name_of(pcr) + ": unknown key \"" + printable(path.back().name, 64) + "\": want values or events");
    places_.try_emplace(pcr, full[1].place);
    auto& entry = reference_.pcrs[pcr];
    return digests(path.back(), value, pcr, full[2].name == "values" ? entry.values : entry.events);
  }

  // What is not covered must have been left out on purpose.
  Result<Reference> finish() {
    for (const auto& [pcr, place] : places_)
      if (!reference_.pcrs.contains(pcr)) return bad(place, name_of(pcr) + ": it has neither values nor events");
    const PcrMask given = reference_.mask();
    const PcrMask wanted = covered_.value_or(kFirmwarePcrs);
    if (const PcrMask absent{wanted.bits & ~given.bits}; absent.bits != 0)
      return bad({}, "nothing is said about PCR " + to_string(absent) +
                         (covered_ ? ", which pcrs lists" : "; a file that is to cover fewer says so by pcrs = [...]"));
    if (const PcrMask extra{given.bits & ~wanted.bits}; covered_ && extra.bits != 0)
      return bad({}, "PCR " + to_string(extra) + " has a table, and pcrs does not list it");
    return std::move(reference_);
  }

 private:
  static std::string name_of(std::uint32_t pcr) { return "pcr." + std::to_string(pcr); }
  static std::string twice(std::uint32_t pcr) { return "[" + name_of(pcr) + "]: it is there twice"; }

  [[nodiscard]] Result<std::uint32_t> pcr_of(const TomlKey& key) const {
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      if (key.name == std::to_string(pcr)) return pcr;
    return bad(key.place, "[pcr." + printable(key.name, 32) + "]: a TPM's PCRs are 0 to 23, without leading zeros");
  }

  Status once(const TomlKey& key, const std::string& what) {
    if (set_.insert(what).second) return {};
    return bad(key.place, what + ": it is set twice");
  }

  static const std::int64_t* integer_of(const TomlScalar& scalar) { return std::get_if<std::int64_t>(&scalar.value); }

  Status version(const TomlKey& key, const TomlValue& value) {
    VMSEC_CHECK(once(key, "version"));
    const auto* scalar = std::get_if<TomlScalar>(&value.value);
    const auto* number = scalar == nullptr ? nullptr : integer_of(*scalar);
    if (number != nullptr && *number == 1) return {};
    return bad(value.place, "version: want 1");
  }

  Result<const std::vector<TomlScalar>*> list(const TomlValue& value, const std::string& what) const {
    const auto* elements = std::get_if<std::vector<TomlScalar>>(&value.value);
    if (elements == nullptr) return bad(value.place, what + ": want a list");
    if (elements->empty()) return bad(value.place, what + ": the list is empty");
    return elements;
  }

  Status pcrs(const TomlKey& key, const TomlValue& value) {
    VMSEC_CHECK(once(key, "pcrs"));
    VMSEC_TRY(const auto* elements, list(value, "pcrs"));
    PcrMask mask;
    for (const auto& element : *elements) {
      const auto* number = integer_of(element);
      if (number == nullptr || *number < 0 || *number >= kPcrCount)
        return bad(element.place, "pcrs: want PCR numbers, 0 to 23");
      const auto pcr = static_cast<std::uint32_t>(*number);
      if (mask.has(pcr)) return bad(element.place, "pcrs: PCR " + std::to_string(pcr) + " is listed twice");
      mask.add(pcr);
    }
    covered_ = mask;
    return {};
  }

  Status digests(const TomlKey& key, const TomlValue& value, std::uint32_t pcr, std::vector<std::string>& into) {
    const std::string what = name_of(pcr) + "." + key.name;
    VMSEC_CHECK(once(key, what));
    VMSEC_TRY(const auto* elements, list(value, what));
    for (const auto& element : *elements) {
      const auto* text = std::get_if<std::string>(&element.value);
      if (text == nullptr) return bad(element.place, what + ": want texts of 64 hexadecimal digits");
      if (text->size() != 2 * kSha256Size)
        return bad(element.place,
                   what + ": a SHA-256 value of " + std::to_string(text->size()) + " hexadecimal digits, want 64");
      const auto digest = from_hex(*text);
      if (!digest) return bad(element.place, what + ": not hexadecimal");
      into.push_back(*digest);
    }
    return {};
  }

  const std::string& file_;
  Reference reference_;
  TomlPath table_;  // the keys stand below it
  std::map<std::uint32_t, TextPlace> places_;
  std::set<std::string> set_;
  std::optional<PcrMask> covered_;
};

}  // namespace

Result<Reference> parse_reference(std::string_view text, const std::string& file) {
  Reader reader(file);
  if (text.size() > kMaxReferenceBytes)
    return reader.bad({}, "the file has more than " + std::to_string(kMaxReferenceBytes) + " bytes");
  VMSEC_CHECK(parse_toml_lines(text, reader));
  return reader.finish();
}

}  // namespace vmsec::boot

// What the lines of a reference file mean.
#include <algorithm>
#include <optional>
#include <set>

#include "bytes.hpp"
#include "digest.hpp"
#include "ima.hpp"
#include "reference.hpp"
#include "rules.hpp"
#include "toml_lines.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxPartName = 64;

class Reader final : public TomlSink {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  [[nodiscard]] std::unexpected<Error> bad(TextPlace at, const std::string& cause) const override {
    return fail(Code::invalid_argument,
                "reference " + file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + cause);
  }

  Status table(const TomlPath& path) override {
    const std::string& kind = path[0].name;
    if (path.size() == 1 && (kind == "secure_boot" || kind == "ima")) return open(path, "[" + kind + "]");
    if (path.size() != 2 || (kind != "pcr" && kind != "part"))
      return bad(path[0].place, "unknown table: want [pcr.0] to [pcr.23], [part.NAME], [secure_boot] or [ima]");
    if (kind == "part") {
      VMSEC_CHECK(check_part(path[1].name, path[1].place));
      return open(path, "[part." + path[1].name + "]");
    }
    VMSEC_TRY(const auto pcr, pcr_of(path[1]));
    if (!places_.try_emplace(pcr, path[1].place).second) return bad(path[1].place, twice(pcr));
    table_ = path;
    return {};
  }

  Status assignment(const TomlPath& path, const TomlValue& value) override {
    TomlPath full = table_;
    full.insert(full.end(), path.begin(), path.end());
    if (full.size() == 1) return top(full[0], value);
    if (full[0].name == "pcr") return of_pcr(full, value);
    if (full[0].name == "part") return of_part(full, value);
    if (full[0].name == "secure_boot") return of_secure_boot(full, value);
    if (full[0].name == "ima") return of_ima(full, value);
    return unknown_top(full[0]);
  }

  // What is not covered must have been left out on purpose, and what was given must decide something.
  Result<Reference> finish() {
    for (const auto& [pcr, place] : places_)
      if (!reference_.pcrs.contains(pcr))
        return bad(place, name_of(pcr) + ": it has neither values nor events nor a sequence");
    VMSEC_CHECK(check_parts());
    VMSEC_CHECK(check_tables());
    VMSEC_CHECK(check_ima());
    const PcrMask given = given_pcrs();
    const PcrMask wanted = covered_.value_or(kFirmwarePcrs);
    if (const PcrMask absent{wanted.bits & ~given.bits}; absent.bits != 0)
      return bad({}, "nothing is said about PCR " + to_string(absent) +
                         (covered_ ? ", which pcrs lists" : "; a file that is to cover fewer says so by pcrs = [...]"));
    if (const PcrMask extra{given.bits & ~wanted.bits}; covered_ && extra.bits != 0)
      return bad({}, "PCR " + to_string(extra) + " has a table, and pcrs does not list it");
    return std::move(reference_);
  }

 private:
  // That Secure Boot was on says too little of PCR 7 to cover it: its keys must be named as well.
  [[nodiscard]] PcrMask given_pcrs() const {
    PcrMask given;
    for (const auto& [pcr, entry] : reference_.pcrs) given.add(pcr);
    if (!reference_.secure_boot_lists.empty()) given.add(kSecureBootPcr);
    if (reference_.ima) given.add(kImaPcr);
    return given;
  }

  [[nodiscard]] Status check_parts() const {
    for (const auto& [name, place] : used_)
      if (!reference_.parts.contains(name)) return bad(place, "the part \"" + name + "\" has no [part." + name + "]");
    for (const auto& [name, place] : tables_) {
      if (!name.starts_with("[part.")) continue;
      const std::string part = name.substr(6, name.size() - 7);
      if (!reference_.parts.contains(part)) return bad(place, name + ": it has no digests");
    }
    for (const auto& [name, place] : part_places_)
      if (!used_.contains(name))
        return bad(place, "[part." + name + "]: it is in no sequence, so nothing would hang on it");
    return {};
  }

  [[nodiscard]] Status check_tables() const {
    if (const auto found = tables_.find("[secure_boot]");
        found != tables_.end() && reference_.secure_boot_lists.empty())
      return bad(found->second, "[secure_boot]: it has no list; secure_boot = true demands no more than that it is on");
    if (const auto found = tables_.find("[ima]"); found != tables_.end() && !reference_.ima)
      return bad(found->second, "[ima]: it has neither digests nor file");
    return {};
  }

  [[nodiscard]] Status check_ima() const {
    if (!reference_.ima) return {};
    const auto& ima = *reference_.ima;
    if (ima.digests.empty() && ima.file.empty()) return bad(ima_place_, "[ima]: it has neither digests nor file");
    if (ima.file.empty() != ima.file_digest.empty())
      return bad(ima_place_, "[ima]: file and file_sha256 go together: the file is reviewed with the reference");
    if (reference_.pcrs.contains(kImaPcr)) return bad(ima_place_, "[ima] and [pcr.10]: both would decide PCR 10");
    return {};
  }

  static std::string name_of(std::uint32_t pcr) { return "pcr." + std::to_string(pcr); }
  static std::string twice(std::uint32_t pcr) { return "[" + name_of(pcr) + "]: it is there twice"; }

  [[nodiscard]] Result<std::uint32_t> pcr_of(const TomlKey& key) const {
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      if (key.name == std::to_string(pcr)) {
        if (pcr != 16 && pcr != 23) return pcr;
        return bad(key.place, "[pcr." + key.name + "]: any program resets PCR 16 and 23: they prove nothing");
      }
    return bad(key.place, "[pcr." + printable(key.name, 32) + "]: a TPM's PCRs are 0 to 23, without leading zeros");
  }

  Status once(const TomlKey& key, const std::string& what) {
    if (set_.insert(what).second) return {};
    return bad(key.place, what + ": it is set twice");
  }

  Status open(const TomlPath& path, const std::string& name) {
    if (!tables_.try_emplace(name, path[0].place).second) return bad(path[0].place, name + ": it is there twice");
    table_ = path;
    return {};
  }

  [[nodiscard]] Status check_part(const std::string& name, TextPlace place) const {
    const bool fits = !name.empty() && name.size() <= kMaxPartName && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (fits) return {};
    return bad(place, "a part's name \"" + printable(name, 32) + "\": want 1 to 64 of a-z 0-9 -");
  }

  [[nodiscard]] std::unexpected<Error> unknown_top(const TomlKey& key) const {
    return bad(key.place, "unknown key \"" + printable(key.name, 64) +
                              "\": want version, serial, bank, pcrs, strict, secure_boot or [pcr.0]");
  }

  Status top(const TomlKey& key, const TomlValue& value) {
    if (key.name == "version") return version(key, value);
    if (key.name == "serial") return serial(key, value);
    if (key.name == "bank") return bank(key, value);
    if (key.name == "pcrs") return pcrs(key, value);
    if (key.name == "strict") {
      reference_.lines["strict"] = {key.place.line};
      return demanded(key, value, reference_.strict);
    }
    if (key.name == "secure_boot") {
      if (tables_.contains("[secure_boot]")) return bad(key.place, "[secure_boot] demands it already");
      reference_.lines["secure_boot"] = {key.place.line};
      return demanded(key, value, reference_.secure_boot);
    }
    return unknown_top(key);
  }

  Status of_pcr(const TomlPath& full, const TomlValue& value) {
    VMSEC_TRY(const auto pcr, pcr_of(full[1]));
    const TomlKey& key = full.back();
    if (full.size() != 3 || (key.name != "values" && key.name != "events" && key.name != "sequence"))
      return bad(key.place,
                 name_of(pcr) + ": unknown key \"" + printable(key.name, 64) + "\": want values, events or sequence");
    places_.try_emplace(pcr, full[1].place);
    auto& entry = reference_.pcrs[pcr];
    if (key.name == "sequence") return sequence(key, value, name_of(pcr) + ".sequence", entry.sequence);
    return digests(key, value, name_of(pcr) + "." + key.name, key.name == "values" ? entry.values : entry.events);
  }

  Status of_part(const TomlPath& full, const TomlValue& value) {
    VMSEC_CHECK(check_part(full[1].name, full[1].place));
    const TomlKey& key = full.back();
    const std::string name = "part." + full[1].name;
    if (full.size() != 3 || key.name != "digests")
      return bad(key.place, name + ": unknown key \"" + printable(key.name, 64) + "\": want digests");
    part_places_.try_emplace(full[1].name, full[1].place);
    return digests(key, value, name, reference_.parts[full[1].name]);
  }

  Status of_secure_boot(const TomlPath& full, const TomlValue& value) {
    static const std::set<std::string> kLists{"pk", "kek", "db", "dbx", "extra", "authority"};
    const TomlKey& key = full.back();
    if (full.size() != 2 || !kLists.contains(key.name))
      return bad(key.place, "secure_boot: unknown key \"" + printable(key.name, 64) +
                                "\": want pk, kek, db, dbx, extra or authority");
    if (set_.contains("secure_boot"))
      return bad(key.place, "secure_boot = true and [secure_boot]: the table says it too");
    reference_.secure_boot = true;
    reference_.lines.try_emplace("secure_boot", 1, full[0].place.line);
    return digests(key, value, "secure_boot." + key.name, reference_.secure_boot_lists[key.name]);
  }

  Status of_ima(const TomlPath& full, const TomlValue& value) {
    const TomlKey& key = full.back();
    if (!reference_.ima) reference_.ima.emplace();
    if (ima_place_.line == 0) ima_place_ = full[0].place;
    auto& ima = *reference_.ima;
    if (full.size() == 2 && key.name == "digests") return files(key, value, ima);
    if (full.size() == 2 && key.name == "file") return allow_file(key, value, ima.file);
    if (full.size() == 2 && key.name == "file_sha256") return file_digest(key, value, ima.file_digest);
    if (full.size() == 2 && key.name == "violations")
      return demanded({"ima.violations", key.place}, value, ima.violations);
    return bad(key.place,
               "ima: unknown key \"" + printable(key.name, 64) + "\": want digests, file, file_sha256 or violations");
  }

  static const std::int64_t* integer_of(const TomlScalar& scalar) { return std::get_if<std::int64_t>(&scalar.value); }
  static const std::int64_t* integer_of(const TomlValue& value) {
    const auto* scalar = std::get_if<TomlScalar>(&value.value);
    return scalar == nullptr ? nullptr : integer_of(*scalar);
  }
  static const std::string* text_of(const TomlValue& value) {
    const auto* scalar = std::get_if<TomlScalar>(&value.value);
    return scalar == nullptr ? nullptr : std::get_if<std::string>(&scalar->value);
  }

  Status version(const TomlKey& key, const TomlValue& value) {
    VMSEC_CHECK(once(key, "version"));
    const auto* number = integer_of(value);
    if (number != nullptr && *number == 1) return {};
    return bad(value.place, "version: want 1");
  }

  Status serial(const TomlKey& key, const TomlValue& value) {
    VMSEC_CHECK(once(key, "serial"));
    const auto* number = integer_of(value);
    if (number == nullptr || *number < 1) return bad(value.place, "serial: want a number from 1 on");
    reference_.serial = static_cast<std::uint32_t>(*number);
    return {};
  }

  Status bank(const TomlKey& key, const TomlValue& value) {
    VMSEC_CHECK(once(key, "bank"));
    if (digests_seen_) return bad(key.place, "bank: it must stand before the first digest");
    const auto* text = text_of(value);
    for (const auto hash : {Hash::sha256, Hash::sha384, Hash::sha512})
      if (text != nullptr && *text == to_string(hash)) {
        reference_.bank = hash;
        return {};
      }
    return bad(value.place, "bank: want \"sha256\", \"sha384\" or \"sha512\"");
  }

  // A demand is made, or its line is left out.
  Status demanded(const TomlKey& key, const TomlValue& value, bool& into) {
    VMSEC_CHECK(once(key, key.name));
    const auto* scalar = std::get_if<TomlScalar>(&value.value);
    const auto* truth = scalar == nullptr ? nullptr : std::get_if<bool>(&scalar->value);
    if (truth == nullptr || !*truth) return bad(value.place, key.name + ": want true; without it, leave the line out");
    into = true;
    return {};
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

  Status digests(const TomlKey& key, const TomlValue& value, const std::string& what, std::vector<std::string>& into) {
    VMSEC_CHECK(once(key, what));
    VMSEC_TRY(const auto* elements, list(value, what));
    digests_seen_ = true;
    for (const auto& element : *elements) {
      VMSEC_TRY(auto digest, digest_of(element, what, reference_.bank));
      into.push_back(std::move(digest));
      reference_.lines[what].push_back(element.place.line);
    }
    return {};
  }

  [[nodiscard]] Result<std::string> digest_of(const TomlScalar& element, const std::string& what, Hash hash) const {
    const std::string digits = std::to_string(2 * *digest_size(hash));
    const auto* text = std::get_if<std::string>(&element.value);
    if (text == nullptr) return bad(element.place, what + ": want texts of " + digits + " hexadecimal digits");
    if (text->size() != 2 * *digest_size(hash))
      return bad(element.place, what + ": a " + to_string(hash) + " value of " + std::to_string(text->size()) +
                                    " hexadecimal digits, want " + digits);
    const auto digest = from_hex(*text);
    if (!digest) return bad(element.place, what + ": not hexadecimal");
    return *digest;
  }

  Status sequence(const TomlKey& key, const TomlValue& value, const std::string& what, std::vector<Step>& into) {
    VMSEC_CHECK(once(key, what));
    VMSEC_TRY(const auto* elements, list(value, what));
    for (const auto& element : *elements) {
      const auto* text = std::get_if<std::string>(&element.value);
      if (text == nullptr) return bad(element.place, what + ": want names of parts");
      Step step{*text, text->ends_with('?')};
      if (step.optional) step.part.pop_back();
      VMSEC_CHECK(check_part(step.part, element.place));
      used_.try_emplace(step.part, element.place);
      reference_.lines[what].push_back(element.place.line);
      into.push_back(std::move(step));
    }
    return {};
  }

  // Files are measured by an algorithm of their own, whatever the bank. SHA-1 vouches for nothing.
  Status files(const TomlKey& key, const TomlValue& value, ImaReference& ima) {
    VMSEC_CHECK(once(key, "ima.digests"));
    VMSEC_TRY(const auto* elements, list(value, "ima.digests"));
    for (const auto& element : *elements) {
      const auto* text = std::get_if<std::string>(&element.value);
      const auto digest = text == nullptr ? std::nullopt : from_hex(*text);
      if (!digest || (digest->size() != 32 && digest->size() != 48 && digest->size() != 64))
        return bad(element.place, "ima.digests: want texts of 64, 96 or 128 hexadecimal digits");
      ima.digests.insert(*digest);
      ima.own.insert(*digest);
    }
    return {};
  }

  Status allow_file(const TomlKey& key, const TomlValue& value, std::string& into) {
    VMSEC_CHECK(once(key, "ima.file"));
    const auto* text = text_of(value);
    if (text == nullptr || text->empty() || text->find('/') != std::string::npos || text->starts_with('.'))
      return bad(value.place, "ima.file: want the name of a file beside the reference");
    into = *text;
    return {};
  }

  Status file_digest(const TomlKey& key, const TomlValue& value, std::string& into) {
    VMSEC_CHECK(once(key, "ima.file_sha256"));
    const auto* scalar = std::get_if<TomlScalar>(&value.value);
    if (scalar == nullptr) return bad(value.place, "ima.file_sha256: want a text of 64 hexadecimal digits");
    VMSEC_TRY(into, digest_of(*scalar, "ima.file_sha256", Hash::sha256));
    return {};
  }

  const std::string& file_;
  Reference reference_;
  TomlPath table_;  // the keys stand below it
  std::map<std::uint32_t, TextPlace> places_;
  std::set<std::string> set_;
  std::optional<PcrMask> covered_;
  std::map<std::string, TextPlace> tables_;       // "[ima]", each once
  std::map<std::string, TextPlace> used_;         // parts, where a sequence names them first
  std::map<std::string, TextPlace> part_places_;  // and where they are said to be what
  TextPlace ima_place_{0, 0};
  bool digests_seen_ = false;
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

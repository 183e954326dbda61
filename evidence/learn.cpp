#include "learn.hpp"

#include <algorithm>
#include <ranges>

#include "align.hpp"
#include "diff.hpp"
#include "ima_judge.hpp"
#include "log_view.hpp"
#include "rules.hpp"

namespace vmsec::boot {
namespace {

constexpr std::uint32_t kLastSerial = 999'999'999;

struct Boot : ViewedBoot {
  std::string name;
  bool secure_boot = false;
};

struct Line {
  std::string digest;
  std::string comment;
};
using Lines = std::vector<Line>;

void add_line(Lines& lines, const std::string& digest, const std::string& comment) {
  if (std::ranges::find(lines, digest, &Line::digest) == lines.end()) lines.push_back({digest, comment});
}

Lines lines_of(const std::vector<std::string>& digests) {
  Lines lines;
  for (const auto& digest : digests) add_line(lines, digest, "as before");
  return lines;
}

std::string comment_on(const Boot& boot, const ViewedEvent& event) {
  return boot.name + " " + std::to_string(event.number) + " " + event_type_name(event.type) + " " +
         printable(event.description.text, 120);
}

// One place of a sequence, over all boots.
struct Column {
  std::string kind;
  std::string name;  // of its part, once it has one
  Lines lines;
  bool optional = false;
  bool missing = false;  // in one of the boots
};

struct LearnedPcr {
  Lines values;
  Lines events;
  std::vector<Column> sequence;
};

class Learner {
 public:
  Learner(std::vector<Boot> boots, const Reference* base, Hash bank)
      : boots_(std::move(boots)), base_(base), bank_(bank) {}

  Result<Learned> learn() && {
    VMSEC_CHECK(learn_secure_boot());
    learn_files();
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      if (covered(pcr)) VMSEC_CHECK(learn_pcr(pcr));
    name_parts();
    Learned learned{text(), {}};
    VMSEC_TRY(const auto reference, checked(learned.toml));
    note(learned.notes);
    for (const auto& boot : boots_)
      if (boot.ima) VMSEC_CHECK(note_list(boot, reference, learned.notes));
    return learned;
  }

 private:
  [[nodiscard]] const PcrReference* base_of(std::uint32_t pcr) const {
    if (base_ == nullptr) return nullptr;
    const auto found = base_->pcrs.find(pcr);
    return found == base_->pcrs.end() ? nullptr : &found->second;
  }

  // With a base, what it covers and no more: it was reviewed so.
  [[nodiscard]] bool covered(std::uint32_t pcr) const {
    if (base_ != nullptr) return base_of(pcr) != nullptr;
    if (kFirmwarePcrs.has(pcr)) return true;
    return is_learned(pcr) &&
           std::ranges::any_of(boots_, [&](const Boot& boot) { return !measured_into(boot.replay, pcr).empty(); });
  }

  [[nodiscard]] bool is_of_modules(std::uint32_t pcr) const {
    return std::ranges::any_of(boots_, [&](const Boot& boot) { return boot.module_pcr == pcr; });
  }
  [[nodiscard]] bool is_learned(std::uint32_t pcr) const { return kLearnedPcrs.has(pcr) || is_of_modules(pcr); }

  [[nodiscard]] bool alike(std::uint32_t pcr) const {
    return std::ranges::all_of(
        boots_, [&](const Boot& boot) { return boot.replay.values[pcr] == boots_[0].replay.values[pcr]; });
  }

  Status learn_pcr(std::uint32_t pcr) {
    const auto* base = base_of(pcr);
    auto& learned = pcrs_[pcr];
    if (base != nullptr) {
      learned.values = lines_of(base->values);
      learned.events = lines_of(base->events);
      for (const auto& step : base->sequence)
        learned.sequence.push_back(
            {kind_of_part(step.part), step.part, lines_of(base_->parts.at(step.part)), step.optional});
    }
    // Modules are loaded in any order, and may be updated while the host runs: each is known, or it is not.
    const bool by_sequence = base != nullptr ? !base->sequence.empty() : !alike(pcr) && !is_of_modules(pcr);
    const bool by_values = base != nullptr ? !base->values.empty() : !by_sequence && !is_of_modules(pcr);
    const bool by_events = base != nullptr ? !base->events.empty() : !by_sequence;
    for (const auto& boot : boots_) {
      if (by_values) add_line(learned.values, boot.replay.values[pcr], boot.name);
      for (const auto& event : boot.events)
        if (by_events && event.extends && event.pcr == pcr)
          add_line(learned.events, event.digest, comment_on(boot, event));
      if (by_sequence) VMSEC_CHECK(add_boot(learned.sequence, boot, pcr));
    }
    return {};
  }

  // What this boot has not may be left out; what only it has, too. The first of all is the measure.
  Status add_boot(std::vector<Column>& columns, const Boot& boot, std::uint32_t pcr) {
    std::vector<const ViewedEvent*> events;
    for (const auto& event : boot.events)
      if (event.extends && event.pcr == pcr) events.push_back(&event);
    std::vector<Place> left;
    for (const auto& column : columns) {
      left.push_back({column.kind, {}});
      for (const auto& line : column.lines) left.back().digests.push_back(line.digest);
    }
    std::vector<Place> right;
    for (const auto* event : events)
      right.push_back({std::string(to_string(event->description.part)), {event->digest}});
    VMSEC_TRY(const auto pairs, align(left, right));
    const bool first = base_ == nullptr && &boot == &boots_.front();
    std::vector<Column> merged;
    for (const auto& pair : pairs) {
      Column column;
      if (pair.left) column = std::move(columns[*pair.left]);
      if (!pair.left) column.kind = right[*pair.right].kind;
      if (!first && (!pair.left || !pair.right)) column.optional = column.missing = true;
      if (pair.right) add_line(column.lines, events[*pair.right]->digest, comment_on(boot, *events[*pair.right]));
      merged.push_back(std::move(column));
    }
    columns = std::move(merged);
    return {};
  }

  // Demanded where all boots had it; the base's lists take what is at their places.
  Status learn_secure_boot() {
    VMSEC_TRY(const auto on, secure_boot_digest(bank_, true));
    secure_boot_ = true;
    for (auto& boot : boots_) {
      const auto measured = measured_into(boot.replay, kSecureBootPcr);
      const bool is_on = !measured.empty() && measured.front()->digest == on;
      boot.secure_boot = is_on;
      if (base_ != nullptr && base_->secure_boot && !is_on)
        return fail(Code::untrusted, boot.name + ": Secure Boot is not on, and the base demands it");
      secure_boot_ = secure_boot_ && is_on;
    }
    if (base_ == nullptr) return {};
    secure_boot_ = base_->secure_boot;
    for (const auto& [name, digests] : base_->secure_boot_lists) lists_[name] = lines_of(digests);
    if (lists_.empty()) return {};
    for (const auto& boot : boots_) add_lists(boot);
    return {};
  }

  // Each refusal names the list that lacks something.
  void add_lists(const Boot& boot) {
    for (const auto& ruling : by_secure_boot(*base_, measured_into(boot.replay, kSecureBootPcr)).events) {
      if (ruling.allowed) continue;
      const auto& event = boot.events[ruling.event];
      const std::string list = ruling.key.empty() ? "extra" : ruling.key.substr(ruling.key.find('.') + 1);
      add_line(lists_[list], event.digest, comment_on(boot, event));
    }
  }

  // The first entry is the boot's aggregate, which follows from the other PCRs.
  void learn_files() {
    std::set<std::string_view> known;
    if (base_ != nullptr && base_->ima) {
      for (const auto& digest : base_->ima->own) files_.push_back({digest, "as before"});
      known.insert(base_->ima->digests.begin(), base_->ima->digests.end());
    }
    for (const auto& boot : boots_) {
      if (!boot.ima) continue;
      for (const auto& entry : boot.ima->entries | std::views::drop(1))
        if (!entry.violation && entry.hash != Hash::sha1 && known.insert(entry.digest).second)
          files_.push_back({std::string(entry.digest), boot.name + " " + printable(entry.path, 200)});
    }
  }

  void note(std::vector<std::string>& notes) const {
    for (const auto& boot : boots_) note_boot(boot, notes);
    for (const auto& [pcr, learned] : pcrs_)
      for (const auto& column : learned.sequence)
        if (column.missing)
          notes.push_back("PCR " + std::to_string(pcr) + ": " + column.name +
                          " may be left out, for not every boot has it");
    const auto on = std::ranges::count_if(boots_, &Boot::secure_boot);
    if (on != 0 && !secure_boot_)
      notes.push_back("Secure Boot was on in " + std::to_string(on) + " of " + std::to_string(boots_.size()) +
                      " boots: it is not demanded");
  }

  void note_boot(const Boot& boot, std::vector<std::string>& notes) const {
    PcrMask uncovered;
    for (const auto& event : boot.events) {
      for (const auto& remark : event.description.remarks)
        notes.push_back(boot.name + " event " + std::to_string(event.number) + ": " + printable(remark));
      if (event.extends && !pcrs_.contains(event.pcr) && !(event.pcr == kSecureBootPcr && !lists_.empty()))
        uncovered.add(event.pcr);
    }
    for (const auto& remark : boot.remarks) notes.push_back(boot.name + ": " + remark);
    if (uncovered.bits != 0)
      notes.push_back(boot.name + ": PCR " + to_string(uncovered) + ", which the reference does not cover");
  }

  // What is written is what can be read.
  [[nodiscard]] Result<Reference> checked(const std::string& toml) const {
    auto reference = parse_reference(toml, "what was learned");
    if (reference) return reference;
    constexpr std::size_t kMany = 4000;
    return fail(Code::limit_exceeded,
                "learn: it makes no reference: " + reference.error().message +
                    (files_.size() < kMany ? ""
                                           : "; write the files into a list by sha256sum, and name it as [ima] file "
                                             "and file_sha256"));
  }

  // The files are all allowed now: what is still refused is the list's.
  static Status note_list(const Boot& boot, Reference reference, std::vector<std::string>& notes) {
    for (const auto& entry : boot.ima->entries) {
      const std::string name =
          boot.name + " IMA entry " + std::to_string(entry.number) + " (" + printable(entry.path, 200) + ")";
      if (entry.violation)
        notes.push_back(name + ": a violation, refused unless [ima] violations = true");
      else if (entry.hash == Hash::sha1)
        notes.push_back(name + ": by SHA-1, which no reference allows");
    }
    if (!reference.ima) {
      notes.push_back(boot.name + ": IMA has measured no file, so that PCR 10 is not covered");
      return {};
    }
    reference.ima->violations = true;
    reference.ima->file.clear();  // not read here
    VMSEC_TRY(auto cause, ima_cause(reference, &*boot.ima, boot.replay));
    if (!cause.empty() && !cause.ends_with(" is not in the allow list"))
      notes.push_back(boot.name + ": it will be refused: " + cause);
    return {};
  }

  // A name for what has none; the same for what is the same.
  void name_parts() {
    for (auto& [pcr, learned] : pcrs_)
      for (auto& column : learned.sequence)
        if (!column.name.empty()) merge_part(column);
    for (auto& [pcr, learned] : pcrs_)
      for (auto& column : learned.sequence)
        if (column.name.empty()) name_part(column);
  }
  // A part of the base's may stand at several places.
  void merge_part(const Column& column) {
    for (const auto& line : column.lines) add_line(parts_[column.name], line.digest, line.comment);
  }
  void name_part(Column& column) {
    for (std::size_t number = 1;; ++number) {
      std::string name = column.kind + (number == 1 ? "" : "-" + std::to_string(number));
      const auto found = parts_.find(name);
      if (found != parts_.end() && !same(found->second, column.lines)) continue;
      column.name = name;
      if (found == parts_.end()) parts_[name] = column.lines;
      return;
    }
  }
  static bool same(const Lines& a, const Lines& b) {
    return a.size() == b.size() && std::ranges::all_of(a, [&](const Line& line) {
             return std::ranges::find(b, line.digest, &Line::digest) != b.end();
           });
  }

  static std::string list_text(const std::string& key, const Lines& lines) {
    std::string out = key + " = [\n";
    for (const auto& line : lines)
      out += "  \"" + to_hex(line.digest) + "\",  # " + printable(line.comment, 250) + "\n";
    return out + "]\n";
  }

  [[nodiscard]] std::string head() const {
    std::string names;
    for (const auto& boot : boots_) names += (names.empty() ? "" : ", ") + boot.name;
    std::string out =
        "# What a host must have booted. Learned from " + printable(names, 200) +
        ":\n# logs that nobody has vouched for here. Review it before you trust it.\nversion = 1\nserial = " +
        std::to_string(base_ == nullptr ? 1 : base_->serial + 1) + "\n";
    if (bank_ != Hash::sha256) out += "bank = \"" + to_string(bank_) + "\"\n";
    PcrMask mask;
    for (const auto& [pcr, learned] : pcrs_) mask.add(pcr);
    if (!lists_.empty()) mask.add(kSecureBootPcr);
    if (has_ima()) mask.add(kImaPcr);
    std::string list = to_string(mask);
    for (std::size_t comma = list.find(','); comma != std::string::npos; comma = list.find(',', comma + 1))
      list.replace(comma, 1, ", ");
    out += "pcrs = [" + list + "]\n";
    if (base_ != nullptr && base_->strict) out += "strict = true\n";
    if (secure_boot_ && lists_.empty()) out += "secure_boot = true\n";
    return out;
  }

  [[nodiscard]] std::string text() const {
    std::string out = head();
    for (const auto& [pcr, learned] : pcrs_) {
      out += "\n[pcr." + std::to_string(pcr) + "]\n";
      if (!learned.values.empty()) out += list_text("values", learned.values);
      if (!learned.events.empty()) out += list_text("events", learned.events);
      if (learned.sequence.empty()) continue;
      out += "sequence = [\n";
      for (const auto& column : learned.sequence) out += "  \"" + column.name + (column.optional ? "?" : "") + "\",\n";
      out += "]\n";
    }
    for (const auto& [name, lines] : parts_) out += "\n[part." + name + "]\n" + list_text("digests", lines);
    if (!lists_.empty()) out += "\n[secure_boot]\n";
    for (const auto& [name, lines] : lists_) out += list_text(name, lines);
    if (has_ima()) out += ima_text();
    return out;
  }

  [[nodiscard]] bool has_ima() const { return !files_.empty() || (base_ != nullptr && base_->ima); }

  [[nodiscard]] std::string ima_text() const {
    std::string out = "\n[ima]\n";
    if (!files_.empty()) out += list_text("digests", files_);
    if (base_ == nullptr || !base_->ima) return out;
    const auto& ima = *base_->ima;
    if (!ima.file.empty()) out += "file = \"" + ima.file + "\"\nfile_sha256 = \"" + to_hex(ima.file_digest) + "\"\n";
    if (ima.violations) out += "violations = true\n";
    return out;
  }

  std::vector<Boot> boots_;
  const Reference* base_;
  const Hash bank_;
  std::map<std::uint32_t, LearnedPcr> pcrs_;
  std::map<std::string, Lines> parts_;
  std::map<std::string, Lines> lists_;
  Lines files_;
  bool secure_boot_ = false;
};

}  // namespace

Result<Learned> learn_boots(const std::vector<NamedBoot>& named, const Reference* base, Hash bank) {
  if (named.empty()) return fail(Code::invalid_argument, "learn: name one log at least");
  if (base != nullptr && base->bank != bank)
    return fail(Code::invalid_argument, "learn: the base is of bank " + to_string(base->bank));
  if (base != nullptr && base->serial >= kLastSerial)
    return fail(Code::limit_exceeded, "learn: the base's serial is the last that there is");
  std::vector<Boot> boots;
  for (const auto& [name, logs] : named) {
    auto viewed = view_boot(logs, bank);
    if (!viewed) return fail(viewed.error().in("log " + name));
    boots.push_back({std::move(*viewed), name});
  }
  return Learner(std::move(boots), base, bank).learn();
}

}  // namespace vmsec::boot

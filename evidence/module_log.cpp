#include "module_log.hpp"

#include <algorithm>

namespace vmsec::boot {
namespace {

constexpr std::string_view kSpecId("Spec ID Event03\0\0\0\0\0\0\2\0\2", 24);  // class 0, version 2.0, errata 0, 64 bit
constexpr std::string_view kSignature("vmsec modules v2\0", 17);
constexpr std::uint32_t kEventTag = 0x00000006;
constexpr std::uint32_t kTag = 0x45534d56;  // "VMSE"
constexpr std::size_t kSha1Size = 20;
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kDigestDigits = 64;

template <std::unsigned_integral T>
std::string as_little(T value) {
  std::string out = big_endian(value);
  std::ranges::reverse(out);
  return out;
}

std::string with_size(std::string_view data) {
  return as_little(static_cast<std::uint32_t>(data.size())) + std::string(data);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

std::unexpected<Error> bad_entry(const Event& event, const std::string& cause) {
  return fail(Code::invalid_argument, "module log, byte " + std::to_string(event.offset) + ", event " +
                                          std::to_string(event.number) + ": " + cause);
}

// "module throttle 12ab..."
Result<LoadedObject> read_object(const Event& event) {
  ByteReader reader(event.data);
  const auto tag = reader.little<std::uint32_t>();
  const auto size = reader.little<std::uint32_t>();
  if (!tag || !size || *tag != kTag || *size != reader.left()) return bad_entry(event, "it tells of no module");
  const auto text = reader.rest();
  const auto first = text.find(' ');
  const auto last = text.rfind(' ');
  if (first == last) return bad_entry(event, "it tells of no module");  // or neither is there
  LoadedObject object{std::string(text.substr(0, first)), std::string(text.substr(first + 1, last - first - 1)),
                      std::string(text.substr(last + 1))};
  if (const auto checked = check_object(object); !checked) return bad_entry(event, checked.error().message);
  return object;
}

Status check_digests(const Event& event) {
  for (const auto& each : event.digests) {
    VMSEC_TRY(const auto is, digest(each.hash, {event.data}));
    if (!equal(is, each.bytes)) return bad_entry(event, "its " + to_string(each.hash) + " digest is not of its data");
  }
  return {};
}

Result<MeasuredObject> read_event(const Event& event, std::uint32_t pcr) {
  if (event.type != kEventTag) return bad_entry(event, event_type_name(event.type) + ", want EV_EVENT_TAG");
  if (event.pcr != pcr)
    return bad_entry(event, "PCR " + std::to_string(event.pcr) + ", the log is of PCR " + std::to_string(pcr));
  VMSEC_CHECK(check_digests(event));
  VMSEC_TRY(auto object, read_object(event));
  return MeasuredObject{event.offset, std::move(object), event.digests};
}

Result<ModuleLogStart> read_start(const std::optional<Event>& event, const Bank& bank) {
  if (!event || event->type != kNoAction || !event->data.starts_with(kSignature))
    return fail(Code::invalid_argument, "module log: it does not begin with the TPM's reset counter");
  ByteReader reader(event->data.substr(kSignature.size()));
  const auto count = reader.little<std::uint32_t>();
  const auto pcr = reader.little<std::uint32_t>();
  if (!count || !pcr || reader.left() != bank.size) return bad_entry(*event, "its beginning is of a wrong size");
  if (!is_module_pcr(*pcr)) return bad_entry(*event, "PCR " + std::to_string(*pcr) + " is none for modules");
  return ModuleLogStart{*count, *pcr, std::string(reader.rest())};
}

}  // namespace

bool is_module_pcr(std::uint32_t pcr) { return pcr >= 8 && pcr <= 15 && pcr != 10; }

Status check_object(const LoadedObject& object) {
  if (object.kind != "module" && object.kind != "plugin")
    return fail(Code::invalid_argument, "\"" + printable(object.kind, 20) + "\" is neither module nor plugin");
  if (!is_name(object.name))
    return fail(Code::invalid_argument, "\"" + printable(object.name, kMaxName) + "\" is no name of a module");
  const bool digits =
      std::ranges::all_of(object.digest, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (object.digest.size() != kDigestDigits || !digits)
    return fail(Code::invalid_argument, object.kind + " " + object.name + ": its digest is no SHA-256");
  return {};
}

std::string begin_module_log(const std::vector<Bank>& banks, const ModuleLogStart& start) {
  std::string header(kSpecId);
  header += as_little(static_cast<std::uint32_t>(banks.size()));
  for (const auto& bank : banks)
    header += as_little(static_cast<std::uint16_t>(bank.hash)) + as_little(static_cast<std::uint16_t>(bank.size));
  header += '\0';  // no vendor information
  std::string out =
      as_little(std::uint32_t{0}) + as_little(kNoAction) + std::string(kSha1Size, '\0') + with_size(header);
  out += as_little(std::uint32_t{0}) + as_little(kNoAction) + as_little(static_cast<std::uint32_t>(banks.size()));
  for (const auto& bank : banks) out += as_little(static_cast<std::uint16_t>(bank.hash)) + std::string(bank.size, '\0');
  return out + with_size(std::string(kSignature) + as_little(start.reset_count) + as_little(start.pcr) + start.value);
}

std::string module_event_data(const LoadedObject& object) {
  return as_little(kTag) + with_size(object.kind + " " + object.name + " " + object.digest);
}

Result<std::string> module_event(std::uint32_t pcr, const std::vector<Bank>& banks, const LoadedObject& object) {
  const auto data = module_event_data(object);
  std::string out = as_little(pcr) + as_little(kEventTag) + as_little(static_cast<std::uint32_t>(banks.size()));
  for (const auto& bank : banks) {
    VMSEC_TRY(const auto measured, digest(bank.hash, {data}));
    out += as_little(static_cast<std::uint16_t>(bank.hash)) + measured;
  }
  return out + with_size(data);
}

Result<ModuleLog> read_module_log(std::string_view log) {
  auto reader = EventLogReader::open(log);
  if (!reader) return fail(reader.error().in("module log"));
  ModuleLog out;
  out.banks = reader->banks();
  VMSEC_CHECK(reader->next());  // the header
  VMSEC_TRY(const auto first, reader->next());
  VMSEC_TRY(out.start, read_start(first, out.banks.front()));
  while (true) {
    auto event = reader->next();
    if (!event) return fail(event.error().in("module log"));
    if (!*event) return out;
    VMSEC_TRY(auto object, read_event(**event, out.start.pcr));
    out.objects.push_back(std::move(object));
  }
}

Result<ModuleLog> replay_modules(Replay& replay, std::string_view log, const std::vector<ClaimedPcr>& claimed) {
  VMSEC_TRY(auto modules, read_module_log(log));
  const std::uint32_t pcr = modules.start.pcr;
  auto& value = replay.values[pcr];
  const auto claim = std::ranges::find(claimed, pcr, &ClaimedPcr::pcr);
  std::size_t measured = 0;
  for (const auto& each : modules.objects) {
    if (claim != claimed.end() && equal(claim->value, value)) break;
    const auto found = std::ranges::find(each.digests, replay.bank, &EventDigest::hash);
    if (found == each.digests.end())
      return fail(Code::invalid_argument, "the module log has no " + to_string(replay.bank) + " digests");
    replay.measurements.push_back({replay.events++, pcr, kEventTag, DigestBytes(found->bytes)});
    VMSEC_TRY(value, digest(replay.bank, {value, found->bytes}));
    ++measured;
  }
  modules.objects.resize(measured);
  return modules;
}

Result<std::optional<std::size_t>> measured_objects(const ModuleLog& log, std::string_view value) {
  std::string leads_to = log.start.value;
  if (equal(leads_to, value)) return std::optional<std::size_t>(0);
  for (std::size_t i = 0; i < log.objects.size(); ++i) {
    const auto& event = log.objects[i].digests;
    const auto found = std::ranges::find(event, log.banks.front().hash, &EventDigest::hash);
    if (found == event.end()) break;  // not of a log that was read
    VMSEC_TRY(leads_to, digest(log.banks.front().hash, {leads_to, found->bytes}));
    if (equal(leads_to, value)) return std::optional(i + 1);
  }
  return std::optional<std::size_t>();
}

}  // namespace vmsec::boot

#include "eventlog.hpp"

#include <algorithm>

namespace vmsec::boot {
namespace {

constexpr std::string_view kSpecId03("Spec ID Event03\0", 16);
constexpr std::size_t kSha1Size = 20;

}  // namespace

std::optional<std::string_view> Event::digest(Hash hash) const {
  for (const auto& each : digests)
    if (each.hash == hash) return each.bytes;
  return std::nullopt;
}

std::unexpected<Error> EventLogReader::bad(std::string cause) const {
  return fail(Code::invalid_argument, "event log, byte " + std::to_string(reader_.offset()) + ", event " +
                                          std::to_string(number_) + ": " + std::move(cause));
}

std::unexpected<Error> EventLogReader::short_of(std::string_view what, std::size_t want) const {
  return bad(std::string(what) + " needs " + std::to_string(want) + " bytes, " + std::to_string(reader_.left()) +
             " are left");
}

Result<EventLogReader> EventLogReader::open(std::string_view log) {
  EventLogReader reader(log);
  if (log.empty()) return reader.bad("the log is empty: that host has none ([tpm] event_log in its vmsecd.toml)");
  if (log.size() > kMaxLogBytes)
    return reader.bad("the log has " + std::to_string(log.size()) + " bytes, more than " +
                      std::to_string(kMaxLogBytes));
  VMSEC_CHECK(reader.read_header());
  return reader;
}

// The first event has the old form in either case: its data tells which log this is.
Status EventLogReader::read_header() {
  banks_ = {{Hash::sha1, kSha1Size}};
  VMSEC_TRY(const bool found, read(pending_.emplace()));
  if (!found) return bad("the log holds no event");
  if (pending_->type != kNoAction || !pending_->data.starts_with(kSpecId03)) return {};
  if (pending_->pcr != 0) return bad("the Spec ID header is of PCR " + std::to_string(pending_->pcr) + ", not 0");
  form_ = Form::crypto_agile;
  return read_banks(*pending_);
}

// TCG_EfiSpecIDEvent, behind its signature.
Status EventLogReader::read_banks(const Event& header) {
  ByteReader reader(header.data.substr(kSpecId03.size()));
  const auto count = reader.take(8) ? reader.little<std::uint32_t>() : std::nullopt;  // class, version, errata, UINTN
  if (!count) return bad("the Spec ID header ends before its number of algorithms");
  if (*count == 0 || *count > kMaxAlgorithms)
    return bad("the Spec ID header lists " + std::to_string(*count) + " algorithms, want 1 to " +
               std::to_string(kMaxAlgorithms));
  banks_.clear();
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto id = reader.little<std::uint16_t>();
    const auto size = reader.little<std::uint16_t>();
    if (!id || !size) return bad("the Spec ID header ends within its algorithms");
    const Hash hash{*id};
    if (std::ranges::any_of(banks_, [&](const Bank& bank) { return bank.hash == hash; }))
      return bad("the Spec ID header lists " + to_string(hash) + " twice");
    if (*size == 0 || *size > kMaxDigestBytes || *size != digest_size(hash).value_or(*size))
      return bad("the Spec ID header gives " + to_string(hash) + " digests of " + std::to_string(*size) + " bytes");
    banks_.push_back({hash, *size});
  }
  const auto vendor_size = reader.little<std::uint8_t>();
  if (!vendor_size || reader.left() != *vendor_size)
    return bad("the Spec ID header's vendor information is not of the size that it states");
  return {};
}

Result<std::optional<Event>> EventLogReader::next() {
  Event event;
  VMSEC_TRY(const bool found, next(event));
  if (!found) return std::nullopt;
  return event;
}

Result<bool> EventLogReader::next(Event& event) {
  if (pending_) {
    event = *std::exchange(pending_, std::nullopt);
    return true;
  }
  ++number_;
  return read(event);
}

Result<bool> EventLogReader::read(Event& event) {
  if (reader_.left() == 0 || only_fill_left()) return false;
  event.number = number_;
  event.offset = reader_.offset();
  event.digests.clear();
  const auto pcr = reader_.little<std::uint32_t>();
  const auto type = reader_.little<std::uint32_t>();
  if (!pcr || !type) return short_of("an event's PCR and type", 4);
  event.pcr = *pcr;
  event.type = *type;
  VMSEC_CHECK(form_ == Form::sha1 ? read_sha1_digest(event) : read_digests(event));
  VMSEC_CHECK(read_data(event));
  VMSEC_CHECK(check(event));
  return true;
}

Status EventLogReader::read_sha1_digest(Event& event) {
  const auto digest = reader_.take(kSha1Size);
  if (!digest) return short_of("a sha1 digest", kSha1Size);
  event.digests.push_back({Hash::sha1, *digest});
  return {};
}

Status EventLogReader::read_digests(Event& event) {
  const auto count = reader_.little<std::uint32_t>();
  if (!count) return short_of("the number of digests", 4);
  if (*count > banks_.size())
    return bad(std::to_string(*count) + " digests, where the header lists " + std::to_string(banks_.size()) +
               " algorithms");
  for (std::uint32_t i = 0; i < *count; ++i) VMSEC_CHECK(read_digest(event));
  if (!event.extends()) return {};
  for (const auto& bank : banks_)
    if (!event.digest(bank.hash)) return bad("it has no " + to_string(bank.hash) + " digest");
  return {};
}

Status EventLogReader::read_digest(Event& event) {
  const auto id = reader_.little<std::uint16_t>();
  if (!id) return short_of("a digest's algorithm", 2);
  const Hash hash{*id};
  const auto bank = std::ranges::find(banks_, hash, &Bank::hash);
  if (bank == banks_.end()) return bad("a digest by " + to_string(hash) + ", which the header does not list");
  if (event.digest(hash)) return bad("two " + to_string(hash) + " digests");
  const auto bytes = reader_.take(bank->size);
  if (!bytes) return short_of("a " + to_string(hash) + " digest", bank->size);
  event.digests.push_back({hash, *bytes});
  return {};
}

Status EventLogReader::read_data(Event& event) {
  const auto size = reader_.little<std::uint32_t>();
  if (!size) return short_of("an event's size", 4);
  const auto data = reader_.take(*size);
  if (!data) return short_of("the event's data", *size);
  event.data = *data;
  return {};
}

Status EventLogReader::check(const Event& event) const {
  if (event.number >= kMaxEvents) return bad("more than " + std::to_string(kMaxEvents) + " events");
  // Events that extend nothing may be about no PCR (index -1).
  if (event.extends() && event.pcr >= kPcrCount)
    return bad("PCR " + std::to_string(event.pcr) + ", where a TPM has 0 to " + std::to_string(kPcrCount - 1));
  return {};
}

// Firmware hands out its whole buffer at times, whose unused rest is all ones.
bool EventLogReader::only_fill_left() const {
  const auto rest = reader_.rest();
  return rest.size() >= 8 && rest.find_first_not_of('\xff') == std::string_view::npos;
}

}  // namespace vmsec::boot

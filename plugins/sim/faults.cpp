#include "faults.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "vmsec/backend.hpp"

namespace vmsec::sim {
namespace {

constexpr std::array<std::string_view, 16> kSteps = {
    "source.begin",         "source.iteration",   "source.stopped",       "source.decided",
    "source.held",          "source.finish_sent", "source.follows",       "source.loaded",
    "source.released",      "destination.begin",  "destination.received", "destination.decided",
    "destination.recorded", "destination.loaded", "destination.runs",     "destination.answered"};

constexpr std::array<Code, 10> kCodes = {Code::unavailable, Code::timeout,       Code::io,     Code::internal,
                                         Code::in_doubt,    Code::wrong_state,   Code::denied, Code::not_found,
                                         Code::unsupported, Code::limit_exceeded};

// "wrong state" -> "wrong_state"
std::string code_name(Code code) {
  std::string name(code == Code::io ? "io" : to_string(code));
  std::ranges::replace(name, ' ', '_');
  return name;
}

template <class I>
bool has_method(std::string_view text) {
  constexpr std::string_view kVendor = "vmsec.";
  bool found = false;
  for_each_method<I>([&](const auto& each) {
    const std::string full = std::string(Methods<I>::kName.substr(kVendor.size())) + "." + std::string(each.name);
    found = found || full == text;
  });
  return found;
}

bool is_method(std::string_view text) {
  return has_method<DomainControl>(text) || has_method<ResourceControl>(text) || has_method<IoControl>(text) ||
         has_method<Migration>(text) || has_method<MemoryAccess>(text) || has_method<BootEvidence>(text) ||
         has_method<Events>(text) || has_method<Interchange>(text);
}

bool read_number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::unexpected<Error> bad(std::string_view key, std::string_view cause) {
  return fail(Code::invalid_argument, "setting " + std::string(key.substr(0, 64)) + ": " + std::string(cause));
}

}  // namespace

Status Faults::add(std::string_view key, std::string_view value) {
  const auto what = key.substr(kPrefix.size());
  const std::lock_guard lock(mutex_);
  if (what == "stream.cut") return add_cut(value);
  if (what == "die") {
    if (std::ranges::find(kSteps, value) == kSteps.end()) return bad(key, "unknown step");
    death_ = value;
    return {};
  }
  if (!is_method(what)) return bad(key, "no such method");
  const auto colon = value.find(':');
  const auto* code = std::ranges::find(kCodes, value.substr(0, colon), code_name);
  if (code == kCodes.end()) return bad(key, "want a code such as \"unavailable\"");
  CallFault fault{*code};
  if (colon != std::string_view::npos && (!read_number(value.substr(colon + 1), fault.which) || fault.which == 0))
    return bad(key, "want the number of the call that fails, from 1: \"unavailable:3\"");
  calls_[std::string(what)] = fault;
  return {};
}

Status Faults::add_cut(std::string_view value) {
  static constexpr std::array<std::pair<std::string_view, ChannelKind>, 3> kKinds = {
      {{"control", ChannelKind::control}, {"main", ChannelKind::main}, {"bulk", ChannelKind::bulk}}};
  const auto wrong = [] { return bad("fault.stream.cut", "want KIND:BYTES or bulk/INDEX:BYTES"); };
  const auto colon = value.find(':');
  if (colon == std::string_view::npos) return wrong();
  const auto slash = value.substr(0, colon).find('/');
  const auto* kind =
      std::ranges::find(kKinds, value.substr(0, std::min(slash, colon)), &decltype(kKinds)::value_type::first);
  if (kind == kKinds.end()) return wrong();
  std::uint64_t index = 0;
  if (slash != std::string_view::npos && !read_number(value.substr(slash + 1, colon - slash - 1), index))
    return wrong();
  Cut cut{kind->second, static_cast<std::uint32_t>(index), 0};
  if (!read_number(value.substr(colon + 1), cut.bytes)) return wrong();
  cut_ = cut;
  return {};
}

Status Faults::call(std::string_view method) {
  const std::lock_guard lock(mutex_);
  const auto fault = calls_.find(method);
  if (fault == calls_.end()) return {};
  ++fault->second.calls;
  if (fault->second.which != 0 && fault->second.which != fault->second.calls) return {};
  return fail(fault->second.code, std::string(method) + ": this fault was asked for, by setting fault." +
                                      std::string(method) + ", at call " + std::to_string(fault->second.calls));
}

void Faults::step(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (death_ == name) ::_exit(kDeathStatus);
}

std::optional<std::uint64_t> Faults::cut(ChannelKind kind, std::uint32_t index) {
  const std::lock_guard lock(mutex_);
  if (!cut_ || cut_->kind != kind || cut_->index != index) return std::nullopt;
  const std::uint64_t bytes = cut_->bytes;
  cut_.reset();
  return bytes;
}

}  // namespace vmsec::sim

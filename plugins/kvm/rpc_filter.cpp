#include "rpc_filter.hpp"

#include <libvirt/libvirt.h>

#include <set>

namespace vmsec::kvm::rpc {

namespace {

constexpr std::uint32_t kFlagsNeeded = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER;
constexpr std::uint32_t kFlagsAllowed = kFlagsNeeded | VIR_MIGRATE_PAUSED | VIR_MIGRATE_POSTCOPY |
                                        VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_PARALLEL |
                                        VIR_MIGRATE_AUTO_CONVERGE |
                                        VIR_MIGRATE_UNSAFE;  // the last two are of no meaning at a destination
// Guests' writes go to both disks while they are copied, so that the copy keeps up with any guest.
constexpr std::uint32_t kFlagsOfCopies = VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
constexpr std::int32_t kLastFeature = 16;  // of libvirt 9.0's VIR_DRV_FEATURE_*
constexpr std::string_view kConnectName = "qemu:///system";

std::unexpected<Error> denied(std::string cause) { return fail(Code::denied, std::move(cause)); }

Status no_arguments(const Message& message) {
  if (message.payload().empty()) return {};
  return denied("it takes no arguments, and has " + std::to_string(message.payload().size()) + " bytes of them");
}

const std::string* text_of(const std::vector<Parameter>& parameters, std::string_view name) {
  for (const Parameter& parameter : parameters)
    if (parameter.name == name) return std::get_if<std::string>(&parameter.value);
  return nullptr;
}

}  // namespace

int allowance(std::uint32_t procedure) {
  switch (static_cast<Procedure>(procedure)) {
    case Procedure::connect_supports_feature:
      return 32;
    case Procedure::connect_open:
    case Procedure::connect_close:
    case Procedure::auth_list:
    case Procedure::domain_migrate_prepare3_params:
    case Procedure::domain_migrate_finish3_params:
    case Procedure::connect_register_close_callback:
    case Procedure::connect_unregister_close_callback:
      return 1;
  }
  return 0;
}

Step DestinationFilter::refuse(const Message& message, const std::string& cause) const {
  const std::string full =
      "libvirt call of migration of " + setup_.domain.name + ": " + call_name(message.header) + ": " + cause;
  return {Action::refuse, error_reply(message.header, full), full};
}

Step DestinationFilter::from_peer(const Message& message) {
  // Keepalive is between neighbours: it never crosses the channel.
  if (message.header.program == kKeepaliveProgram) {
    if (!message.payload().empty()) return refuse(message, "a keepalive has no content");
    if (is_keepalive_ping(message.header)) return {Action::answer, keepalive_pong(message.header), {}};
    return {};
  }
  const Status checked = check_call(message);
  if (!checked) return refuse(message, checked.error().message);
  if (message.header.is(Procedure::domain_migrate_finish3_params)) {
    auto finish = check_finish(message);
    if (!finish) return refuse(message, finish.error().message);
    finish_ = std::move(*finish);
    finish_header_ = message.header;
    outstanding_ = message.header;
    if (finish_.cancelled != 0) return {Action::forward, cancel(), {}};
    return {Action::hold, {}, {}};
  }
  std::string bytes = message.bytes;
  if (message.header.is(Procedure::domain_migrate_prepare3_params)) {
    auto rewritten = rewrite_prepare(message);
    if (!rewritten) return refuse(message, rewritten.error().message);
    bytes = std::move(*rewritten);
  }
  outstanding_ = message.header;
  return {Action::forward, std::move(bytes), {}};
}

Status DestinationFilter::check_call(const Message& message) {
  const Header& header = message.header;
  if (header.program != kRemoteProgram || header.version != 1) return denied("this program is not served");
  if (!header.is(Type::call)) return denied("message type " + std::to_string(header.type) + " is not a call");
  if (!header.is(Outcome::ok)) return denied("a call with status " + std::to_string(header.status));
  const int allowed = allowance(header.procedure);
  if (allowed == 0) return denied("not part of a migration");
  if (outstanding_) return denied("sent before the call before it was answered");
  if (++seen_[header.procedure] > allowed) return denied("sent more often than " + std::to_string(allowed) + " times");
  const bool opened = seen_[static_cast<std::uint32_t>(Procedure::connect_open)] > 0;
  switch (static_cast<Procedure>(header.procedure)) {
    case Procedure::connect_open:
      return check_open(message);
    case Procedure::connect_supports_feature:
      return check_feature(message);
    case Procedure::auth_list:
      return no_arguments(message);
    case Procedure::domain_migrate_prepare3_params:
      if (!opened) return denied("sent before the connection was opened");
      return {};
    case Procedure::domain_migrate_finish3_params:
      if (!prepared_) return denied("sent before the migration was prepared");
      return {};
    case Procedure::connect_close:
    case Procedure::connect_register_close_callback:
    case Procedure::connect_unregister_close_callback:
      if (!opened) return denied("sent before the connection was opened");
      return no_arguments(message);
  }
  return denied("not part of a migration");
}

Status DestinationFilter::check_open(const Message& message) {
  XdrReader reader(message.payload());
  VMSEC_TRY(const auto name, reader.optional_text(kNameLimit, "connection's name"));
  VMSEC_TRY(const std::uint32_t flags, reader.u32("connection's flags"));
  VMSEC_CHECK(reader.end("connect open"));
  if (name && *name != kConnectName) return denied("the only connection served is " + std::string(kConnectName));
  if (flags != 0) return denied("flags " + hexadecimal(flags) + " are not allowed");
  return {};
}

Status DestinationFilter::check_feature(const Message& message) {
  XdrReader reader(message.payload());
  VMSEC_TRY(const std::int32_t feature, reader.i32("feature"));
  VMSEC_CHECK(reader.end("supports feature"));
  if (feature < 1 || feature > kLastFeature) return denied("unknown feature " + std::to_string(feature));
  return {};
}

Status DestinationFilter::check_flags(std::uint32_t flags) const {
  if ((flags & kFlagsNeeded) != kFlagsNeeded)
    return denied("flags " + hexadecimal(flags) + " lack live or peer-to-peer");
  if (((flags & VIR_MIGRATE_POSTCOPY) != 0) != setup_.post_copy)
    return denied("post-copy is not what the session agreed on");
  // libvirt has no post-copy of a domain that is to be paused.
  if (((flags & VIR_MIGRATE_PAUSED) != 0) == setup_.post_copy)
    return denied("flags " + hexadecimal(flags) + (setup_.post_copy ? " have" : " lack") + " paused");
  const std::uint32_t copies = setup_.disks.empty() ? 0 : kFlagsOfCopies;
  const std::uint32_t resumes = setup_.recover ? VIR_MIGRATE_POSTCOPY_RESUME : 0;
  if (const std::uint32_t others = flags & ~(kFlagsAllowed | copies | resumes); others != 0)
    return denied("flags " + hexadecimal(others) + " are not allowed");
  if ((flags & resumes) != resumes) return denied("the session is to take up a post-copy that broke");
  if ((flags & copies) != copies) return denied("copies of disks are not what the session agreed on");
  if (((flags & VIR_MIGRATE_PARALLEL) != 0) != (setup_.bulk_channels > 0))
    return denied("parallel channels are not what the session agreed on");
  if (((flags & VIR_MIGRATE_AUTO_CONVERGE) != 0) != setup_.auto_converge)
    return denied("auto-converge is not what the session agreed on");
  return {};
}

// Just the disks that the session agreed on, through a socket.
Status DestinationFilter::check_disks(const std::vector<Parameter>& parameters, bool is_finish) const {
  std::vector<std::string> disks;
  bool has_uri = false;
  for (const auto& [name, value] : parameters) {
    const auto* text = std::get_if<std::string>(&value);
    if (name == VIR_MIGRATE_PARAM_MIGRATE_DISKS) disks.push_back(text == nullptr ? std::string() : *text);
    if (name != VIR_MIGRATE_PARAM_DISKS_URI) continue;
    if (text == nullptr || !text->starts_with("unix:///")) return denied("the disks' URI is no unix:// one");
    has_uri = true;
  }
  // What the last call repeats libvirtd does not get.
  if (is_finish && disks.empty() && !has_uri) return {};
  if (disks != setup_.disks) return denied("the disks to copy are not what the session agreed on");
  return has_uri ? Status() : denied("the disks' URI is missing");
}

Status DestinationFilter::check_parameters(const std::vector<Parameter>& parameters, bool is_finish) {
  std::set<std::string_view> names;
  const bool copies = !setup_.disks.empty();
  if (copies) VMSEC_CHECK(check_disks(parameters, is_finish));
  for (const auto& [name, value] : parameters) {
    if (copies && name == VIR_MIGRATE_PARAM_MIGRATE_DISKS) continue;  // once for each disk
    if (!names.insert(name).second) return denied("parameter " + name + " is given twice");
    if (copies && name == VIR_MIGRATE_PARAM_DISKS_URI) continue;
    if (name == VIR_MIGRATE_PARAM_DEST_XML) {
      const auto* xml = std::get_if<std::string>(&value);
      if (xml == nullptr || *xml != setup_.configuration)
        return denied("the domain's XML is not the configuration that was described");
    } else if (name == VIR_MIGRATE_PARAM_DEST_NAME) {
      const auto* given = std::get_if<std::string>(&value);
      if (given == nullptr || *given != setup_.domain.name) return denied("the domain's name is another one");
    } else if (name == VIR_MIGRATE_PARAM_URI) {
      const auto* uri = std::get_if<std::string>(&value);
      if (uri == nullptr || !uri->starts_with("unix:///")) return denied("the migration's URI is no unix:// one");
    } else if (name == VIR_MIGRATE_PARAM_BANDWIDTH) {
      if (!std::holds_alternative<std::uint64_t>(value)) return denied("bandwidth has the wrong type");
    } else if (name == VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS) {
      const auto* count = std::get_if<std::int32_t>(&value);
      if (count == nullptr || *count < 1 || static_cast<std::uint32_t>(*count) != setup_.bulk_channels)
        return denied("the number of parallel connections is not what the session agreed on");
    } else {
      return denied("parameter " + name.substr(0, 64) + " is not allowed");
    }
  }
  const auto wants = [&](std::string_view name) -> Status {
    if (names.contains(name)) return {};
    return denied("parameter " + std::string(name) + " is missing");
  };
  if (is_finish) return wants(VIR_MIGRATE_PARAM_DEST_NAME);
  VMSEC_CHECK(wants(VIR_MIGRATE_PARAM_DEST_XML));
  return wants(VIR_MIGRATE_PARAM_URI);
}

Result<std::string> DestinationFilter::rewrite_prepare(const Message& message) {
  VMSEC_TRY(Migrate3Prepare call, parse_prepare(message.payload()));
  VMSEC_CHECK(check_flags(call.flags));
  VMSEC_CHECK(check_parameters(call.parameters, false));
  VMSEC_CHECK(check_domain(setup_.policy, setup_.domain, setup_.configuration));
  VMSEC_TRY(call.cookie, check_cookie(setup_.domain, call.cookie, CookieOf::prepare, cookie_disks()));
  if (!setup_.images) return denied("the disks' images cannot be looked at");
  VMSEC_CHECK(setup_.images());
  flags_ = call.flags;
  source_uri_ = *text_of(call.parameters, VIR_MIGRATE_PARAM_URI);
  for (Parameter& parameter : call.parameters)
    if (parameter.name == VIR_MIGRATE_PARAM_URI)
      parameter.value = setup_.data_uri;
    else if (parameter.name == VIR_MIGRATE_PARAM_DISKS_URI)
      parameter.value = setup_.disks_uri;
  return encode(message.header, encode(call));
}

Result<Migrate3Finish> DestinationFilter::check_finish(const Message& message) {
  VMSEC_TRY(Migrate3Finish call, parse_finish(message.payload()));
  if (call.flags != flags_) return denied("flags " + hexadecimal(call.flags) + " are not those of prepare");
  if (call.cancelled != 0 && call.cancelled != 1) return denied("cancelled is neither 0 nor 1");
  VMSEC_CHECK(check_parameters(call.parameters, true));
  VMSEC_TRY(call.cookie, without_definition(setup_.policy, setup_.domain, call.cookie));
  const CookieDisks disks = call.cancelled != 0 && !setup_.disks.empty() ? CookieDisks::maybe : cookie_disks();
  VMSEC_TRY(call.cookie, check_cookie(setup_.domain, call.cookie, CookieOf::finish, disks));
  // The name is all that libvirtd reads of them.
  call.parameters = {{VIR_MIGRATE_PARAM_DEST_NAME, setup_.domain.name}};
  return call;
}

// With post-copy libvirt's call says that the domain runs at once, and may be called when all of it has come anyhow:
// then it is loaded as in any other session, and waits for COMMIT.
std::string DestinationFilter::proceed(Load load) {
  finish_sent_ = true;
  if (load == Load::paused) finish_.flags = (finish_.flags | VIR_MIGRATE_PAUSED) & ~std::uint32_t{VIR_MIGRATE_POSTCOPY};
  return encode(finish_header_, encode(finish_));
}

std::string DestinationFilter::cancel() {
  finish_.cancelled = 1;
  return encode(finish_header_, encode(finish_));
}

std::string DestinationFilter::answer_refused(const std::string& reason) const {
  return error_reply(finish_header_, "the destination refused to load " + setup_.domain.name + ": " + reason);
}

Step DestinationFilter::from_libvirt(const Message& message) {
  if (is_keepalive_ping(message.header)) return {Action::answer, keepalive_pong(message.header), {}};
  const Header& header = message.header;
  // Events and the like: nothing that a migration waits for.
  if (header.program != kRemoteProgram || !header.is(Type::reply)) return {};
  if (!outstanding_ || outstanding_->serial != header.serial || outstanding_->procedure != header.procedure) return {};
  outstanding_.reset();
  if (header.is(Procedure::domain_migrate_prepare3_params)) return prepare_reply(message);
  if (header.is(Procedure::domain_migrate_finish3_params)) finish_reply(message);
  return {Action::forward, message.bytes, {}};
}

Step DestinationFilter::prepare_reply(const Message& message) {
  if (!message.header.is(Outcome::ok)) {
    failure_ = "libvirt refused to prepare: " + error_text(message.payload());
    return {Action::forward, message.bytes, {}};
  }
  auto reply = parse_prepare_reply(message.payload());
  if (!reply) {
    failure_ = reply.error().message;
    return {Action::forward, error_reply(message.header, failure_), {}};
  }
  prepared_ = true;
  if (reply->uri) reply->uri = source_uri_;
  return {Action::forward, encode(message.header, encode(*reply)), {}};
}

void DestinationFilter::finish_reply(const Message& message) {
  finished_ = true;
  if (!message.header.is(Outcome::ok)) {
    failure_ = "libvirt did not load the domain: " + error_text(message.payload());
    return;
  }
  const auto reply = parse_finish_reply(message.payload());
  if (reply && reply->uuid == setup_.domain.uuid)
    loaded_ = true;
  else
    failure_ = "libvirt's answer to the migration's last call names another domain";
}

}  // namespace vmsec::kvm::rpc

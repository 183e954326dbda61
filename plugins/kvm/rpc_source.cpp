#include "rpc_source.hpp"

#include <utility>

namespace vmsec::kvm::rpc {

namespace {

std::unexpected<Error> senseless(const std::string& cause) {
  return fail(Code::denied, "libvirt answer from the destination: " + cause);
}

// The features of VIR_DRV_FEATURE_* that a migration of vmsec needs. Each has
// one answer: with another, libvirtd would fall back to calls that no gate holds.
bool is_needed(std::int32_t feature) {
  switch (feature) {
    case 4:   // peer-to-peer
    case 6:   // protocol version 3
    case 10:  // keepalive
    case 13:  // parameters
    case 14:  // events by callback
    case 15:  // close callback
      return true;
    default:
      return false;
  }
}

std::string feature_reply(const Header& header, std::uint32_t answer) {
  Header reply = header;
  reply.type = static_cast<std::uint32_t>(Type::reply);
  XdrWriter out;
  out.u32(answer);
  return encode(reply, out.bytes());
}

// One way to authenticate, and that is "none": whoever the peer is, TLS knows.
Status check_auth_list(std::string_view payload) {
  XdrReader reader(payload);
  VMSEC_TRY(const std::uint32_t count, reader.u32("number of authentications"));
  if (count != 1) return senseless("wants one of " + std::to_string(count) + " ways to authenticate");
  VMSEC_TRY(const std::uint32_t type, reader.u32("authentication"));
  if (type != 0) return senseless("wants authentication " + std::to_string(type));
  return reader.end("auth list");
}

// The same call with the order to destroy: `cancelled` is its last word.
std::string with_cancelled(std::string bytes) {
  bytes.back() = 1;
  return bytes;
}

}  // namespace

std::string SourceCalls::answer_here(const Header& header) {
  // What libvirtd does to end a connection; the rest cannot be answered.
  if (header.is(Procedure::connect_close) || header.is(Procedure::connect_unregister_close_callback))
    return empty_reply(header);
  return error_reply(header, "the destination cannot be reached any more");
}

std::string SourceCalls::objection(const Message& message) {
  const Header& header = message.header;
  if (header.program != kRemoteProgram || header.version != 1) return "this program is not part of a migration";
  const int allowed = allowance(header.procedure);
  if (allowed == 0) return "not part of a migration";
  if (++seen_[header.procedure] > allowed) return "made more often than " + std::to_string(allowed) + " times";
  if (outstanding_) return "made before the call before it was answered";
  if (header.is(Procedure::domain_migrate_finish3_params) && !prepared_)
    return "made before the migration was prepared";
  return {};
}

Step SourceCalls::from_libvirt(const Message& message) {
  if (is_keepalive_ping(message.header)) return {Action::answer, keepalive_pong(message.header), {}};
  const Header& header = message.header;
  if (header.program == kKeepaliveProgram || !header.is(Type::call)) return {};
  const bool is_finish = header.is(Procedure::domain_migrate_finish3_params);
  if (refused_ || (peer_lost_ && !is_finish)) return {Action::answer, answer_here(header), {}};
  if (const std::string why = objection(message); !why.empty())
    return {Action::answer, error_reply(header, call_name(header) + ": " + why), why};
  if (is_finish) return finish_call(message);
  if (header.is(Procedure::connect_supports_feature)) return feature_call(message);
  outstanding_ = header;
  return {Action::forward, message.bytes, {}};
}

Step SourceCalls::finish_call(const Message& message) {
  const auto call = parse_finish(message.payload());
  if (!call) return {Action::answer, error_reply(message.header, call.error().message), {}};
  finish_header_ = message.header;
  finish_bytes_ = message.bytes;
  statistics_ = call->cookie;
  if (call->cancelled == 0) {
    finish_ = FinishState::held;
    return {Action::hold, {}, {}};
  }
  finish_ = FinishState::cancelled;
  if (peer_lost_) return {Action::answer, answer_here(message.header), {}};
  outstanding_ = message.header;
  return {Action::forward, message.bytes, {}};
}

// The peer's libvirtd hears what it needs to hear (it starts its own keepalive
// by it), but what it answers is not asked: see checked_reply().
Step SourceCalls::feature_call(const Message& message) {
  XdrReader reader(message.payload());
  const auto feature = reader.i32("feature");
  if (!feature || !is_needed(*feature)) return {Action::answer, feature_reply(message.header, 0), {}};
  outstanding_ = message.header;
  return {Action::forward, message.bytes, {}};
}

Result<Step> SourceCalls::from_peer(const Message& message) {
  const Header& header = message.header;
  if (header.program == kKeepaliveProgram) return Step{};
  if (header.program != kRemoteProgram || header.version != 1) return senseless("of a program that was not called");
  if (header.is(Type::message)) return Step{};  // an event
  if (!header.is(Type::reply)) return senseless("message type " + std::to_string(header.type) + " is no answer");
  if (!header.is(Outcome::ok) && !header.is(Outcome::error))
    return senseless("status " + std::to_string(header.status));
  if (!outstanding_ || outstanding_->serial != header.serial || outstanding_->procedure != header.procedure)
    return senseless("to a call that was not made");
  if (header.is(Procedure::domain_migrate_finish3_params)) return finish_reply(message);
  // Still outstanding if it makes no sense: then libvirtd has to be told.
  VMSEC_TRY(Step step, checked_reply(message));
  outstanding_.reset();
  return step;
}

Result<Step> SourceCalls::checked_reply(const Message& message) {
  const Header& header = message.header;
  if (header.is(Outcome::error)) return Step{Action::forward, same_error(header, message.payload()), {}};
  switch (static_cast<Procedure>(header.procedure)) {
    case Procedure::domain_migrate_prepare3_params:
      return prepare_reply(message);
    case Procedure::connect_supports_feature:
      return Step{Action::forward, feature_reply(header, 1), {}};
    case Procedure::auth_list:
      VMSEC_CHECK(check_auth_list(message.payload()));
      return Step{Action::forward, message.bytes, {}};
    case Procedure::connect_open:
    case Procedure::connect_close:
    case Procedure::connect_register_close_callback:
    case Procedure::connect_unregister_close_callback:
      if (!message.payload().empty()) return senseless("has content where there is none");
      return Step{Action::forward, message.bytes, {}};
    case Procedure::domain_migrate_finish3_params:
      break;
  }
  return senseless("to a call that is not part of a migration");
}

Result<Step> SourceCalls::prepare_reply(const Message& message) {
  VMSEC_TRY(Migrate3PrepareReply reply, parse_prepare_reply(message.payload()));
  VMSEC_CHECK(check_cookie(domain_, reply.cookie, CookieOf::prepare, disks_));
  // Where our QEMU sends the guest's memory is not the destination's choice.
  reply.uri = data_uri_;
  prepared_ = true;
  return Step{Action::forward, encode(message.header, encode(reply)), {}};
}

Result<Step> SourceCalls::finish_reply(const Message& message) {
  std::string bytes = same_error(message.header, message.payload());
  if (message.header.is(Outcome::ok) && finish_ == FinishState::sent) {
    VMSEC_TRY(const Migrate3FinishReply reply, parse_finish_reply(message.payload()));
    if (reply.uuid != domain_.uuid || reply.name != domain_.name) return senseless("names another domain");
    VMSEC_CHECK(check_cookie(domain_, reply.cookie, CookieOf::finish, disks_));
    loaded_ = true;
    statistics_ = reply.cookie;
    bytes = encode(message.header, encode(reply));
  }
  outstanding_.reset();
  // refuse() has answered libvirtd already.
  if (finish_ == FinishState::answered) return Step{};
  if (finish_ == FinishState::cancelled && message.header.is(Outcome::ok))
    return senseless("a cancelled migration was loaded");
  finish_ = FinishState::answered;
  return Step{Action::forward, std::move(bytes), {}};
}

std::string SourceCalls::proceed() {
  finish_ = FinishState::sent;
  outstanding_ = finish_header_;
  return finish_bytes_;
}

SourceCalls::Refusal SourceCalls::refuse(const std::string& reason) {
  finish_ = FinishState::answered;
  refused_ = true;
  outstanding_ = finish_header_;
  return {with_cancelled(finish_bytes_), error_reply(finish_header_, reason)};
}

void SourceCalls::peer_lost() {
  peer_lost_ = true;
  if (finish_ == FinishState::sent) finish_ = FinishState::in_doubt;
}

std::string SourceCalls::answer_outstanding() {
  if (!outstanding_) return {};
  return answer_here(*std::exchange(outstanding_, std::nullopt));
}

std::string SourceCalls::answer_failed(const std::string& reason) {
  finish_ = FinishState::answered;
  return error_reply(finish_header_, reason);
}

std::string SourceCalls::answer_loaded() {
  finish_ = FinishState::answered;
  loaded_ = true;
  Migrate3FinishReply reply;
  reply.name = domain_.name;
  reply.uuid = domain_.uuid;
  reply.id = 1;
  Header header = finish_header_;
  header.type = static_cast<std::uint32_t>(Type::reply);
  return encode(header, encode(reply));
}

}  // namespace vmsec::kvm::rpc

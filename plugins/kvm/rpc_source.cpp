#include "rpc_source.hpp"

namespace vmsec::kvm::rpc {

namespace {

std::unexpected<Error> senseless(const std::string& cause) {
  return fail(Code::denied, "libvirt answer from the destination: " + cause);
}

// The same call with the order to destroy: `cancelled` is its last word.
std::string with_cancelled(std::string bytes) {
  bytes.back() = 1;
  return bytes;
}

}  // namespace

Step SourceCalls::answer_here(const Message& message) const {
  // What libvirtd does to end a connection; the rest cannot be answered.
  if (message.header.is(Procedure::connect_close) || message.header.is(Procedure::connect_unregister_close_callback))
    return {Action::answer, empty_reply(message.header), {}};
  return {Action::answer, error_reply(message.header, "the destination cannot be reached any more"), {}};
}

Step SourceCalls::from_libvirt(const Message& message) {
  if (is_keepalive_ping(message.header)) return {Action::answer, keepalive_pong(message.header), {}};
  const Header& header = message.header;
  if (header.program != kRemoteProgram || !header.is(Type::call)) return {};
  if (header.is(Procedure::domain_migrate_finish3_params)) {
    const auto call = parse_finish(message.payload());
    if (!call) return {Action::answer, error_reply(header, call.error().message), {}};
    finish_header_ = header;
    finish_bytes_ = message.bytes;
    statistics_ = call->cookie;
    if (call->cancelled == 0) {
      finish_ = FinishState::held;
      return {Action::hold, {}, {}};
    }
    finish_ = FinishState::cancelled;
  }
  if (peer_lost_) return answer_here(message);
  outstanding_ = header;
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
  outstanding_.reset();
  if (header.is(Procedure::domain_migrate_prepare3_params) && header.is(Outcome::ok)) return prepare_reply(message);
  return Step{Action::forward, message.bytes, {}};
}

Result<Step> SourceCalls::prepare_reply(const Message& message) {
  VMSEC_TRY(Migrate3PrepareReply reply, parse_prepare_reply(message.payload()));
  VMSEC_CHECK(check_cookie(nothing_, domain_, reply.cookie, CookieFrom::destination));
  // Where our QEMU sends the guest's memory is not the destination's choice.
  if (reply.uri) reply.uri = data_uri_;
  prepared_ = true;
  return Step{Action::forward, encode(message.header, encode(reply)), {}};
}

Result<Step> SourceCalls::finish_reply(const Message& message) {
  if (message.header.is(Outcome::ok) && finish_ == FinishState::sent) {
    VMSEC_TRY(const Migrate3FinishReply reply, parse_finish_reply(message.payload()));
    if (reply.uuid != domain_.uuid || reply.name != domain_.name) return senseless("names another domain");
    VMSEC_CHECK(check_cookie(nothing_, domain_, reply.cookie, CookieFrom::destination));
    loaded_ = true;
    statistics_ = reply.cookie;
  }
  outstanding_.reset();
  // refuse() has answered libvirtd already.
  if (finish_ == FinishState::answered) return Step{};
  if (finish_ == FinishState::cancelled && message.header.is(Outcome::ok))
    return senseless("a cancelled migration was loaded");
  finish_ = FinishState::answered;
  return Step{Action::forward, message.bytes, {}};
}

std::string SourceCalls::proceed() {
  finish_ = FinishState::sent;
  outstanding_ = finish_header_;
  return finish_bytes_;
}

SourceCalls::Refusal SourceCalls::refuse(const std::string& reason) {
  finish_ = FinishState::answered;
  outstanding_ = finish_header_;
  return {with_cancelled(finish_bytes_), error_reply(finish_header_, reason)};
}

void SourceCalls::peer_lost() {
  peer_lost_ = true;
  if (finish_ == FinishState::sent) finish_ = FinishState::in_doubt;
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

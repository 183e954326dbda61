// The source's side of the tunnelled libvirt connection: carries the calls of
// our own libvirtd to the peer, and decides when the last one, Finish, goes.
//
// What libvirtd gets as the answer to Finish decides who owns the guest: an
// error, or the end of the connection, and libvirt lets the guest go on here; a
// success, and it destroys it here. So the peer has no say in which calls
// libvirtd makes: the same few as at the destination, for features that are
// answered here, and each answer is of its call's one shape.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "domain_policy.hpp"
#include "rpc_filter.hpp"
#include "rpc_message.hpp"

namespace vmsec::kvm::rpc {

// How the Finish call stands.
enum class FinishState {
  none,       // libvirtd has not made it
  held,       // it waits for the gate's word
  sent,       // the peer has the order to load; its answer is not here
  in_doubt,   // the same, and the answer will not come: libvirtd is kept waiting
  cancelled,  // the peer has the order to destroy
  answered,   // libvirtd has its answer
};

// Pure: no descriptor, no clock. One thread.
class SourceCalls {
 public:
  // `disks`: whether the destination's cookies may speak of disks that are copied.
  SourceCalls(ExpectedDomain domain, std::string data_uri, CookieDisks disks = CookieDisks::none)
      : domain_(std::move(domain)), data_uri_(std::move(data_uri)), disks_(disks) {}

  // Action `refuse` never comes here: libvirtd is ours.
  Step from_libvirt(const Message& message);
  // An error: the peer says what makes no sense, and is not to be heard again.
  Result<Step> from_peer(const Message& message);

  // The gate's word, in state `held`: what the peer gets.
  std::string proceed();
  // In state `held`: `to_peer` orders it to destroy, `to_libvirt` ends the call.
  struct Refusal {
    std::string to_peer;
    std::string to_libvirt;
  };
  Refusal refuse(const std::string& reason);

  // The peer cannot be heard any more. From here on calls are answered here.
  void peer_lost();
  // After peer_lost(): what libvirtd gets for the call that it waits for; empty if there is none.
  std::string answer_outstanding();
  // In state `in_doubt`: the answer that libvirtd has waited for.
  std::string answer_failed(const std::string& reason);
  std::string answer_loaded();

  [[nodiscard]] FinishState finish() const { return finish_; }
  [[nodiscard]] bool prepared() const { return prepared_; }
  // The peer answered Finish with a success.
  [[nodiscard]] bool loaded() const { return loaded_; }
  // The last cookie with the migration's statistics.
  [[nodiscard]] const std::string& statistics() const { return statistics_; }

 private:
  // Empty: it may go to the peer.
  [[nodiscard]] std::string objection(const Message& message);
  [[nodiscard]] static std::string answer_here(const Header& header);
  Step finish_call(const Message& message);
  Step feature_call(const Message& message);
  Result<Step> checked_reply(const Message& message);
  Result<Step> finish_reply(const Message& message);
  Result<Step> prepare_reply(const Message& message);

  ExpectedDomain domain_;
  std::string data_uri_;
  CookieDisks disks_;
  std::optional<Header> outstanding_;
  std::map<std::uint32_t, int> seen_;
  Header finish_header_;
  std::string finish_bytes_;
  std::string statistics_;
  FinishState finish_ = FinishState::none;
  bool prepared_ = false;
  bool loaded_ = false;
  bool peer_lost_ = false;
  bool refused_ = false;  // the peer is only to destroy what it has
};

}  // namespace vmsec::kvm::rpc

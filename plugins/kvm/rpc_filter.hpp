// The destination's filter: what a source's libvirtd may ask of ours.
//
// Whoever may talk to libvirtd owns the host. So of a tunnelled connection only
// the calls of one peer-to-peer migration pass, in their order, with checked
// arguments, for one domain; the rest is refused, and the session ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "domain_policy.hpp"
#include "rpc_message.hpp"

namespace vmsec::kvm::rpc {

// What becomes of a message.
enum class Action {
  forward,  // `bytes` go on to the other side
  answer,   // `bytes` go back to where the message came from
  hold,     // the Finish call: wait for the gate's word
  refuse,   // `bytes` go back as the answer; the session fails because of `cause`
  drop,
};
struct Step {
  Action action = Action::drop;
  std::string bytes;
  std::string cause;
};

// How often the connection of a migration may make a call; 0: never.
int allowance(std::uint32_t procedure);

struct FilterSetup {
  ExpectedDomain domain;
  std::string configuration;  // the described domain, which the ticket is bound to
  IncomingPolicy policy;
  std::string data_uri;  // where our QEMU listens, whatever the source asks for
  std::uint32_t bulk_channels = 0;
  // Looks at the disks' images, once more, just before libvirtd is to open them.
  std::function<Status()> images;
  // Disks that are copied, by their targets and in their order: these and no others.
  std::vector<std::string> disks;
  std::string disks_uri;  // where our QEMU takes them, whatever the source asks for
  bool auto_converge = false;
  // The domain may be loaded running, its memory still at the source.
  bool post_copy = false;
  // And it is: what is left of its memory follows after all.
  bool recover = false;
};

// No descriptor, no clock. One thread.
class DestinationFilter {
 public:
  explicit DestinationFilter(FilterSetup setup) : setup_(std::move(setup)) {}

  Step from_peer(const Message& message);
  Step from_libvirt(const Message& message);

  // After `hold`: what libvirtd gets. `running` is for a session with post-copy whose COMMIT has come. A refused Finish
  // tells it to destroy what it has; answer_refused() is then the source's answer.
  enum class Load { paused, running };
  std::string proceed(Load load);
  std::string cancel();
  std::string answer_refused(const std::string& reason) const;

  [[nodiscard]] bool prepared() const { return prepared_; }        // libvirtd's QEMU listens
  [[nodiscard]] bool finish_sent() const { return finish_sent_; }  // with the order to load
  [[nodiscard]] bool loaded() const { return loaded_; }
  [[nodiscard]] bool finished() const { return finished_; }  // Finish was answered, either way
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  Status check_call(const Message& message);
  Status check_open(const Message& message);
  Status check_feature(const Message& message);
  Result<std::string> rewrite_prepare(const Message& message);
  Result<Migrate3Finish> check_finish(const Message& message);
  Status check_parameters(const std::vector<Parameter>& parameters, bool is_finish);
  Status check_disks(const std::vector<Parameter>& parameters, bool is_finish) const;
  [[nodiscard]] CookieDisks cookie_disks() const {
    return setup_.disks.empty() ? CookieDisks::none : CookieDisks::wanted;
  }
  Status check_flags(std::uint32_t flags) const;
  Step refuse(const Message& message, const std::string& cause) const;
  Step prepare_reply(const Message& message);
  void finish_reply(const Message& message);

  FilterSetup setup_;
  std::optional<Header> outstanding_;  // the one call that libvirtd has not answered
  std::map<std::uint32_t, int> seen_;
  std::string source_uri_;
  std::uint32_t flags_ = 0;
  Header finish_header_;
  Migrate3Finish finish_;
  bool prepared_ = false;
  bool finish_sent_ = false;
  bool finished_ = false;
  bool loaded_ = false;
  std::string failure_;
};

}  // namespace vmsec::kvm::rpc

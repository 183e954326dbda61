// The destination's engine: receives, checks, loads paused.
#pragma once

#include "data_reader.hpp"
#include "session.hpp"
#include "sim_host.hpp"

namespace vmsec::sim {

using common::Session;
using common::Stream;

class Incoming final : public Session {
 public:
  static std::shared_ptr<Incoming> start(SimHost& host, const PrepareIncoming& request, DomainSpec spec,
                                         std::shared_ptr<Machine> machine);
  Incoming(SimHost& host, const PrepareIncoming& request, DomainSpec spec, std::shared_ptr<Machine> machine);
  Result<ChannelEnd> open(const OpenChannel& request) override;

 private:
  struct Channel {
    std::shared_ptr<Stream> stream;
    std::thread reader;
    bool ended = false;  // with its end record
  };
  using ChannelName = std::pair<ChannelKind, std::uint32_t>;

  void run() override;
  void break_data() override;
  void read_channel(Channel& channel);
  void join_channels();

  // Each answers an error as long as nothing of the domain is here.
  Status begin();
  Result<Control> transfer();
  Status check(const Control& finish);
  Result<Limits> restore(Machine::Memory memory);
  // After the gate.
  void load(const Control& finish, const Limits& limits);
  // The same where its memory follows.
  void follow(const Control& finish, const Limits& limits);
  BehindPages::Ask ask();
  Status await_rest();
  void lose(const Error& why);
  void give_up(const Error& why);
  // Under the lock: every channel that the source announced has ended.
  [[nodiscard]] bool all_ended() const;

  SimHost& host_;
  const DomainSpec spec_;
  std::shared_ptr<Machine> machine_;  // the engine's
  Arrived arrived_;
  std::map<ChannelName, Channel> channels_;  // under the session's lock, but for the threads
  std::uint32_t bulk_ = 0;                   // how many the source announced
  bool refusing_ = false;                    // no more channels
  bool behind_ = false;                      // the source has said which pages are
};

}  // namespace vmsec::sim

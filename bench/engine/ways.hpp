// What carries one channel between the two engines: a socket as it is, or a sealed stream.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "stream.hpp"

namespace vmsec::bench {

struct Way {
  std::string name;
  bool sealed = false;
  migration::Suite suite{Cipher::none, migration::Accelerator::none};
  migration::StreamSuite stream = migration::StreamSuite::bulk;
};

// plain, none, evp, vaes, tls; with AES-128-GCM where something is encrypted. An error for another name, and for what
// this machine cannot do.
Result<Way> way_of(const std::string& name);

// Both ends of one channel, and the TCP connection between them, over the loopback interface.
class Carrier {
 public:
  virtual ~Carrier() = default;
  static Result<std::unique_ptr<Carrier>> connect(const Way& way, ChannelKind kind, std::uint32_t index, Fd source,
                                                  Fd destination);
};

}  // namespace vmsec::bench

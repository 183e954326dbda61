// The sessions that are under way in this process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "destination.hpp"
#include "source.hpp"

namespace vmsec::migration {

// Any thread.
class Sessions {
 public:
  explicit Sessions(Context& context) : context_(context) {}

  // `already_exists` while another migration of the domain is under way or not
  // decided, `limit_exceeded` beyond the policy's number.
  Result<std::shared_ptr<Board>> start_source(MigrateRequest request);
  // Takes up an outgoing one; whether it may be is the caller's to know.
  Result<std::shared_ptr<Board>> recover_source(const OwnershipRecord& record);
  Result<PrepareReply> start_destination(const PeerContext& from, PrepareRequest request);

  [[nodiscard]] std::shared_ptr<Source> source(const Uuid& migration);
  [[nodiscard]] std::shared_ptr<Source> source_of(const Uuid& domain);
  [[nodiscard]] std::shared_ptr<Destination> destination(const Uuid& migration);
  [[nodiscard]] std::vector<std::shared_ptr<Destination>> destinations();
  [[nodiscard]] bool live(const Uuid& migration, Side side);

 private:
  using Incoming = Result<std::shared_ptr<Destination>>;
  Status check_free(const Uuid& domain) const;
  Status check_place(const PrepareRequest& request) const;
  Incoming admit(const PeerContext& from, PrepareRequest request);
  Incoming admit_again(const PeerContext& from, PrepareRequest request);
  Status check_broken(const PeerContext& from, const PrepareRequest& request) const;
  Status check_room(const Uuid& migration) const;
  void reap();

  Context& context_;
  std::mutex mutex_;
  std::map<Uuid, std::shared_ptr<Source>> sources_;
  std::map<Uuid, std::shared_ptr<Destination>> destinations_;
};

}  // namespace vmsec::migration

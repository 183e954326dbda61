// The destination's side of a migration: our libvirtd behind a filter.
#pragma once

#include <optional>
#include <set>

#include "incoming_images.hpp"
#include "migration_session.hpp"
#include "rpc_filter.hpp"

namespace vmsec::kvm {

class DestinationSession final : public Session {
 public:
  static Result<std::shared_ptr<DestinationSession>> prepare(std::shared_ptr<Context> context,
                                                             const PrepareIncoming& request,
                                                             const IncomingPolicy& policy);
  ~DestinationSession() override;

  Result<Empty> decide(const GateDecision& decision) override;
  Result<Empty> cancel() override;
  Result<ChannelEnd> open(const OpenChannel& channel) override;
  Result<Empty> close() override;
  [[nodiscard]] bool outgoing() const override { return false; }

 private:
  DestinationSession(std::shared_ptr<Context> context, const PrepareIncoming& request, SessionFolder folder,
                     const IncomingPolicy& policy, const std::vector<CopiedDisk>& disks);

  void watch(std::vector<pollfd>& fds) override;
  void handle(const std::vector<pollfd>& fds) override;

  Result<ChannelEnd> open_control();
  Result<ChannelEnd> open_data(const OpenChannel& channel);
  Result<ChannelEnd> open_disk(const OpenChannel& channel);
  [[nodiscard]] Result<Fd> connect_to_qemu(const std::string& path) const;
  Status await_prepared(std::uint32_t place);
  Status await_recovery() const;
  Status make_images(const std::vector<CopiedDisk>& disks, const IncomingPolicy& policy,
                     const PrepareIncoming& request) const;

  void from_peer(const rpc::Message& message);
  void from_libvirt(const rpc::Message& message);
  void peer_closed(const std::string& why);
  void libvirt_closed();
  void refused(const std::string& cause);
  // libvirtd destroys what it prepared when its client is gone.
  void fail_session(const std::string& why);
  void loaded();
  // Whether nothing is left here; waits for libvirtd's clean-up.
  [[nodiscard]] bool is_gone() const;
  void finish(SessionEventKind kind, const std::string& detail);

  SessionFolder folder_;
  const std::string name_;
  const std::uint32_t bulk_channels_;
  const std::size_t disks_;  // that are copied: a channel each
  const IncomingImages images_;
  rpc::DestinationFilter filter_;
  RpcLink peer_;
  RpcLink libvirt_;
  bool control_opened_ = false;
  bool held_ = false;  // Finish waits at the gate
  std::optional<std::string> refusal_;
  const bool recovers_;  // what its post-copy has left here stays, whatever comes
  bool runs_ = false;    // libvirt was told to load it running

  std::mutex data_mutex_;
  std::condition_variable data_changed_;
  bool prepared_ = false;
  std::uint32_t opened_ = 0;  // data channels: main is the first, bulk follow
  std::set<std::uint32_t> opened_disks_;
};

// The images of one migration, by this host's settings.
IncomingImages incoming_images(const Context& context, const IncomingPolicy& policy, const Uuid& migration);

// Where libvirtd listens: the URI's "socket=", else the setting libvirt_socket.
std::string libvirt_socket(const Context& context);

}  // namespace vmsec::kvm

// The source's side of a migration: libvirt's call, and who is told what of it.
#pragma once

#include <optional>

#include "migration_session.hpp"
#include "qemu_process.hpp"
#include "rpc_source.hpp"

namespace vmsec::kvm {

// Threads: the pump, and one that sits in virDomainMigrateToURI3 until it ends.
class SourceSession final : public Session {
 public:
  // `description` is the domain's as it is now; `disks`: those that are copied, by their targets.
  static Result<std::shared_ptr<SourceSession>> start(std::shared_ptr<Context> context, const StartOutgoing& request,
                                                      const DomainDescription& description,
                                                      std::vector<std::string> disks);
  ~SourceSession() override;

  Result<SessionEvent> next(Microseconds wait) override;
  Result<Empty> decide(const GateDecision& decision) override;
  Result<Empty> cancel() override;
  Result<Empty> close() override;
  // As Migration's.
  Result<Empty> start_post_copy();
  [[nodiscard]] bool outgoing() const override { return true; }

  // Ends a doubt: libvirt gets the answer that it waits for. Waits for what it
  // makes of it.
  enum class Resolution { guest_goes_on_here, guest_is_loaded_there };
  Result<Empty> resolve(Resolution resolution);
  // libvirt waits for an answer that only resolve() gives.
  [[nodiscard]] bool waits_for_resolution() const { return in_doubt_; }
  // The guest was paused before the migration began, and stays so.
  [[nodiscard]] bool was_paused() const { return was_paused_; }

 private:
  SourceSession(std::shared_ptr<Context> context, const StartOutgoing& request, SessionFolder folder,
                const DomainDescription& description, std::vector<std::string> disks);

  void watch(std::vector<pollfd>& fds) override;
  void handle(const std::vector<pollfd>& fds) override;

  Status listen();
  Status start_call(const StartOutgoing& request);
  void call(const DomainPtr& domain, const StartOutgoing& request, bool persistent);

  void accept_libvirt();
  void accept_qemu();
  void accept_disk();
  void drop_disks();
  // Whether this process may be the one that sends the guest.
  [[nodiscard]] bool sends_guest(const PeerProcess& peer) const;
  void from_libvirt(const rpc::Message& message);
  void from_peer(const rpc::Message& message);
  void note_statistics();
  // The destination has the guest whole, and libvirt waits for that word: gives it, and ends this copy for good.
  void end_copy(const std::string& answer);
  void libvirt_closed();
  void peer_closed(const std::string& why);
  void refuse_held(const std::string& reason);
  Status cancel_in_pump(bool& abort);

  // After the call: what libvirt says that the domain is, and what follows.
  void conclude(bool succeeded, const std::string& message);
  void conclude_failed(const Holding& here, const std::string& message);
  void finish(SessionEventKind kind, const std::string& detail);

  SessionFolder folder_;
  const DomainDescription description_;
  const std::uint32_t bulk_channels_;
  const std::vector<std::string> disks_;
  rpc::SourceCalls calls_;
  QemuProcess qemu_;       // not valid where it could not be found
  pid_t libvirt_pid_ = 0;  // of the libvirtd that makes the calls
  Fd rpc_listener_;
  Fd data_listener_;
  Fd disk_listener_;
  std::atomic<std::size_t> taken_disks_ = 0;  // whose channels next() has told
  std::vector<Fd> disk_ends_;                 // QEMU's connections, once more: to end what nobody answers
  RpcLink libvirt_;
  RpcLink peer_;
  std::uint32_t accepted_ = 0;
  bool cancelled_ = false;
  std::atomic<bool> done_ = false;  // was said
  bool told_ = false;               // libvirt has read that the destination has the guest
  bool starts_by_itself_ = false;   // libvirt's autostart
  std::string peer_loss_;
  std::string refusal_;  // why the gate was refused
  std::atomic<bool> in_doubt_ = false;
  std::atomic<bool> was_paused_ = false;
  std::atomic<bool> post_copy_ = false;  // has begun, or may have
  std::shared_ptr<Connection> call_connection_;
  std::thread call_thread_;
};

}  // namespace vmsec::kvm

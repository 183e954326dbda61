// Every message and every interface of the public headers: a new one is added here and in proto/.
#pragma once

#include "vmsec/capability/boot_evidence.hpp"
#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/events.hpp"
#include "vmsec/capability/interchange.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/memory_access.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/authority.hpp"
#include "vmsec/service/enforcement.hpp"
#include "vmsec/service/error_reply.hpp"
#include "vmsec/service/grants.hpp"
#include "vmsec/service/guest_attestation.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/service/inspection.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/service/migrator.hpp"
#include "vmsec/service/modules.hpp"
#include "vmsec/service/peers.hpp"
#include "vmsec/service/records.hpp"
#include "vmsec/settings.hpp"
#include "vmsec/wire.hpp"
#include "worker/messages.hpp"

namespace vmsec::test {

template <class... T>
struct TypeList {
  static constexpr std::size_t kSize = sizeof...(T);
  template <class Visit>
  static void for_each(Visit&& visit) {
    (visit.template operator()<T>(), ...);
  }
};

using AllMessages = TypeList<
    Empty, ErrorReply, Setting, Settings, Finding, Findings, OpenHandle, HandleReply, Disk, Nic, DomainInfo, DomainList,
    DomainRef, VcpuPin, ResourceLimits, SetResources, HostResources, DiskLimit, NicLimit, IoLimits, SetDiskLimit,
    SetNicLimit, IoCounters, IoStatistics, MemoryRegion, MemoryMap, ReadMemory, MemoryBytes, HostEvidence, GuestRequest,
    GuestReply, Event, NextEvents, EventList, DescribedDisk, DomainDescription, MigrationOptions, SessionRef,
    StartOutgoing, PrepareIncoming, OpenChannel, ChannelEnd, NextSessionEvent, SessionEvent, GateDecision,
    TransferProgress, Holding, DefinedDisk, DefinedNic, Boot, DomainDefinition, Loss, Translation, ExportedDomain,
    DefineDomain, AuditEntry, LogLine, Record, RecordKey, RecordList, CallModule, ModuleReply, PeerContext, ConnectPeer,
    ConnectionRef, CallPeer, PeerReply, OpenStream, StreamEnd, IncomingCall, IncomingStream, StreamReady, TicketClaims,
    SignedTicket, SpendTicket, EnforcementTarget, Change, Changes, InspectionTarget, Observation, Measurement,
    InspectionReport, AttestHost, PcrValue, AttestationReport, EnrolHost, Enrolment, LearnReference, ReferenceText,
    VerdictQuery, HostVerdict, VerdictList, NextVerdicts, AttestationChange, AttestationChanges, RevokeHost, EnrolGuest,
    GuestRef, ReleaseSecret, SecretRelease, MigrateRequest, MigrationRef, MigrationStatus, MigrationList,
    ResolveMigration, SetMigration, CapabilityInfo, ModuleInfo, ModuleRestart, PluginInfo, HostInfo, PolicyText,
    DomainChanges, GrantChange, PolicyReport, Withdrawal, GrantRevocation, GrantRestoration, GrantInfo, GrantList,
    TenantRef, TenantChoice, ChoiceInfo, TenantDomain, TenantInfo, TenantList, worker::Frame, worker::Setup>;

using AllInterfaces = TypeList<DomainControl, ResourceControl, IoControl, MemoryAccess, BootEvidence, Events,
                               Interchange, Migration, Journal, Records, Modules, Peers, PeerHandler, Authority,
                               Enforcement, Inspection, Attestation, GuestAttestation, Migrator, HostControl>;

}  // namespace vmsec::test

// The contract of a migration's session, without a second host: what a session that goes nowhere leaves behind.
#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

Uuid migration_id(std::uint8_t number) {
  std::array<std::uint8_t, 16> bytes{0x7f, 0x0c, 0x4f, 0x0e, 0x8d, 0x5c, 0x4a, 0x57, 0x9d};
  bytes[15] = number;
  return Uuid(bytes);
}

// Waits for the session's end; closes what it hands out meanwhile.
Result<SessionEvent> end_of(Migration& migration, const SessionRef& session) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (std::chrono::steady_clock::now() < until) {
    VMSEC_TRY(auto event, migration.next({session.migration, session.domain, {200'000}}));
    if (event.kind == SessionEventKind::failed || event.kind == SessionEventKind::done ||
        event.kind == SessionEventKind::doubt)
      return event;
  }
  return fail(Code::timeout, "the session has not ended");
}

Status runs_here(Fixture& fixture, const Uuid& domain) {
  VMSEC_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  if (info.state == DomainState::running) return {};
  return fail(Code::wrong_state, "the domain does not run");
}

// Starts to send the traveller to nobody.
template <class Test>
Outcome with_outgoing(Fixture& fixture, std::uint8_t number, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  const SessionRef session{migration_id(number), domain};
  const auto migration = fixture.open_a<Migration>();
  CONFORMANCE_CHECK(migration->start({session.migration, domain, {}}));
  const Outcome outcome = test(*migration, session);
  static_cast<void>(migration->cancel(session));
  const auto end = end_of(*migration, session);
  CONFORMANCE_CHECK(migration->close(session));
  if (!end) return from_error(end.error());
  CONFORMANCE_EXPECT(end->kind == SessionEventKind::failed,
                     "a session that nobody received did not fail: " + end->detail);
  CONFORMANCE_CHECK(runs_here(fixture, domain));
  return outcome;
}

// Makes host b ready for the traveller, which does not come.
template <class Test>
Outcome with_incoming(Fixture& fixture, std::uint8_t number, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  const SessionRef session{migration_id(number), domain};
  const auto migration = fixture.open_b<Migration>();
  CONFORMANCE_CHECK(migration->prepare({session.migration, domain, description, {}}));
  const Outcome outcome = test(*migration, session);
  static_cast<void>(migration->cancel(session));
  const auto end = end_of(*migration, session);
  CONFORMANCE_CHECK(migration->close(session));
  CONFORMANCE_CHECK(migration->discard(session));
  if (!end) return from_error(end.error());
  CONFORMANCE_EXPECT(end->kind == SessionEventKind::failed, "it did not fail: " + end->detail);
  CONFORMANCE_EXPECT(!fixture.open_b<DomainControl>()->get({domain}), "something of it is left");
  return outcome;
}

Outcome cancelled_source_goes_on(Fixture& fixture) {
  return with_outgoing(fixture, 1, [](Migration&, const SessionRef&) { return passed(); });
}

Outcome source_is_busy(Fixture& fixture) {
  return with_outgoing(fixture, 2, [&](Migration& migration, const SessionRef& session) {
    CONFORMANCE_TRY(const auto holding, migration.holding(session));
    CONFORMANCE_EXPECT(holding.present && holding.migrating, "it does not say that it is under way");
    return passed();
  });
}

Outcome second_session(Fixture& fixture) {
  return with_outgoing(fixture, 3, [&](Migration& migration, const SessionRef& session) {
    const Outcome same = expect(Code::already_exists, migration.start({session.migration, session.domain, {}}));
    if (same.verdict != Verdict::passed) return same;
    return expect(Code::already_exists, migration.start({migration_id(99), session.domain, {}}));
  });
}

Outcome decision_before_the_gate(Fixture& fixture) {
  return with_outgoing(fixture, 4, [](Migration& migration, const SessionRef& session) {
    return expect(Code::wrong_state, migration.decide({session.migration, session.domain, true, {}}));
  });
}

Outcome resolving_under_way(Fixture& fixture) {
  return with_outgoing(fixture, 5, [](Migration& migration, const SessionRef& session) {
    return expect(Code::wrong_state, migration.release(session));
  });
}

Outcome other_domains_session(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid other, fixture.domain());
  return with_outgoing(fixture, 6, [&](Migration& migration, const SessionRef& session) {
    return expect(Code::not_found, migration.next({session.migration, other, {}}));
  });
}

Outcome source_opens_channels(Fixture& fixture) {
  return with_outgoing(fixture, 7, [](Migration& migration, const SessionRef& session) {
    for (int round = 0; round < 300; ++round) {
      CONFORMANCE_TRY(auto event, migration.next({session.migration, session.domain, {100'000}}));
      if (event.kind != SessionEventKind::channel) continue;
      CONFORMANCE_EXPECT(event.channel == ChannelKind::control && event.fd.valid(), "the first one is not control");
      return passed();
    }
    return failed("no channel came");
  });
}

Outcome lost_channel(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  const SessionRef session{migration_id(8), domain};
  const auto migration = fixture.open_a<Migration>();
  CONFORMANCE_CHECK(migration->start({session.migration, domain, {}}));
  // Each channel is closed as soon as it comes: the other host has died.
  const auto end = end_of(*migration, session);
  CONFORMANCE_CHECK(migration->close(session));
  if (!end) return from_error(end.error());
  CONFORMANCE_EXPECT(end->kind == SessionEventKind::failed && !end->detail.empty(), "it did not fail, or not say why");
  CONFORMANCE_CHECK(runs_here(fixture, domain));
  return passed(end->detail);
}

Outcome cancelled_destination_is_empty(Fixture& fixture) {
  return with_incoming(fixture, 20, [](Migration&, const SessionRef&) { return passed(); });
}

Outcome prepared_again(Fixture& fixture) {
  const auto nothing = [](Migration&, const SessionRef&) { return passed(); };
  const Outcome first = with_incoming(fixture, 21, nothing);
  return first.verdict == Verdict::passed ? with_incoming(fixture, 22, nothing) : first;
}

Outcome prepared_twice(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  return with_incoming(fixture, 23, [&](Migration& migration, const SessionRef& session) {
    return expect(Code::already_exists, migration.prepare({session.migration, domain, description, {}}));
  });
}

Outcome activated_too_early(Fixture& fixture) {
  return with_incoming(fixture, 24, [&](Migration& migration, const SessionRef& session) {
    const auto activated = migration.activate(session);
    CONFORMANCE_EXPECT(!activated, "it says that a guest runs of which not a byte came");
    return passed(std::string(to_string(activated.error().code)));
  });
}

Outcome unknown_channel(Fixture& fixture) {
  return with_incoming(fixture, 25, [&](Migration& migration, const SessionRef& session) {
    const auto opened = migration.open({session.migration, session.domain, static_cast<ChannelKind>(77), 0});
    CONFORMANCE_EXPECT(!opened && !opened.error().message.empty(), "a channel of no kind was opened");
    return passed(opened.error().message);
  });
}

Outcome foreign_format(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(auto description, fixture.open_a<Migration>()->describe({domain}));
  description.format = "vmx";
  const auto prepared = fixture.open_b<Migration>()->prepare({migration_id(30), domain, description, {}});
  CONFORMANCE_EXPECT(!prepared, "it takes a format that it cannot know");
  CONFORMANCE_EXPECT(prepared.error().message.contains("vmx") || prepared.error().code == Code::invalid_argument,
                     prepared.error().message);
  return passed(prepared.error().message);
}

Outcome spoiled_configuration(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(auto description, fixture.open_a<Migration>()->describe({domain}));
  description.configuration.resize(description.configuration.size() / 2);
  const auto prepared = fixture.open_b<Migration>()->prepare({migration_id(31), domain, description, {}});
  CONFORMANCE_EXPECT(!prepared, "it takes half of a configuration");
  CONFORMANCE_EXPECT(!fixture.open_b<DomainControl>()->get({domain}), "something of it is there");
  return passed(prepared.error().message);
}

Outcome another_domains_description(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  return expect(Code::invalid_argument,
                fixture.open_b<Migration>()->prepare({migration_id(32), stranger(), description, {}}));
}

Outcome too_many_channels(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  MigrationOptions options;
  options.bulk_channels = 1'000'000;
  const auto started = fixture.open_a<Migration>()->start({migration_id(33), domain, options});
  CONFORMANCE_EXPECT(!started, "a million channels are taken");
  CONFORMANCE_CHECK(runs_here(fixture, domain));
  return passed(started.error().message);
}

// What resolving does where there is nothing to resolve.
template <class Call>
Outcome nothing_here(Fixture& fixture, Call&& call) {
  CONFORMANCE_CHECK(call(*fixture.open_a<Migration>(), SessionRef{migration_id(40), stranger()}));
  return passed();
}

Outcome reclaim_of_running(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<Migration>()->reclaim({migration_id(41), domain}));
  CONFORMANCE_CHECK(runs_here(fixture, domain));
  return passed();
}

Outcome hold_twice(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto migration = fixture.open_a<Migration>();
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  CONFORMANCE_CHECK(migration->hold({migration_id(42), domain}));
  CONFORMANCE_CHECK(migration->hold({migration_id(42), domain}));
  CONFORMANCE_CHECK(migration->reclaim({migration_id(42), domain}));
  CONFORMANCE_CHECK(runs_here(fixture, domain));
  return passed();
}

}  // namespace

void add_sessions(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"Migration", std::move(claim), std::move(run)});
  };
  add("a source that is cancelled goes on", cancelled_source_goes_on);
  add("a source says that it is under way", source_is_busy);
  add("a domain has one session", second_session);
  add("a decision before the gate is refused", decision_before_the_gate);
  add("nothing is resolved while it is under way", resolving_under_way);
  add("a session is its domain's only", other_domains_session);
  add("the source opens its control channel first", source_opens_channels);
  add("a source whose channels die goes on", lost_channel);
  add("a destination that is cancelled is empty", cancelled_destination_is_empty);
  add("what was cancelled can be prepared again", prepared_again);
  add("what is prepared is not prepared again", prepared_twice);
  add("a guest that has not come cannot be activated", activated_too_early);
  add("a channel of no kind is refused", unknown_channel);
  add("a description in another's format is refused", foreign_format);
  add("half a configuration is refused, and leaves nothing", spoiled_configuration);
  add("another domain's description is refused", another_domains_description);
  add("a million channels are refused before the guest is touched", too_many_channels);
  add("discarding what is not there is done",
      [](Fixture& f) { return nothing_here(f, [](Migration& m, const SessionRef& s) { return m.discard(s); }); });
  add("releasing what is not there is done",
      [](Fixture& f) { return nothing_here(f, [](Migration& m, const SessionRef& s) { return m.release(s); }); });
  add("activating a stranger is not_found", [](Fixture& f) {
    return expect(Code::not_found, f.open_a<Migration>()->activate({migration_id(43), stranger()}));
  });
  add("reclaiming a stranger is not_found", [](Fixture& f) {
    return expect(Code::not_found, f.open_a<Migration>()->reclaim({migration_id(44), stranger()}));
  });
  add("close without a session is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<Migration>()->close({migration_id(45), stranger()})); });
  add("reclaiming what runs leaves it running", reclaim_of_running);
  add("holding twice is holding once", hold_twice);
}

}  // namespace vmsec::conformance

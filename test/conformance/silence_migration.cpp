// The calls of a migration's session: at a destination that only gets as far as being
// prepared, and by a domain that the migration module has moved.
#include "silence.hpp"

namespace vmsec::conformance {
namespace {

const Uuid kSession = *Uuid::parse("3d2c9f10-51c1-4c65-8a52-6f3b6f0d1e99");

Outcome description_is_whole(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  CONFORMANCE_EXPECT(description.domain == domain && !description.configuration.empty(), "no configuration");
  return passed();
}

Outcome holding_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto holding, fixture.open_a<Migration>()->holding({kSession, domain}));
  CONFORMANCE_EXPECT(holding.present, "it says that the domain is not here");
  return passed();
}

Outcome hold_and_reclaim(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  const auto migration = fixture.open_a<Migration>();
  (void)migration->reclaim({kSession, domain});  // a muted reclaim left it held
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_CHECK(migration->hold({kSession, domain}));
  const auto resumed = domains->resume({domain});
  CONFORMANCE_CHECK(migration->reclaim({kSession, domain}));
  CONFORMANCE_TRY(const auto info, domains->get({domain}));
  CONFORMANCE_EXPECT(!resumed, "a held domain was resumed");
  CONFORMANCE_EXPECT(info.state == DomainState::running, "reclaimed, it does not run");
  return passed();
}

Outcome hold_and_unhold(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  const auto migration = fixture.open_a<Migration>();
  (void)migration->reclaim({kSession, domain});  // a muted unhold left it held
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_CHECK(migration->hold({kSession, domain}));
  CONFORMANCE_CHECK(migration->unhold({kSession, domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  CONFORMANCE_TRY(const auto info, domains->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "resumed, it does not run");
  return passed();
}

// Is there a session at the destination?
bool has_session(Fixture& fixture, const Uuid& domain) {
  const auto event = fixture.open_b<Migration>()->progress({kSession, domain});
  return event || event.error().code != Code::not_found;
}

bool has_failed(Fixture& fixture, const Uuid& domain) {
  const auto event = fixture.open_b<Migration>()->next({kSession, domain, {100'000}});
  return event && event->kind == SessionEventKind::failed;
}

// Prepares the destination, cancels that and closes it, and looks at the session after each step.
Outcome session_goes(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  const auto destination = fixture.open_b<Migration>();
  if (has_session(fixture, domain)) (void)destination->close({kSession, domain});  // a muted close left it
  CONFORMANCE_EXPECT(!has_session(fixture, domain), "there is a session before prepare");
  CONFORMANCE_CHECK(destination->prepare({kSession, domain, description, {}}));
  const bool prepared = has_session(fixture, domain);
  CONFORMANCE_CHECK(destination->cancel({kSession, domain}));
  const bool cancelled = prepared && wait_until([&] { return has_failed(fixture, domain); }, std::chrono::seconds(5));
  CONFORMANCE_CHECK(destination->close({kSession, domain}));
  CONFORMANCE_EXPECT(prepared, "there is no session after prepare");
  CONFORMANCE_EXPECT(cancelled, "the session does not fail after cancel");
  CONFORMANCE_EXPECT(!has_session(fixture, domain), "there is a session after close");
  return passed();
}

template <class Call>
std::function<Outcome(Fixture&)> never_yes(Call call) {
  return [call](Fixture& fixture) {
    CONFORMANCE_TRY(const Uuid domain, fixture.domain());
    CONFORMANCE_EXPECT(!call(*fixture.open_b<Migration>(), domain), "without a session it says yes");
    return passed();
  };
}

// The module's migration has called start, open, next, decide, activate and release. Had one of
// them done nothing, the domain would not have gone from one host to the other.
Outcome traveller_has_moved(Fixture& fixture) {
  CONFORMANCE_TRY(const auto there, fixture.open_b<DomainControl>()->list({}));
  bool runs = false;
  for (const auto& info : there.domains)
    runs = runs || (info.name == fixture.setup().traveller && info.state == DomainState::running);
  CONFORMANCE_EXPECT(runs, "the traveller does not run at the destination");
  CONFORMANCE_EXPECT(!fixture.find(fixture.setup().traveller), "the traveller is still at the source");
  return passed();
}

// Ends the traveller: nothing after this needs it.
Outcome discard_destroys(Fixture& fixture) {
  CONFORMANCE_TRY(const auto there, fixture.open_b<DomainControl>()->list({}));
  Uuid traveller;
  for (const auto& info : there.domains)
    if (info.name == fixture.setup().traveller) traveller = info.domain;
  CONFORMANCE_CHECK(fixture.open_b<DomainControl>()->pause({traveller}));
  CONFORMANCE_CHECK(fixture.open_b<Migration>()->discard({kSession, traveller}));
  const auto left = fixture.open_b<DomainControl>()->get({traveller});
  CONFORMANCE_EXPECT(!left && left.error().code == Code::not_found, "it is still there");
  return passed();
}

}  // namespace

Outcome migration_calls_act(Fixture& fixture) {
  const auto main = ChannelKind::main;
  return every_call<Migration>(
      fixture,
      {{"Describe", description_is_whole},
       {"Start", never_yes([](Migration& m, const Uuid& d) { return m.start({kSession, d, {}}).has_value(); })},
       {"Start", traveller_has_moved, Caller::module},
       {"Prepare", session_goes},
       {"Open", never_yes([=](Migration& m, const Uuid& d) { return m.open({kSession, d, main, 0}).has_value(); })},
       {"Open", traveller_has_moved, Caller::module},
       {"Next", never_yes([](Migration& m, const Uuid& d) { return m.next({kSession, d, {}}).has_value(); })},
       {"Decide", never_yes([](Migration& m, const Uuid& d) { return m.decide({kSession, d, true, {}}).has_value(); })},
       {"Decide", traveller_has_moved, Caller::module},
       {"StartPostCopy",
        never_yes([](Migration& m, const Uuid& d) { return m.start_post_copy({kSession, d}).has_value(); })},
       {"Progress", never_yes([](Migration& m, const Uuid& d) { return m.progress({kSession, d}).has_value(); })},
       {"Cancel", session_goes},
       {"Close", session_goes},
       {"Holding", holding_is_told},
       {"Hold", hold_and_reclaim},
       {"Unhold", hold_and_unhold},
       {"Activate", traveller_has_moved, Caller::module},
       {"Reclaim", hold_and_reclaim},
       {"Release", traveller_has_moved, Caller::module},
       {"Discard", discard_destroys}});
}

}  // namespace vmsec::conformance

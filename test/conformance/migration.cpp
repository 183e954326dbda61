#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

const Uuid kMigration = *Uuid::parse("7f0c4f0e-8d5c-4a57-9d0b-3f0e1d2c4b5a");

Outcome describe_is_stable(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto first, fixture.open_a<Migration>()->describe({domain}));
  CONFORMANCE_TRY(const auto second, fixture.open_a<Migration>()->describe({domain}));
  CONFORMANCE_EXPECT(first.domain == domain && first.name == fixture.setup().domain, "it describes another domain");
  CONFORMANCE_EXPECT(!first.format.empty() && !first.configuration.empty(), "no configuration");
  CONFORMANCE_EXPECT(first.configuration == second.configuration, "two descriptions differ");
  return passed(first.format);
}

Outcome holding_of_running(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto holding, fixture.open_a<Migration>()->holding({kMigration, domain}));
  CONFORMANCE_EXPECT(holding.present && holding.state == DomainState::running && !holding.migrating,
                     "it does not say that the domain runs here");
  return passed();
}

Outcome holding_of_stranger(Fixture& fixture) {
  CONFORMANCE_TRY(const auto holding, fixture.open_a<Migration>()->holding({kMigration, stranger()}));
  CONFORMANCE_EXPECT(!holding.present, "it says that a stranger is here");
  return passed();
}

Outcome prepare_of_own_domain(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto description, fixture.open_a<Migration>()->describe({domain}));
  return expect(Code::already_exists, fixture.open_a<Migration>()->prepare({kMigration, domain, description, {}}));
}

Outcome hold_keeps_from_running(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  const auto migration = fixture.open_a<Migration>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_CHECK(migration->hold({kMigration, domain}));
  const Outcome outcome = expect(Code::wrong_state, domains->resume({domain}));
  CONFORMANCE_CHECK(migration->reclaim({kMigration, domain}));
  CONFORMANCE_TRY(const auto info, domains->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "reclaim did not let it run");
  return outcome;
}

Outcome discard_of_running(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const Outcome outcome = expect(Code::wrong_state, fixture.open_a<Migration>()->discard({kMigration, domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "the running domain was harmed");
  return outcome;
}

Outcome release_of_running(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const Outcome outcome = expect(Code::wrong_state, fixture.open_a<Migration>()->release({kMigration, domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "the running domain was harmed");
  return outcome;
}

template <class Call>
std::function<Outcome(Fixture&)> without_session(Call call) {
  return [call](Fixture& fixture) {
    CONFORMANCE_TRY(const Uuid domain, fixture.domain());
    return expect(Code::not_found, call(*fixture.open_a<Migration>(), domain));
  };
}

}  // namespace

void add_migration(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"Migration", std::move(claim), std::move(run)});
  };
  add("a description is stable and whole", describe_is_stable);
  add("holding tells that a domain runs here", holding_of_running);
  add("holding tells that a stranger is not here", holding_of_stranger);
  add("a domain that is here is not prepared again", prepare_of_own_domain);
  add("a held domain does not resume until reclaimed", hold_keeps_from_running);
  add("discard never destroys a running domain", discard_of_running);
  add("release never destroys a running domain", release_of_running);
  add("next without a session is not_found",
      without_session([](Migration& m, const Uuid& d) { return m.next({kMigration, d, {}}); }));
  add("decide without a session is not_found",
      without_session([](Migration& m, const Uuid& d) { return m.decide({kMigration, d, true, {}}); }));
  add("open without a session is not_found",
      without_session([](Migration& m, const Uuid& d) { return m.open({kMigration, d, ChannelKind::main, 0}); }));
  add("progress without a session is not_found",
      without_session([](Migration& m, const Uuid& d) { return m.progress({kMigration, d}); }));
  add("cancel without a session is not_found",
      without_session([](Migration& m, const Uuid& d) { return m.cancel({kMigration, d}); }));
  add("describe of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<Migration>()->describe({stranger()})); });
  add("start of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<Migration>()->start({kMigration, stranger(), {}})); });
}

}  // namespace vmsec::conformance

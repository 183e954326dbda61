// The plugin over libvirt's own test driver, which lives in this process: no
// daemon, no QEMU.
#include <catch2/catch.hpp>
#include <csignal>

#include "context.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

namespace {

std::shared_ptr<Context> fresh() {
  auto context = std::make_shared<Context>();
  auto connection = Connection::open("test:///default");
  REQUIRE(connection);
  context->connection = *connection;
  return context;
}

}  // namespace

TEST_CASE("domains are listed, paused and resumed, and each may be repeated") {
  const auto context = fresh();
  const auto control = *make_domain_control(context);
  const auto list = control->list({});
  REQUIRE(list);
  REQUIRE(list->domains.size() == 1);
  const DomainInfo& domain = list->domains.front();
  CHECK(domain.name == "test");
  CHECK(domain.state == DomainState::running);
  for (int i = 0; i < 2; ++i) CHECK(control->pause({domain.domain}));
  CHECK(control->get({domain.domain})->state == DomainState::paused);
  for (int i = 0; i < 2; ++i) CHECK(control->resume({domain.domain}));
  CHECK(control->get({domain.domain})->state == DomainState::running);
}

TEST_CASE("a domain that a migration holds is neither resumed nor paused") {
  const auto context = fresh();
  const auto control = *make_domain_control(context);
  const Uuid domain = control->list({})->domains.front().domain;
  REQUIRE(control->pause({domain}));
  context->held.hold(domain, domain);
  CHECK(control->resume({domain}).error().code == Code::wrong_state);
  CHECK(control->pause({domain}).error().code == Code::wrong_state);
  CHECK(control->get({domain})->state == DomainState::paused);
  context->held.release(domain);
  CHECK(control->resume({domain}));
}

TEST_CASE("a domain that is not there is not found, one that is shut off is in the wrong state") {
  const auto context = fresh();
  const auto control = *make_domain_control(context);
  CHECK(control->get({Uuid()}).error().code == Code::not_found);
  CHECK(control->pause({Uuid()}).error().code == Code::not_found);
  const Uuid uuid = control->list({})->domains.front().domain;
  const auto domain = context->connection->domain(uuid, "test");
  REQUIRE(domain);
  REQUIRE(virDomainDestroy(domain->get()) == 0);
  CHECK(control->get({uuid})->state == DomainState::shut_off);
  CHECK(control->pause({uuid}).error().code == Code::wrong_state);
  CHECK(control->resume({uuid}).error().code == Code::wrong_state);
  const auto resources = *make_resource_control(context);
  CHECK(resources->get({uuid}).error().code == Code::wrong_state);
  const auto io = *make_io_control(context);
  CHECK(io->get({uuid}).error().code == Code::wrong_state);
  CHECK(io->set_disk({uuid, {.target = "vda"}}).error().code == Code::wrong_state);
}

TEST_CASE("a type of domains that is neither kvm nor qemu is refused, by the setting's name") {
  const auto context = fresh();
  context->options.settings["domain_type"] = "xen";
  const auto interchange = make_interchange(context);
  REQUIRE_FALSE(interchange);
  CHECK(interchange.error().message.contains("domain_type"));
  context->options.settings["domain_type"] = "qemu";
  CHECK(make_interchange(context));
}

TEST_CASE("where libvirt makes no domains of our kind, nothing is translated or defined") {
  const auto context = fresh();
  const auto interchange = *make_interchange(context);
  CHECK(interchange->translate({}).error().code == Code::invalid_argument);
  DefineDomain request;
  request.definition.domain = request.domain = Uuid({1});
  request.definition.name = "web";
  request.definition.vcpus = request.definition.vcpus_maximum = 1;
  request.definition.memory.value = 1 << 20;
  CHECK(interchange->translate(request.definition).error().code == Code::unsupported);
  CHECK(interchange->define(request).error().code == Code::unsupported);
}

TEST_CASE("a running domain is neither started nor undefined") {
  const auto context = fresh();
  const auto interchange = *make_interchange(context);
  const auto control = *make_domain_control(context);
  const Uuid domain = control->list({})->domains.front().domain;
  CHECK(interchange->start({domain}).error().code == Code::wrong_state);
  CHECK(interchange->undefine({domain}).error().code == Code::wrong_state);
  CHECK(control->get({domain})->state == DomainState::running);
}

TEST_CASE("what happens to a domain is told") {
  const auto context = fresh();
  const auto events = *make_events(context);
  const auto control = *make_domain_control(context);
  const Uuid domain = control->list({})->domains.front().domain;
  REQUIRE(control->pause({domain}));
  const auto paused = events->next({0, {30'000'000}, 0});
  REQUIRE(paused);
  REQUIRE(paused->events.size() == 1);
  CHECK(paused->events[0].kind == EventKind::domain_paused);
  CHECK(paused->events[0].domain == domain);
  CHECK(paused->events[0].name == "test");
  REQUIRE(control->resume({domain}));
  const auto resumed = events->next({paused->last, {30'000'000}, 0});
  REQUIRE(resumed);
  REQUIRE(resumed->events.size() == 1);
  CHECK(resumed->events[0].kind == EventKind::domain_resumed);
}

TEST_CASE("where no libvirtd listens, the backend is unavailable") {
  const auto connection = Connection::open("qemu:///system?socket=/nonexistent/libvirt-sock");
  REQUIRE_FALSE(connection);
  CHECK(connection.error().code == Code::unavailable);
  CHECK(connection.error().native_source == "libvirt");
}

TEST_CASE("a URI that libvirt does not know is an error that names it") {
  const auto connection = Connection::open("nonsense:///");
  REQUIRE_FALSE(connection);
  CHECK(connection.error().message.find("nonsense:///") != std::string::npos);
}

TEST_CASE("a connection ignores SIGPIPE for the process: a daemon that dies does not end it") {
  const auto context = fresh();
  struct sigaction now{};
  REQUIRE(sigaction(SIGPIPE, nullptr, &now) == 0);
  CHECK(now.sa_handler == SIG_IGN);
}

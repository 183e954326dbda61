// The whole way of a control plane: certificates and a configuration become a ticket that both hosts take.
#include "libvmsec/identity/cloud.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/ticket.hpp"

namespace vmsec::test {
namespace {

const Uuid kDomain = *Uuid::parse("12345678-1234-1234-1234-123456789abc");
// SHA-256 of "cpus = 1".
const std::string kDigest =
    "\x1b\x05\xcf\x58\xf1\x23\x85\xd5\x64\x2e\xad\x34\x31\xe4\xc7\xa4"
    "\x10\xa1\xc0\xe6\xff\xad\x9a\x62\x56\xc1\xee\xe9\xee\xb9\x09\x50";

// The agent of a host that says of every domain the same.
class Agent final : public Control {
 public:
  explicit Agent(std::string name) : name_(std::move(name)) {}
  Result<Packet> call(std::string_view interface, std::uint32_t, Packet) override {
    if (interface == Methods<HostControl>::kName) {
      HostInfo info;
      info.name = name_;
      return Packet{wire::encode(info)};
    }
    DomainDescription description;
    description.configuration = "cpus = 1";
    return Packet{wire::encode(description)};
  }

 private:
  std::string name_;
};

struct Order {
  Cloud cloud;
  HostIdentity source = cloud.host("web-1");
  HostIdentity destination = cloud.host("web-2");
  TicketOrder order;

  Order() {
    order.domain = kDomain;
    order.source = good(read_host_certificate(cloud.files("web-1").certificate));
    order.destination = good(read_host_certificate(cloud.files("web-2").certificate));
  }
  [[nodiscard]] TicketExpectation outgoing() const {
    return {kDomain, kDigest, "web-2", destination.key_digest(), TicketDirection::outgoing};
  }
};

}  // namespace

TEST_CASE("a ticket that a control plane orders is good at its source and nowhere else") {
  const Order fixture;
  const auto agent = std::make_shared<Agent>("web-1");
  const std::string ticket = good(issue_ticket(*agent, fixture.cloud.placement, fixture.order));
  const TicketClaims claims = good(fixture.source.verify_ticket(ticket, fixture.outgoing(), system_now()));
  CHECK(claims.expires.value - claims.not_before.value == 600);
  CHECK(code_of(fixture.destination.verify_ticket(ticket, fixture.outgoing(), system_now())) == Code::denied);
  auto other = fixture.outgoing();
  other.configuration_digest = std::string(32, 'x');
  CHECK(code_of(fixture.source.verify_ticket(ticket, other, system_now())) == Code::denied);
}

TEST_CASE("another host's agent is not asked for the configuration") {
  const Order fixture;
  const auto agent = std::make_shared<Agent>("web-2");
  const auto ticket = issue_ticket(*agent, fixture.cloud.placement, fixture.order);
  CHECK(code_of(ticket) == Code::invalid_argument);
  CHECK(message_of(ticket).find("web-2") != std::string::npos);
}

TEST_CASE("what no host would take is not ordered") {
  const Order fixture;
  const auto with = [&](auto change) {
    TicketOrder order = fixture.order;
    order.configuration_digest = std::string(32, 'c');
    change(order);
    return code_of(issue_ticket(fixture.cloud.placement, order));
  };
  CHECK(with([](TicketOrder&) {}) == Code::ok);
  CHECK(with([](TicketOrder& order) { order.domain = {}; }) == Code::invalid_argument);
  CHECK(with([](TicketOrder& order) { order.configuration_digest.clear(); }) == Code::invalid_argument);
  CHECK(with([](TicketOrder& order) { order.destination = order.source; }) == Code::invalid_argument);
  CHECK(with([](TicketOrder& order) { order.seconds = kMaxTicketSeconds + 1; }) == Code::invalid_argument);
  CHECK(with([](TicketOrder& order) { order.seconds = 0; }) == Code::invalid_argument);
}

TEST_CASE("only a host's certificate names a host") {
  Order fixture;
  CHECK(fixture.order.source.name == "web-1");
  CHECK(fixture.order.source.key_digest == fixture.source.key_digest());
  CHECK(code_of(read_host_certificate(fixture.cloud.authority.certificate_file())) == Code::invalid_argument);
  CHECK(code_of(read_host_certificate(fixture.cloud.dir.path() / "placement.key.pub")) == Code::invalid_argument);
  CHECK(code_of(read_host_certificate(fixture.cloud.dir.path() / "none")) == Code::not_found);
  spit(fixture.cloud.dir.path() / "cut.crt", slurp(fixture.cloud.files("web-1").certificate).substr(0, 200));
  CHECK(code_of(read_host_certificate(fixture.cloud.dir.path() / "cut.crt")) == Code::invalid_argument);
}

}  // namespace vmsec::test

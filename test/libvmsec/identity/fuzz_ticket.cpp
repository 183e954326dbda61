// Ticket decoding and verification: any bytes as a ticket, and any claims under a
// true placement key's signature. Only a ticket that says all of what is expected
// may pass.
#include <openssl/pem.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "vmsec/identity.hpp"

namespace {

using namespace vmsec;
namespace fs = std::filesystem;

constexpr std::uint64_t kNow = 1'800'000'000;

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

struct World {
  fs::path dir;
  HostIdentity host;
  TicketExpectation expected;
  EVP_PKEY* placement = nullptr;

  World() {
    std::string form = (fs::temp_directory_path() / "vmsec-fuzz-XXXXXX").string();
    dir = ::mkdtemp(form.data());
    const Clock clock = [] { return UnixSeconds{kNow}; };
    auto authority = must(CertificateAuthority::init(dir / "ca", "fuzz", {}, clock));
    const auto own = must(authority.issue("web-2", {30, dir}));
    const auto peer = must(authority.issue("web-1", {30, dir}));
    must(PlacementKey::create(dir / "placement.key"));
    host = must(HostIdentity::load({authority.certificate_file(),
                                    own.certificate,
                                    own.key,
                                    authority.crl_file(),
                                    {dir / "placement.key.pub"},
                                    dir},
                                   clock));
    expected = {must(Uuid::parse("12345678-1234-1234-1234-123456789abc")), std::string(32, 'c'), "web-1",
                must(PublicKey::load(peer.certificate)).digest(), TicketDirection::incoming};
    BIO* bio = BIO_new_file((dir / "placement.key").c_str(), "r");
    placement = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
  }
  ~World() {
    EVP_PKEY_free(placement);
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }

  std::string sign(std::string claims) const {
    const std::string message = std::string(kTicketLabel) + '\0' + claims;
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, nullptr, nullptr, nullptr, placement) != 1 ||
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1)
      std::abort();
    EVP_MD_CTX_free(context);
    return wire::encode(SignedTicket{std::move(claims), std::move(signature)});
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 3 == 1) bytes = world.sign(std::move(bytes));
  if (data[0] % 3 == 2) {  // claims that fit, but for what the input puts behind them
    TicketClaims claims;
    claims.id = std::string(32, 'a');
    claims.domain = world.expected.domain;
    claims.configuration_digest = world.expected.configuration_digest;
    claims.source = "web-1";
    claims.source_key = world.expected.peer_key;
    claims.destination = "web-2";
    claims.destination_key = world.host.key_digest();
    claims.not_before = UnixSeconds{kNow};
    claims.expires = UnixSeconds{kNow + 60};
    claims.placement_key = must(PublicKey::load(world.dir / "placement.key.pub")).digest();
    bytes = world.sign(wire::encode(claims) + bytes);
  }
  const auto claims = world.host.verify_ticket(bytes, world.expected, UnixSeconds{kNow});
  if (!claims) return 0;
  if (claims->domain != world.expected.domain || claims->source != "web-1" || claims->destination != "web-2" ||
      claims->configuration_digest != world.expected.configuration_digest || claims->expires.value <= kNow ||
      claims->destination_key != world.host.key_digest())
    std::abort();
  return 0;
}

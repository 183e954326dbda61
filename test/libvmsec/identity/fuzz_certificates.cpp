// What comes as a certificate, a key or a revocation list: the first byte says as
// which. Nothing that our authority did not make may pass.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "vmsec/identity.hpp"

namespace {

using namespace vmsec;
namespace fs = std::filesystem;

template <class T>
T must(Result<T> result) {
  if (!result) std::abort();
  return std::move(*result);
}

struct World {
  fs::path dir;
  fs::path list;
  HostIdentity host;

  World() {
    std::string form = (fs::temp_directory_path() / "vmsec-fuzz-XXXXXX").string();
    dir = ::mkdtemp(form.data());
    auto authority = must(CertificateAuthority::init(dir / "ca", "fuzz"));
    const auto own = must(authority.issue("web-1", {30, dir}));
    list = authority.crl_file();
    host = must(HostIdentity::load({authority.certificate_file(), own.certificate, own.key, list, {}, dir}));
  }
  ~World() {
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto key = PublicKey::parse(bytes);
    if (key && key->digest().size() != 32) std::abort();
    if (key && must(PublicKey::parse(key->pem())).digest() != key->digest()) std::abort();
  }
  if (data[0] % 3 == 1 && world.host.verify_peer({bytes})) std::abort();
  if (data[0] % 3 == 2) {
    std::ofstream(world.list, std::ios::binary | std::ios::trunc) << bytes;
    if (world.host.check_crl()) std::abort();
  }
  return 0;
}

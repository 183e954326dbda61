#include "ways.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>

namespace vmsec::bench {
namespace {

using migration::Side;

// As much at once as a sealed stream takes.
constexpr std::size_t kPiece = migration::kPreferredPayload;

struct Ends {
  Fd near, far;
};

Result<Ends> connection() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0)
    return fail(errno_error("listen on the loopback interface"));
  Ends ends{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}};
  if (::connect(ends.near.get(), generic, size) != 0) return fail(errno_error("connect"));
  ends.far.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!ends.far.valid()) return fail(errno_error("accept"));
  const int on = 1;
  for (const Fd* fd : {&ends.near, &ends.far}) ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return ends;
}

// What a sealed stream does, but for the sealing: the same reads and writes of the same size.
class Plain final : public Carrier {
 public:
  Plain(Fd source, Fd destination, Ends wire) {
    fds_ = {std::move(source), std::move(wire.near), std::move(wire.far), std::move(destination)};
    for (const std::size_t at : {std::size_t{0}, std::size_t{2}}) {
      const int left = fds_[at].get();
      const int right = fds_[at + 1].get();
      threads_.emplace_back([=] { carry(left, right); });
      threads_.emplace_back([=] { carry(right, left); });
    }
  }
  ~Plain() override {
    for (const Fd& fd : fds_) ::shutdown(fd.get(), SHUT_RDWR);
    for (auto& thread : threads_) thread.join();
  }

 private:
  static void carry(int from, int to) {
    std::vector<char> buffer(kPiece);
    for (ssize_t count = 0; (count = ::recv(from, buffer.data(), buffer.size(), 0)) > 0;)
      for (ssize_t done = 0; done < count;) {
        const ssize_t sent = ::send(to, buffer.data() + done, static_cast<std::size_t>(count - done), MSG_NOSIGNAL);
        if (sent <= 0) return;
        done += sent;
      }
    ::shutdown(to, SHUT_WR);
  }

  std::array<Fd, 4> fds_;
  std::vector<std::thread> threads_;
};

class Sealed final : public Carrier {
 public:
  std::unique_ptr<migration::SealedStream> source, destination;
};

Result<std::unique_ptr<Carrier>> sealed(const Way& way, migration::StreamName name, Fd source, Fd destination,
                                        Ends wire) {
  VMSEC_TRY(const std::string to_destination, migration::random_bytes(migration::kSecretSize));
  VMSEC_TRY(const std::string to_source, migration::random_bytes(migration::kSecretSize));
  const auto broken = [](const migration::StreamName&, const Error& error) {
    std::fprintf(stderr, "engine: %s\n", error.message.c_str());
  };
  auto carrier = std::make_unique<Sealed>();
  VMSEC_TRY(carrier->source,
            migration::SealedStream::start(name, Side::source, way.suite,
                                           {std::move(source), std::move(wire.near), to_destination, to_source},
                                           nullptr, broken));
  VMSEC_TRY(carrier->destination,
            migration::SealedStream::start(name, Side::destination, way.suite,
                                           {std::move(destination), std::move(wire.far), to_source, to_destination},
                                           nullptr, broken));
  return carrier;
}

}  // namespace

Result<Way> way_of(const std::string& name) {
  using migration::Accelerator;
  if (name == "plain") return Way{name};
  if (name == "none") return Way{name, true, {Cipher::none, Accelerator::none}};
  if (name == "evp") return Way{name, true, {Cipher::aes_128_gcm, Accelerator::none}};
  if (name == "tls") return Way{name, true, {Cipher::aes_128_gcm, Accelerator::none}, migration::StreamSuite::tls};
  if (name != "vaes") return fail(Code::invalid_argument, name + ": no such way; want plain, none, evp, vaes or tls");
  VMSEC_CHECK(migration::check_accelerator(Accelerator::vaes));
  return Way{name, true, {Cipher::aes_128_gcm, Accelerator::vaes}};
}

Result<std::unique_ptr<Carrier>> Carrier::connect(const Way& way, ChannelKind kind, std::uint32_t index, Fd source,
                                                  Fd destination) {
  VMSEC_TRY(Ends wire, connection());
  if (!way.sealed) return std::make_unique<Plain>(std::move(source), std::move(destination), std::move(wire));
  migration::StreamName stream{{}, kind, index, 1, {}};
  stream.suite = way.stream;
  return sealed(way, std::move(stream), std::move(source), std::move(destination), std::move(wire));
}

}  // namespace vmsec::bench

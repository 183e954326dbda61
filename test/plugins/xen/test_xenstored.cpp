// A xenstored that lives, one that hangs, one that hangs up, and none.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <thread>

#include "vmsec/fd.hpp"
#include "xenstored.hpp"

using namespace vmsec;
using namespace vmsec::xen;

namespace {

class Store {
 public:
  Store() {
    std::string name = (std::filesystem::temp_directory_path() / "vmsec-xenstored-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
  }
  ~Store() { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path() const { return (folder_ / "socket").string(); }
  Fd accept() { return Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  std::filesystem::path folder_;
  Fd listener_;
};

constexpr std::chrono::milliseconds kLong{30'000};

}  // namespace

TEST_CASE("a store that answers, an error too, is there") {
  Store store;
  std::array<char, 64> request{};
  std::thread server([&] {
    const Fd client = store.accept();
    REQUIRE(::recv(client.get(), request.data(), request.size(), 0) == 16 + 6);
    static_cast<void>(::send(client.get(), "x", 1, MSG_NOSIGNAL));
  });
  CHECK(probe_xenstored(store.path(), kLong));
  server.join();
  CHECK(request[0] == 2);  // XS_READ
  CHECK(std::string(request.data() + 16) == "/tool");
}

TEST_CASE("a store that takes nobody, or answers nothing, is given up in time") {
  Store store;
  const Status silent = probe_xenstored(store.path(), std::chrono::milliseconds(50));
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == Code::timeout);
  CHECK(silent.error().message == "xenstored has not answered in 50 ms");
}

TEST_CASE("a store that hangs up is said") {
  Store store;
  std::thread server([&] { store.accept(); });
  const Status gone = probe_xenstored(store.path(), kLong);
  server.join();
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::unavailable);
}

TEST_CASE("no store at all is said, with its path") {
  const Status none = probe_xenstored("/nonexistent/xenstored", kLong);
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("/nonexistent/xenstored") != std::string::npos);
}

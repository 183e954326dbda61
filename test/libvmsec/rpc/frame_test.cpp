// Frames over a Unix socket: sizes, descriptors, deadlines, and what is no frame.
#include "rpc/unix_frame.hpp"

#include <sys/stat.h>

#include <thread>

#include "libvmsec/channel/pair.hpp"

namespace vmsec::test {
namespace {

using namespace rpc;

// A descriptor whose other end says what was written into it.
std::pair<Fd, Fd> pipe_pair() {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

void write_raw(const Fd& to, std::string_view bytes) {
  REQUIRE(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

constexpr Microseconds kShort{20'000};

}  // namespace

TEST_CASE("frames over a Unix socket arrive whole and in order, up to the limit") {
  auto [a, b] = socket_pair();
  const std::vector<std::size_t> sizes = {0, 1, 3, 4, 65'536, kMaximumFrame};
  std::jthread sender([&, fd = a.get()] {
    for (const std::size_t size : sizes) std::ignore = send_frame(fd, Packet{std::string(size, 'x'), {}});
  });
  for (const std::size_t size : sizes) CHECK(good(receive_frame(b.get())).bytes == std::string(size, 'x'));
}

TEST_CASE("a frame beyond the limit is not sent") {
  auto [a, b] = socket_pair();
  const auto sent = send_frame(a.get(), Packet{std::string(kMaximumFrame + 1, 'x'), {}});
  CHECK(code_of(sent) == Code::limit_exceeded);
  CHECK_THAT(message_of(sent), Catch::Contains("16777217 bytes"));
  Packet many;
  for (std::size_t i = 0; i <= kMaximumDescriptors; ++i) many.fds.push_back(good(a.duplicate()));
  CHECK(code_of(send_frame(a.get(), many)) == Code::limit_exceeded);
  good(send_frame(a.get(), Packet{"still here", {}}));
  CHECK(good(receive_frame(b.get())).bytes == "still here");
}

TEST_CASE("descriptors come with their frame, and are closed on exec") {
  auto [a, b] = socket_pair();
  auto [out, in] = pipe_pair();
  Packet packet{"with two", {}};
  packet.fds.push_back(good(in.duplicate()));
  packet.fds.push_back(good(out.duplicate()));
  good(send_frame(a.get(), packet));
  good(send_frame(a.get(), Packet{"with none", {}}));
  const Packet got = good(receive_frame(b.get()));
  REQUIRE(got.fds.size() == 2);
  REQUIRE(::write(got.fds[0].get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(out.get(), &byte, 1) == 1);
  CHECK((::fcntl(got.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(good(receive_frame(b.get())).fds.empty());
}

TEST_CASE("sixteen descriptors come along; with more the frame is refused and none stays open") {
  auto [a, b] = socket_pair();
  Packet packet{"many", {}};
  for (std::size_t i = 0; i < kMaximumDescriptors; ++i) packet.fds.push_back(good(a.duplicate()));
  good(send_frame(a.get(), packet));
  CHECK(good(receive_frame(b.get())).fds.size() == kMaximumDescriptors);
  packet.fds.clear();

  const int before = open_descriptors();
  std::array<int, kMaximumDescriptors + 8> numbers{};
  numbers.fill(a.get());
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof numbers)> control{};
  std::string head("\0\0\0\1x", 5);
  iovec piece{head.data(), head.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof numbers);
  std::memcpy(CMSG_DATA(part), numbers.data(), sizeof numbers);
  REQUIRE(::sendmsg(a.get(), &message, MSG_NOSIGNAL) == 5);
  const auto got = receive_frame(b.get());
  CHECK(code_of(got) == Code::limit_exceeded);
  CHECK_THAT(message_of(got), Catch::Contains("more than 16 descriptors"));
  CHECK(open_descriptors() == before);
}

TEST_CASE("an announced size beyond the limit is refused before it is waited for") {
  auto [a, b] = socket_pair();
  write_raw(a, "\xff\xff\xff\xff");
  const auto got = receive_frame(b.get());
  CHECK(code_of(got) == Code::limit_exceeded);
  CHECK_THAT(message_of(got), Catch::Contains("4294967295 bytes exceed 16 MiB"));
}

TEST_CASE("an orderly end is told from a frame that is cut short") {
  auto [a, b] = socket_pair();
  const std::size_t size = GENERATE(0, 1, 3, 4, 8);
  INFO(size << " bytes");
  write_raw(a, std::string_view("\0\0\0\x09half", size));
  a.reset();
  const auto got = receive_frame(b.get());
  CHECK(code_of(got) == (size == 0 ? Code::unavailable : Code::io));
}

TEST_CASE("a frame that stops half-way is timed out") {
  auto [a, b] = socket_pair();
  write_raw(a, GENERATE(as<std::string>{}, std::string("\0", 1), std::string("\0\0\0\x05", 4),
                        std::string("\0\0\0\x05half", 8)));
  const auto got = receive_frame(b.get(), kShort);
  CHECK(code_of(got) == Code::timeout);
  CHECK_THAT(message_of(got), Catch::StartsWith("receive a frame"));
}

TEST_CASE("whoever does not read is timed out") {
  auto [a, b] = socket_pair();
  CHECK(code_of(send_frame(a.get(), Packet{std::string(kMaximumFrame, 'x'), {}}, kShort)) == Code::timeout);
}

TEST_CASE("a frame to nobody raises no signal") {
  auto [a, b] = socket_pair();
  b.reset();
  CHECK(code_of(send_frame(a.get(), Packet{"x", {}})) == Code::unavailable);
}

TEST_CASE("a socket's file is its user's alone, replaced when nobody listens, and never taken from somebody") {
  TempDir dir;
  const std::string path = dir.path() / "s";
  Fd first = good(listen_unix(path));
  struct stat found{};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  CHECK(code_of(listen_unix(path)) == Code::already_exists);
  first.reset();
  CHECK(code_of(connect_unix(path)) == Code::unavailable);
  CHECK(listen_unix(path));
}

TEST_CASE("a file that is no socket is left alone") {
  TempDir dir;
  spit(dir.path() / "precious", "bytes");
  fs::create_symlink(dir.path() / "precious", dir.path() / "link");
  fs::create_directory(dir.path() / "folder");
  for (const char* name : {"precious", "link", "folder"})
    CHECK(code_of(listen_unix(dir.path() / name)) == Code::already_exists);
  CHECK(slurp(dir.path() / "precious") == "bytes");
  CHECK(fs::is_symlink(dir.path() / "link"));
}

TEST_CASE("a path that fits no socket is refused by name") {
  for (const std::string& path : {std::string(), std::string(108, 'p'), std::string("a\0b", 3)}) {
    CHECK(code_of(connect_unix(path)) == Code::invalid_argument);
    CHECK(code_of(listen_unix(path)) == Code::invalid_argument);
  }
  CHECK(code_of(connect_unix("/nowhere/at/all")) == Code::unavailable);
  CHECK(code_of(listen_unix("/nowhere/at/all")) == Code::io);
}

}  // namespace vmsec::test

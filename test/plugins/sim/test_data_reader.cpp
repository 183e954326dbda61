// What comes from another host is checked before it is believed.
#include <catch2/catch.hpp>

#include "data_reader.hpp"
#include "stream.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

std::string header(DataKind kind, std::uint32_t count, std::uint64_t page) {
  const DataHeader header{kind, count, page};
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

std::string page(std::uint64_t number, std::uint64_t generation) {
  std::string bytes(kPageSize, '\0');
  PageContent{1, {}}.write(number, generation, reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

std::string error_of(const std::string& bytes) {
  auto memory = GuestMemory::create("test", {1 << 20}, {1, {}});
  Arrived arrived;
  arrived.pages.resize((*memory)->pages());
  std::size_t at = 0;
  const auto read = read_data(
      [&](void* out, std::size_t size) -> Status {
        if (size > bytes.size() - at) return fail(Code::io, "it ended");
        std::memcpy(out, bytes.data() + at, size);
        at += size;
        return {};
      },
      **memory, arrived);
  return read ? "" : read.error().message;
}

bool says(const std::string& bytes, const std::string& cause) {
  return error_of(bytes).find(cause) != std::string::npos;
}

}  // namespace

TEST_CASE("memory records are read, and an end that counts them") {
  CHECK(error_of(header(DataKind::pages, 1, 5) + page(5, 3) + header(DataKind::zeros, 250, 6) +
                 header(DataKind::end, 0, 251))
            .empty());
}

TEST_CASE("a record that is not allowed ends the migration") {
  CHECK(says("", "it ended"));
  CHECK(says(header(DataKind::pages, 1, 5) + page(5, 3), "it ended"));
  CHECK(says(header(DataKind::pages, 1, 5) + page(5, 3).substr(1), "it ended"));
  CHECK(says(header(static_cast<DataKind>(9), 0, 0), "unknown kind 9"));
  CHECK(says(header(DataKind::pages, 0, 5), "want 1 to 32"));
  CHECK(says(header(DataKind::pages, 33, 5), "want 1 to 32"));
  CHECK(says(header(DataKind::pages, 2, 255), "outside"));
  CHECK(says(header(DataKind::zeros, 257, 0), "want 1 to 256"));
  CHECK(says(header(DataKind::zeros, 1, UINT64_MAX), "outside"));
  CHECK(says(header(DataKind::pages, 1, 5) + std::string(kPageSize, '\0'), "never written"));
  CHECK(says(header(DataKind::state, UINT32_MAX, 0), "at most 1048576"));
  CHECK(says(header(DataKind::state, 3, 0) + "\xff\xff\xff", "MachineState"));
  CHECK(says(header(DataKind::state, 0, 0) + header(DataKind::state, 0, 0), "a second state"));
  CHECK(says(header(DataKind::pages, 1, 5) + page(5, 3) + header(DataKind::end, 0, 2), "after 1 pages, of 2"));
}

TEST_CASE("a bitmap of what is behind comes once, after the state, and says how many pages it has") {
  const auto bits = [](std::uint64_t first, std::uint64_t last) {
    const std::uint64_t words[] = {first, 0, 0, last};
    return std::string(reinterpret_cast<const char*>(words), sizeof words);
  };
  const std::string state = header(DataKind::state, 0, 0);
  const std::string good = header(DataKind::behind, 32, 2) + bits(2, 1);
  CHECK(error_of(state + good + header(DataKind::end, 0, 0)).empty());
  CHECK(says(good, "before the state"));
  CHECK(says(state + good + good, "a second bitmap"));
  CHECK(says(state + header(DataKind::behind, 24, 2), "want 32"));
  CHECK(says(state + header(DataKind::behind, 32, 3) + bits(2, 1), "other pages than it says"));
  CHECK(says(state + header(DataKind::behind, 32, 1) + bits(1, 0), "or of the first one"));
}

TEST_CASE("a page that is behind is taken once, and what the guest has written since stays") {
  auto memory = GuestMemory::create("test", {1 << 20}, {1, {}});
  std::vector<std::uint64_t> bits(4);
  bits[0] = 1u << 5 | 1u << 6;
  std::atomic<std::size_t> asked = 0;
  std::atomic<int> times = 0;
  (*memory)->behind().begin(bits, [&](std::size_t number) { asked = number, ++times; });
  const auto bytes_of = [](const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); };
  const std::string old = page(5, 3);
  REQUIRE((*memory)->receive_behind(5, bytes_of(old)));
  (*memory)->write_page(5);
  CHECK_FALSE((*memory)->receive_behind(5, bytes_of(old)));
  CHECK_FALSE((*memory)->receive_behind(7, bytes_of(page(7, 1))));
  std::array<unsigned char, kPageSize> now{};
  (*memory)->copy(5, 1, now.data());
  CHECK(PageContent{1, {}}.matches(5, 4, now.data()));
  CHECK((*memory)->behind().left() == 1);
  CHECK(times == 0);
  // It is asked for once; and who waits for what does not come any more goes on without.
  std::atomic<bool> came = true;
  std::thread waits([&] { came = (*memory)->behind().await(6); });
  while (times == 0) std::this_thread::yield();
  (*memory)->behind().give_up();
  waits.join();
  CHECK_FALSE(came);
  CHECK(asked == 6);
  CHECK_FALSE((*memory)->behind().await(6));
  CHECK(times == 1);
  char byte = 0;
  CHECK((*memory)->read(6 * kPageSize, 1, &byte).error().code == Code::unavailable);
}

TEST_CASE("a state is loaded only into the machine that it is of") {
  const auto spec = parse_domain(
      "name = \"a\"\nuuid = \"5e000000-0000-0000-0000-000000000001\"\nmemory = \"1 MiB\"\n"
      "[[nic]]\ntarget = \"n\"\nmac = \"52:54:00:00:00:01\"\n",
      "a");
  REQUIRE(spec);
  auto machine = Machine::create(*spec, {});
  REQUIRE(machine);
  const MachineState good = (*machine)->state(unlimited(*spec));
  using Memory = Machine::Memory;
  CHECK((*machine)->restore(good, Memory::whole));
  const auto refused = [&](auto change) {
    MachineState state = good;
    change(state);
    return !(*machine)->restore(state, Memory::whole);
  };
  CHECK(refused([](auto& s) { s.vcpus.clear(); }));
  CHECK(refused([](auto& s) { s.limits.resources.vcpus = 0; }));
  CHECK(refused([](auto& s) { s.limits.resources.vcpus = 2; }));
  CHECK(refused([](auto& s) { s.nics.clear(); }));
  CHECK(refused([](auto& s) { s.nics[0].target = "other"; }));
  CHECK(refused([](auto& s) { s.limits.io.nics.clear(); }));
  CHECK(refused([](auto& s) { ++s.tick; }));
  CHECK(refused([](auto& s) { ++s.writes; }));
  MachineState follows = good;
  ++follows.writes;
  CHECK((*machine)->restore(follows, Memory::follows));
  ++follows.tick;
  CHECK_FALSE((*machine)->restore(follows, Memory::follows));
}

#include "data_reader.hpp"

#include <bit>

namespace vmsec::sim {
namespace {

std::unexpected<Error> bad(const std::string& cause) {
  return fail(Code::invalid_argument, "receive guest memory: " + cause);
}

class Reader {
 public:
  Reader(const ReceiveBytes& receive, GuestMemory& memory, Arrived& arrived)
      : receive_(receive), memory_(memory), arrived_(arrived), buffer_(kPagesMaximum * kPageSize) {}

  Status read() {
    while (true) {
      DataHeader header{};
      VMSEC_CHECK(receive_(&header, sizeof header));
      switch (header.kind) {
        case DataKind::pages:
          VMSEC_CHECK(pages(header));
          break;
        case DataKind::zeros:
          VMSEC_CHECK(zeros(header));
          break;
        case DataKind::state:
          VMSEC_CHECK(state(header));
          break;
        case DataKind::behind:
          VMSEC_CHECK(behind(header));
          break;
        case DataKind::end:
          return end(header);
        default:
          return bad("a record of unknown kind " + std::to_string(static_cast<std::uint32_t>(header.kind)));
      }
    }
  }

 private:
  Status check_range(const DataHeader& header, std::uint64_t most) const {
    const std::uint64_t pages = memory_.pages();
    if (header.count == 0 || header.count > most)
      return bad("a record of " + std::to_string(header.count) + " pages, want 1 to " + std::to_string(most));
    if (header.page >= pages || header.count > pages - header.page)
      return bad("page " + std::to_string(header.page) + " and " + std::to_string(header.count) +
                 " on are outside of the memory's " + std::to_string(pages));
    return {};
  }

  Status pages(const DataHeader& header) {
    VMSEC_CHECK(check_range(header, kPagesMaximum));
    VMSEC_CHECK(receive_(buffer_.data(), header.count * kPageSize));
    const bool follow = follows();
    std::array<Digest, kPagesMaximum> digests;
    for (std::uint32_t i = 0; i < header.count; ++i) {
      const unsigned char* bytes = buffer_.data() + i * kPageSize;
      std::uint64_t generation = 0;
      std::memcpy(&generation, bytes, sizeof generation);
      if (generation == 0 && header.page + i != 0)
        return bad("page " + std::to_string(header.page + i) + " has content, but was never written");
      digests[i] = page_digest(header.page + i, bytes);
      if (!follow) memory_.receive(header.page + i, bytes);
      if (follow && memory_.receive_behind(header.page + i, bytes)) note(header.page + i, digests[i]);
    }
    if (follow) {
      records_ += header.count;
      return {};
    }
    const std::lock_guard lock(arrived_.mutex);
    std::copy_n(digests.begin(), header.count, arrived_.pages.begin() + static_cast<std::ptrdiff_t>(header.page));
    count(header.count);
    return {};
  }

  Status zeros(const DataHeader& header) {
    VMSEC_CHECK(check_range(header, memory_.pages()));
    if (follows()) {
      for (std::uint64_t page = header.page; page < header.page + header.count; ++page)
        if (memory_.receive_behind(page, nullptr)) note(page, {});
      records_ += header.count;
      return {};
    }
    memory_.receive_zeros(header.page, header.count);
    const std::lock_guard lock(arrived_.mutex);
    std::fill_n(arrived_.pages.begin() + static_cast<std::ptrdiff_t>(header.page), header.count, Digest{});
    count(header.count);
    return {};
  }

  Status state(const DataHeader& header) {
    if (header.count > kStateMaximum)
      return bad("a state of " + std::to_string(header.count) + " bytes, of at most " + std::to_string(kStateMaximum));
    std::string bytes(header.count, '\0');
    VMSEC_CHECK(receive_(bytes.data(), bytes.size()));
    VMSEC_TRY(auto state, wire::decode<MachineState>(bytes));
    const std::lock_guard lock(arrived_.mutex);
    if (arrived_.state) return bad("a second state");
    arrived_.state = std::move(state);
    return {};
  }

  Status behind(const DataHeader& header) {
    Behind behind;
    behind.bits.resize((memory_.pages() + 63) / 64);
    const std::size_t size = behind.bits.size() * sizeof(std::uint64_t);
    if (header.count != size)
      return bad("a bitmap of " + std::to_string(header.count) + " bytes, want " + std::to_string(size));
    VMSEC_CHECK(receive_(behind.bits.data(), size));
    std::uint64_t pages = 0;
    for (const auto word : behind.bits) pages += static_cast<std::uint64_t>(std::popcount(word));
    const std::size_t last = memory_.pages() % 64;
    const bool beyond = last != 0 && (behind.bits.back() >> last) != 0;
    if (pages != header.page || beyond || (behind.bits.front() & 1) != 0)
      return bad("a bitmap of other pages than it says, or of the first one");
    {
      const std::lock_guard lock(arrived_.mutex);
      if (arrived_.behind || !arrived_.state) return bad("a second bitmap, or one before the state");
      behind.records = arrived_.records;
      for (const auto& digest : arrived_.pages) behind.pages += digest;
      arrived_.behind = std::move(behind);
    }
    arrived_.on_behind();
    return {};
  }

  bool follows() const {
    const std::lock_guard lock(arrived_.mutex);
    return arrived_.behind.has_value();
  }

  void note(std::uint64_t page, const Digest& digest) {
    const std::lock_guard lock(arrived_.mutex);
    arrived_.pages[page] = digest;
  }

  Status end(const DataHeader& header) const {
    if (header.page == records_) return {};
    return bad("the channel ends after " + std::to_string(records_) + " pages, of " + std::to_string(header.page));
  }

  // Under the lock.
  void count(std::uint64_t pages) {
    records_ += pages;
    arrived_.records += pages;
  }

  const ReceiveBytes& receive_;
  GuestMemory& memory_;
  Arrived& arrived_;
  std::vector<unsigned char> buffer_;
  std::uint64_t records_ = 0;  // on this channel
};

}  // namespace

Status read_data(const ReceiveBytes& receive, GuestMemory& memory, Arrived& arrived) {
  return Reader(receive, memory, arrived).read();
}

}  // namespace vmsec::sim

// Pages of a guest that runs here while their content is still on the host that it came from.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace vmsec::sim {

// Empty at first. Any thread may call.
class BehindPages {
 public:
  explicit BehindPages(std::size_t pages);

  // Asks that host for a page: called by whoever needs it first.
  using Ask = std::function<void(std::size_t page)>;
  // Once, before the guest runs. `bits`: 64 pages a word.
  void begin(const std::vector<std::uint64_t>& bits, Ask ask);
  [[nodiscard]] bool contains(std::size_t page) const;
  [[nodiscard]] std::size_t left() const { return left_.load(); }
  // Waits until the page is here. False: it does not come any more.
  bool await(std::size_t page);
  // The page's content is in its place.
  void arrived(std::size_t page);
  // Nothing comes any more.
  void give_up();

 private:
  static std::uint64_t bit_of(std::size_t page) { return std::uint64_t{1} << (page % 64); }

  std::atomic<bool> begun_ = false;
  std::atomic<std::size_t> left_ = 0;
  std::vector<std::atomic<std::uint64_t>> bits_;
  std::vector<std::atomic<std::uint64_t>> asked_;
  Ask ask_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool gone_ = false;
};

}  // namespace vmsec::sim

// The RAM of one domain: a memfd, the generation of each page, and the bitmap of
// the pages that were written since the migration engine last looked.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "behind_pages.hpp"
#include "guest_page.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/types.hpp"

namespace vmsec::sim {

// Any thread may call. A run of kRun pages, aligned, is read and written under
// one lock, so a copy is never torn, and a page that changes after it was copied
// is dirty again: the tracking is exact.
class GuestMemory {
 public:
  static constexpr std::size_t kRun = 32;

  static Result<std::unique_ptr<GuestMemory>> create(const std::string& name, Bytes size, PageContent content);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  [[nodiscard]] std::size_t pages() const { return pages_; }
  [[nodiscard]] Bytes size() const { return {pages_ * kPageSize}; }
  [[nodiscard]] const PageContent& content() const { return content_; }
  // A descriptor that can be mapped for reading only.
  [[nodiscard]] Result<Fd> read_only() const;

  // ---- the guest's side ----
  void fill(double fraction);  // the first pages, as the guest's boot writes them
  void write_page(std::size_t page);
  void set_tick(std::uint64_t tick);
  [[nodiscard]] std::uint64_t tick();
  // How many pages may have host memory: the guest's write to another one is lost
  // for it, as if it had never come. `limit_exceeded` below what has some now.
  Status set_limit(std::size_t pages);

  // ---- the engine's side ----
  void copy(std::size_t page, std::size_t count, unsigned char* out);  // within one run
  Status read(std::uint64_t address, std::size_t length, char* out);
  void receive(std::size_t page, const unsigned char* bytes);
  void receive_zeros(std::size_t page, std::size_t count);
  // Of a guest that runs here while its memory follows: who touches a page of these waits for it.
  [[nodiscard]] BehindPages& behind() { return behind_; }
  // Such a page; null: zeros. False, and nothing is changed, where it is here already.
  bool receive_behind(std::size_t page, const unsigned char* bytes);
  void mark_all_dirty();
  // Again: of those that take_dirty() has told, 64 pages a word.
  void mark_dirty_again(std::size_t word, std::uint64_t bits) { dirty_[word].fetch_or(bits); }
  // Moves the bitmap out: 64 pages a word.
  std::vector<std::uint64_t> take_dirty();
  [[nodiscard]] std::size_t dirty_pages() const;
  // How often the guest wrote, in all pages together.
  [[nodiscard]] std::uint64_t writes();
  // Of what the memory holds now. Only a stopped guest has one.
  Digest digest();
  // The pages whose bytes are not what (seed, page, generation) makes.
  std::size_t wrong_pages();

 private:
  GuestMemory(Fd file, unsigned char* bytes, std::size_t pages, PageContent content);
  std::mutex& lock_of(std::size_t page) { return locks_[(page / kRun) % locks_.size()]; }
  unsigned char* at(std::size_t page) { return bytes_ + page * kPageSize; }
  bool take_page();
  // Both under the page's lock.
  void put(std::size_t page, const unsigned char* bytes);
  void clear(std::size_t page);
  void mark_dirty(std::size_t page) { dirty_[page / 64].fetch_or(std::uint64_t{1} << (page % 64)); }

  Fd file_;
  unsigned char* bytes_;
  std::size_t pages_;
  PageContent content_;
  std::atomic<std::size_t> limit_;
  std::atomic<std::size_t> written_{1};  // pages with content; page 0 always is one
  std::array<std::mutex, 64> locks_;
  std::vector<std::uint64_t> generations_;  // each under its page's lock
  std::vector<std::atomic<std::uint64_t>> dirty_;
  BehindPages behind_;
};

}  // namespace vmsec::sim

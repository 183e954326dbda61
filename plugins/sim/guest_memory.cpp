#include "guest_memory.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace vmsec::sim {

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(const std::string& name, Bytes size, PageContent content) {
  const std::string what = "make the memory of " + name + ", " + std::to_string(size.value) + " bytes";
  Fd file(::memfd_create(("vmsec-sim-" + name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return fail(errno_error(what));
  if (::ftruncate(file.get(), static_cast<off_t>(size.value)) != 0) return fail(errno_error(what));
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return fail(errno_error(what));
  void* bytes = ::mmap(nullptr, size.value, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (bytes == MAP_FAILED) return fail(errno_error(what));
  return std::unique_ptr<GuestMemory>(
      new GuestMemory(std::move(file), static_cast<unsigned char*>(bytes), size.value / kPageSize, std::move(content)));
}

GuestMemory::GuestMemory(Fd file, unsigned char* bytes, std::size_t pages, PageContent content)
    : file_(std::move(file)),
      bytes_(bytes),
      pages_(pages),
      content_(std::move(content)),
      limit_(pages),
      generations_(pages),
      dirty_((pages + 63) / 64),
      behind_(pages) {}

GuestMemory::~GuestMemory() { ::munmap(bytes_, pages_ * kPageSize); }

Result<Fd> GuestMemory::read_only() const {
  Fd copy(::open(("/proc/self/fd/" + std::to_string(file_.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy.valid()) return fail(errno_error("open the memory for reading"));
  return copy;
}

void GuestMemory::fill(double fraction) {
  const auto count = static_cast<std::size_t>(static_cast<double>(pages_) * fraction);
  for (std::size_t page = 1; page < count; ++page) write_page(page);
}

void GuestMemory::write_page(std::size_t page) {
  if (!behind_.await(page)) return;
  const std::lock_guard lock(lock_of(page));
  if (page == 0 || (generations_[page] == 0 && !take_page())) return;
  content_.write(page, ++generations_[page], at(page));
  mark_dirty(page);
}

void GuestMemory::set_tick(std::uint64_t tick) {
  const std::lock_guard lock(lock_of(0));
  std::memcpy(bytes_, &tick, sizeof tick);
  mark_dirty(0);
}

std::uint64_t GuestMemory::tick() {
  const std::lock_guard lock(lock_of(0));
  std::uint64_t tick = 0;
  std::memcpy(&tick, bytes_, sizeof tick);
  return tick;
}

bool GuestMemory::take_page() {
  if (written_.fetch_add(1) < limit_.load()) return true;
  written_.fetch_sub(1);
  return false;
}

Status GuestMemory::set_limit(std::size_t pages) {
  // Growth is bounded from here on; then what there is can be looked at.
  const std::size_t before = limit_.exchange(pages);
  const std::size_t written = written_.load();
  if (written <= pages) return {};
  limit_.store(before);
  return fail(Code::limit_exceeded, "a memory limit of " + std::to_string(pages * kPageSize) + " bytes is below the " +
                                        std::to_string(written * kPageSize) + " that the guest has filled");
}

void GuestMemory::copy(std::size_t page, std::size_t count, unsigned char* out) {
  const std::lock_guard lock(lock_of(page));
  for (std::size_t each = page; each < page + count; ++each, out += kPageSize) {
    // Looking at a hole of a memfd through a mapping would take memory for it.
    if (generations_[each] == 0 && each != 0)
      std::memset(out, 0, kPageSize);
    else
      std::memcpy(out, at(each), kPageSize);
  }
}

Status GuestMemory::read(std::uint64_t address, std::size_t length, char* out) {
  while (length != 0) {
    const std::size_t page = address / kPageSize;
    const std::size_t part = std::min(length, kPageSize - address % kPageSize);
    if (!behind_.await(page))
      return fail(Code::unavailable, "read guest memory: page " + std::to_string(page) + " did not follow the guest");
    const std::lock_guard lock(lock_of(page));
    if (::pread(file_.get(), out, part, static_cast<off_t>(address)) != static_cast<ssize_t>(part))
      return fail(errno_error("read guest memory"));
    address += part;
    out += part;
    length -= part;
  }
  return {};
}

void GuestMemory::receive(std::size_t page, const unsigned char* bytes) {
  const std::lock_guard lock(lock_of(page));
  put(page, bytes);
}

void GuestMemory::put(std::size_t page, const unsigned char* bytes) {
  std::memcpy(at(page), bytes, kPageSize);
  if (page == 0) return;
  if (generations_[page] == 0) ++written_;
  std::memcpy(&generations_[page], bytes, sizeof(std::uint64_t));
}

void GuestMemory::receive_zeros(std::size_t page, std::size_t count) {
  for (std::size_t each = page; each < page + count; ++each) {
    const std::lock_guard lock(lock_of(each));
    clear(each);
  }
}

void GuestMemory::clear(std::size_t page) {
  if (generations_[page] == 0 && page != 0) return;
  std::memset(at(page), 0, kPageSize);
  if (generations_[page] != 0) --written_;
  generations_[page] = 0;
}

// Under the page's lock, as it may come twice: what the guest has written since is not overwritten.
bool GuestMemory::receive_behind(std::size_t page, const unsigned char* bytes) {
  const std::lock_guard lock(lock_of(page));
  if (!behind_.contains(page)) return false;
  if (bytes != nullptr)
    put(page, bytes);
  else
    clear(page);
  behind_.arrived(page);
  return true;
}

void GuestMemory::mark_all_dirty() {
  for (std::size_t page = 0; page < pages_; ++page) mark_dirty(page);
}

std::vector<std::uint64_t> GuestMemory::take_dirty() {
  std::vector<std::uint64_t> words(dirty_.size());
  for (std::size_t i = 0; i < dirty_.size(); ++i) words[i] = dirty_[i].exchange(0);
  return words;
}

std::size_t GuestMemory::dirty_pages() const {
  std::size_t count = 0;
  for (const auto& word : dirty_) count += static_cast<std::size_t>(std::popcount(word.load()));
  return count;
}

std::uint64_t GuestMemory::writes() {
  std::uint64_t sum = 0;
  for (std::size_t page = 0; page < pages_; ++page) {
    const std::lock_guard lock(lock_of(page));
    sum += generations_[page];
  }
  return sum;
}

Digest GuestMemory::digest() {
  Digest sum;
  for (std::size_t page = 0; page < pages_; ++page) {
    const std::lock_guard lock(lock_of(page));
    if (generations_[page] != 0 || page == 0) sum += page_digest(page, at(page));
  }
  return sum;
}

std::size_t GuestMemory::wrong_pages() {
  std::size_t wrong = 0;
  std::array<unsigned char, kPageSize> bytes;
  for (std::size_t page = 0; page < pages_; ++page) {
    const std::lock_guard lock(lock_of(page));
    const bool read = ::pread(file_.get(), bytes.data(), kPageSize, static_cast<off_t>(page * kPageSize)) == kPageSize;
    if (!read || !content_.matches(page, generations_[page], bytes.data())) ++wrong;
  }
  return wrong;
}

}  // namespace vmsec::sim

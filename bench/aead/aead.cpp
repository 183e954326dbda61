// What sealing and opening one record costs: OpenSSL's EVP beside each kernel of the accelerator.
//
// In place, one thread, keys set once, 16 bytes of associated data: as a stream does.
// The time is the thread's CPU time, for the machine may have other work.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "accelerated_aead.hpp"
#include "evp_aead.hpp"
#include "record.hpp"

using namespace vmsec::migration;

namespace {

// A cipher, and who computes it: EVP, or a kernel of the accelerator.
struct Implementation {
  const char* algorithm;
  std::size_t key_size;
  std::string_view kernel;  // its name's beginning; empty for EVP
};

void complain(benchmark::State& state, const vmsec::Status& status) {
  if (!status) state.SkipWithError(status.error().message.c_str());
}

struct Record {
  AeadNonce nonce{};
  std::vector<unsigned char> header, text, tag;

  explicit Record(std::size_t size) : header(kHeaderSize, 'h'), text(size, 't'), tag(kTagSize) {}
  std::span<unsigned char, kTagSize> tag_span() { return std::span<unsigned char>(tag).first<kTagSize>(); }
};

const GcmKernel* kernel_here(std::string_view name) {
  for (const GcmKernel* kernel : gcm_kernels())
    if (std::string_view(kernel->name).starts_with(name) && kernel->missing(cpu_features()).empty()) return kernel;
  return nullptr;
}

std::unique_ptr<Aead> make(const Implementation& implementation, AeadUse use) {
  if (implementation.kernel.empty()) {
    auto made = EvpAead::create(use, implementation.algorithm);
    return made ? std::move(*made) : nullptr;
  }
  const GcmKernel* kernel = kernel_here(implementation.kernel);
  return kernel == nullptr ? nullptr : std::make_unique<AcceleratedAead>(*kernel, implementation.key_size);
}

// Null, and the benchmark skipped, where this machine has no such implementation.
std::unique_ptr<Aead> with_key(const Implementation& implementation, AeadUse use, benchmark::State& state) {
  auto aead = make(implementation, use);
  if (!aead)
    state.SkipWithError("not on this machine");
  else
    complain(state, aead->set_key(std::string(aead->key_size(), 'k')));
  return aead;
}

void count_bytes(benchmark::State& state, const Record& record) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(record.text.size()));
}

void seal(benchmark::State& state, const Implementation& implementation) {
  Record record(static_cast<std::size_t>(state.range(0)));
  const auto aead = with_key(implementation, AeadUse::seal, state);
  if (!aead) return;
  while (state.KeepRunning()) {
    ++record.nonce[11];
    complain(state, aead->seal(record.nonce, record.header, record.text, record.tag_span()));
  }
  count_bytes(state, record);
}

// Opening overwrites the ciphertext C by the text P; and with the same nonce P, taken for a
// ciphertext, opens to C. So the two take turns, each with its tag, and nothing is copied.
void open(benchmark::State& state, const Implementation& implementation) {
  Record record(static_cast<std::size_t>(state.range(0)));
  const auto sealer = with_key(implementation, AeadUse::seal, state),
             opener = with_key(implementation, AeadUse::open, state);
  if (!sealer || !opener) return;
  std::array<std::array<unsigned char, kTagSize>, 2> tags;
  complain(state, sealer->seal(record.nonce, record.header, record.text, tags[1]));
  complain(state, sealer->seal(record.nonce, record.header, record.text, tags[0]));
  std::size_t turn = 0;
  while (state.KeepRunning()) {
    complain(state, opener->open(record.nonce, record.header, record.text, tags[turn]));
    turn ^= 1;
  }
  count_bytes(state, record);
}

void sizes(benchmark::internal::Benchmark* each) { each->RangeMultiplier(4)->Range(16384, 1 << 20); }

constexpr std::string_view k512 = "VAES, 512 bit", k256 = "VAES, 256 bit";

#define VMSEC_BENCH(name, ...)                                              \
  BENCHMARK_CAPTURE(seal, name, Implementation{__VA_ARGS__})->Apply(sizes); \
  BENCHMARK_CAPTURE(open, name, Implementation{__VA_ARGS__})->Apply(sizes)

VMSEC_BENCH(aes_128_gcm_evp, "AES-128-GCM", 16, {});
VMSEC_BENCH(aes_128_gcm_vaes_512, "AES-128-GCM", 16, k512);
VMSEC_BENCH(aes_128_gcm_vaes_256, "AES-128-GCM", 16, k256);
VMSEC_BENCH(aes_256_gcm_evp, "AES-256-GCM", 32, {});
VMSEC_BENCH(aes_256_gcm_vaes_512, "AES-256-GCM", 32, k512);
VMSEC_BENCH(aes_256_gcm_vaes_256, "AES-256-GCM", 32, k256);
VMSEC_BENCH(chacha20_poly1305_evp, "ChaCha20-Poly1305", 32, {});

}  // namespace

BENCHMARK_MAIN();

// Who is chosen, and every reason to refuse.
#include "aead.hpp"
#include "gcm_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

constexpr CpuidLeaves kWhole{(1u << 1) | (1u << 25) | (1u << 28), (1u << 5) | (1u << 16) | (1u << 30) | (1u << 31),
                             (1u << 9) | (1u << 10), 0xe7};

CpuidLeaves without(std::uint32_t CpuidLeaves::* leaf, int bit) {
  CpuidLeaves leaves = kWhole;
  leaves.*leaf &= ~(1u << bit);
  return leaves;
}

std::string_view wants_vpclmulqdq(const CpuFeatures& features) {
  return features.vpclmulqdq ? std::string_view() : "vpclmulqdq";
}

GcmKernel named(const char* name, std::string_view (*missing)(const CpuFeatures&)) {
  GcmKernel kernel = **gcm_kernels().begin();
  kernel.name = name;
  kernel.missing = missing;
  return kernel;
}

void expect_error(const Result<const GcmKernel*>& chosen, Code code, std::string_view part) {
  REQUIRE_FALSE(chosen);
  INFO(chosen.error().message);
  CHECK(chosen.error().code == code);
  CHECK(chosen.error().message.starts_with("accelerator vaes: "));
  CHECK(chosen.error().message.find(part) != std::string::npos);
}

// Faults: each is a kernel that is right but for one thing.
const GcmKernel* g_right = nullptr;

void wrong_tag_when_long(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  g_right->encrypt(tables, text, tag);
  if (text.size > 65536) tag[15] ^= 0x80;
}
void wrong_tag_when_much_is_associated(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  g_right->encrypt(tables, text, tag);
  if (text.associated.size() >= 512) tag[0] ^= 1;
}
void wrong_byte_at_the_end(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  g_right->encrypt(tables, text, tag);
  if (text.size % 16 == 15) text.out[text.size - 1] ^= 1;
}
void wrong_key_of_256_bits(GcmTables& tables, std::span<const unsigned char> key) {
  g_right->set_key(tables, key);
  if (key.size() == 32) tables.round_keys[14][3] ^= 1;
}
void wrong_power(GcmTables& tables, std::span<const unsigned char> key) {
  g_right->set_key(tables, key);
  tables.powers[(kGcmPowers - 16) * kGcmBlock] ^= 1;
}
void decrypts_to_zeros(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  g_right->decrypt(tables, text, tag);
  std::fill_n(text.out, text.size, 0);
}

}  // namespace

TEST_CASE("each feature that the CPU or the system lacks is named") {
  CHECK(missing_for_vaes512(decode(kWhole)).empty());
  CHECK(missing_for_vaes256(decode(kWhole)).empty());
  CHECK(missing_for_vaes256({}) == "x86-64");
  CHECK(missing_for_vaes256(decode({})) == "aes");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf1_ecx, 25))) == "aes");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf1_ecx, 1))) == "pclmulqdq");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf1_ecx, 28))) == "avx");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf7_ebx, 5))) == "avx2");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf7_ecx, 9))) == "vaes");
  CHECK(missing_for_vaes256(decode(without(&CpuidLeaves::leaf7_ecx, 10))) == "vpclmulqdq");
  CHECK(missing_for_vaes512(decode(without(&CpuidLeaves::leaf7_ecx, 10))) == "vpclmulqdq");
  CHECK(missing_for_vaes512(decode(without(&CpuidLeaves::leaf7_ebx, 16))) == "avx512f");
  CHECK(missing_for_vaes512(decode(without(&CpuidLeaves::leaf7_ebx, 30))) == "avx512bw");
  CHECK(missing_for_vaes512(decode(without(&CpuidLeaves::leaf7_ebx, 31))) == "avx512vl");
}

TEST_CASE("a system that does not save the wide registers counts as a CPU without them") {
  CpuidLeaves leaves = kWhole;
  leaves.xcr0 = 0x07;
  CHECK(missing_for_vaes256(decode(leaves)).empty());
  CHECK(missing_for_vaes512(decode(leaves)).find("zmm") == 0);
  leaves.xcr0 = 0x67;  // without the upper sixteen
  CHECK(missing_for_vaes512(decode(leaves)).find("zmm") == 0);
  leaves.xcr0 = 0x03;
  CHECK(missing_for_vaes256(decode(leaves)).find("ymm") == 0);
}

TEST_CASE("what is asked for and cannot be is an error that says why") {
  expect_error(choose_kernel({}, {}), Code::unsupported, "this build has none");
  if (gcm_kernels().empty()) return;
  expect_error(choose_kernel(decode(without(&CpuidLeaves::leaf7_ecx, 10)), gcm_kernels()), Code::unsupported,
               "this CPU lacks vpclmulqdq");
  const GcmKernel one = named("one", wants_vpclmulqdq);
  const GcmKernel* const list[] = {&one};
  expect_error(choose_kernel({}, list), Code::unsupported, "this CPU lacks vpclmulqdq");
}

TEST_CASE("the widest that the CPU runs is chosen") {
  const auto here = kernels_here();
  if (here.empty()) {
    CHECK_FALSE(vaes_kernel());
    CHECK_FALSE(check_accelerator(Accelerator::vaes));
    CHECK_FALSE(make_aead(AeadUse::seal, {Cipher::aes_128_gcm, Accelerator::vaes}));
    return;
  }
  REQUIRE(vaes_kernel());
  CHECK(*vaes_kernel() == here.front());
  CHECK(check_accelerator(Accelerator::vaes));
  CpuFeatures narrow = cpu_features();
  narrow.zmm_state = false;
  const auto chosen = choose_kernel(narrow, gcm_kernels());
  REQUIRE(chosen);
  CHECK(*chosen == gcm_kernels().back());
}

TEST_CASE("a known answer that is not met refuses the accelerator") {
  const auto here = kernels_here();
  if (here.empty()) return;
  const auto right = gcm_known_answers();
  for (std::size_t i = 0; i < right.size(); ++i) {
    std::vector<KnownAnswer> answers(right.begin(), right.end());
    std::string tag(answers[i].tag);
    tag.back() = tag.back() == '0' ? '1' : '0';
    answers[i].tag = tag;
    expect_error(choose_kernel(cpu_features(), gcm_kernels(), answers), Code::internal,
                 "vector " + std::to_string(i + 1) + ": another tag");
  }
}

TEST_CASE("a kernel with one fault is refused, and no other takes its place") {
  for (const GcmKernel* right : kernels_here()) {
    g_right = right;
    std::vector<GcmKernel> faulty(6, *right);
    faulty[0].encrypt = wrong_tag_when_long;
    faulty[1].encrypt = wrong_byte_at_the_end;
    faulty[2].set_key = wrong_key_of_256_bits;
    faulty[3].set_key = wrong_power;
    faulty[4].decrypt = decrypts_to_zeros;
    faulty[5].encrypt = wrong_tag_when_much_is_associated;
    for (const GcmKernel& wrong : faulty) {
      const GcmKernel* const list[] = {&wrong, right};
      expect_error(choose_kernel(cpu_features(), list), Code::internal, "fails its known-answer test");
    }
  }
}

TEST_CASE("who sealed is told; ChaCha20-Poly1305 is always EVP's") {
  CHECK(implementation_of({Cipher::aes_128_gcm, Accelerator::none}).starts_with("AES-128-GCM by OpenSSL 3"));
  CHECK(implementation_of({Cipher::chacha20_poly1305, Accelerator::vaes}).starts_with("ChaCha20-Poly1305 by OpenSSL"));
  CHECK(make_aead(AeadUse::open, {Cipher::chacha20_poly1305, Accelerator::vaes}));
  if (kernels_here().empty()) return;
  CHECK(implementation_of({Cipher::aes_256_gcm, Accelerator::vaes}).starts_with("AES-256-GCM by vmsec VAES"));
  CHECK(implementation_of({Cipher::none, Accelerator::vaes}).find("AES-256-GMAC by vmsec VAES") != std::string::npos);
}

// Nothing that was changed opens, and nothing of it is given out.
#include "gcm_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

struct Message {
  Buffer nonce, associated;
  Sealed sealed;
};

// `tampered`, and zeros: out of place and in place.
void expect_refused(const AesGcm& gcm, const Message& message) {
  const auto tag = tag_of(message.sealed.tag);
  const Buffer zeros(message.sealed.text.size());
  Buffer out = noise(zeros.size(), 99), in_place = message.sealed.text;
  const Status apart = gcm.open(nonce_of(message.nonce), message.associated, message.sealed.text, out, tag);
  REQUIRE_FALSE(apart);
  REQUIRE(apart.error().code == Code::tampered);
  REQUIRE(out == zeros);
  REQUIRE_FALSE(gcm.open(nonce_of(message.nonce), message.associated, in_place, in_place, tag));
  REQUIRE(in_place == zeros);
}

void change_each(const AesGcm& gcm, const Message& good, Buffer& (*part)(Message&), int bits) {
  Message message = good;
  for (std::size_t i = 0; i < part(message).size(); ++i)
    for (int bit = 0; bit < bits; ++bit) {
      const auto flip = static_cast<unsigned char>(1 << (bits == 8 ? bit : static_cast<int>(i % 8)));
      INFO("byte " << i << ", xor " << int{flip});
      part(message)[i] ^= flip;
      expect_refused(gcm, message);
      part(message)[i] ^= flip;
    }
}

template <class Test>
void for_each_message(Test test) {
  for (const GcmKernel* kernel : kernels_here())
    for (const std::size_t key : {16, 32})
      for (const std::size_t size : {0, 1, 16, 63, 100, 513, 1100}) {
        INFO(kernel->name << ", a key of " << key << ", " << size << " bytes");
        const AesGcm gcm = *AesGcm::create(*kernel, noise(key, 1));
        Message message{noise(12, 2), noise(16 + size % 5, 3), {noise(size, 4)}};
        REQUIRE(gcm.seal(nonce_of(message.nonce), message.associated, message.sealed.text, message.sealed.text,
                         tag_of(message.sealed.tag)));
        test(gcm, message);
      }
}

}  // namespace

TEST_CASE("a tag in which any one bit is changed does not open") {
  for_each_message([](const AesGcm& gcm, const Message& message) {
    change_each(gcm, message, [](Message& of) -> Buffer& { return of.sealed.tag; }, 8);
  });
}

TEST_CASE("associated data, ciphertext or nonce in which any byte is changed does not open") {
  for_each_message([](const AesGcm& gcm, const Message& message) {
    change_each(gcm, message, [](Message& of) -> Buffer& { return of.associated; }, 1);
    change_each(gcm, message, [](Message& of) -> Buffer& { return of.sealed.text; }, 1);
    change_each(gcm, message, [](Message& of) -> Buffer& { return of.nonce; }, 1);
  });
}

TEST_CASE("a byte that moves between text and associated data, or is left out, does not open") {
  for_each_message([](const AesGcm& gcm, const Message& good) {
    Message shorter = good;
    shorter.associated.pop_back();
    expect_refused(gcm, shorter);
    Message longer = good;
    longer.associated.push_back(0);
    expect_refused(gcm, longer);
    Message more = good;
    more.sealed.text.push_back(0);
    expect_refused(gcm, more);
    if (good.sealed.text.empty()) return;
    Message moved = good;
    moved.associated.push_back(moved.sealed.text.front());
    moved.sealed.text.erase(moved.sealed.text.begin());
    expect_refused(gcm, moved);
  });
}

TEST_CASE("another key does not open") {
  for_each_message([](const AesGcm&, const Message& message) {
    for (const GcmKernel* kernel : kernels_here())
      for (const std::size_t key : {16, 32}) expect_refused(*AesGcm::create(*kernel, noise(key, 55)), message);
  });
}

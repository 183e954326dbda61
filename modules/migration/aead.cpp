#include "aead.hpp"

#include <openssl/crypto.h>

#include "accelerated_aead.hpp"
#include "accelerator/accelerator.hpp"
#include "evp_aead.hpp"

namespace vmsec::migration {
namespace {

// "none" is AES-256-GCM whose whole record is associated data: a GMAC.
const char* algorithm_name(Cipher cipher) {
  switch (cipher) {
    case Cipher::aes_128_gcm:
      return "AES-128-GCM";
    case Cipher::aes_256_gcm:
    case Cipher::none:
      return "AES-256-GCM";
    case Cipher::chacha20_poly1305:
      return "ChaCha20-Poly1305";
    case Cipher::policy:
      break;
  }
  return nullptr;
}

bool is_accelerated(Suite suite) {
  return suite.accelerator == Accelerator::vaes && suite.cipher != Cipher::chacha20_poly1305;
}

std::string library_of(Suite suite) {
  if (!is_accelerated(suite)) return "OpenSSL " + std::string(OpenSSL_version(OPENSSL_VERSION_STRING)) + " EVP";
  const auto kernel = vaes_kernel();
  return kernel ? "vmsec " + std::string((*kernel)->name) : "nobody: " + kernel.error().message;
}

}  // namespace

bool is_stream_cipher(Cipher cipher) { return algorithm_name(cipher) != nullptr; }

Result<std::unique_ptr<Aead>> make_aead(AeadUse use, Suite suite) {
  const char* name = algorithm_name(suite.cipher);
  if (name == nullptr)
    return fail(Code::invalid_argument,
                "seal a stream with cipher " + std::string(to_string(suite.cipher)) + ": no cipher");
  if (!is_accelerated(suite)) return EvpAead::create(use, name);
  VMSEC_TRY(const GcmKernel* kernel, vaes_kernel());
  return std::make_unique<AcceleratedAead>(*kernel, suite.cipher == Cipher::aes_128_gcm ? 16 : 32);
}

Status check_accelerator(Accelerator accelerator) {
  if (accelerator == Accelerator::none) return {};
  VMSEC_TRY(std::ignore, vaes_kernel());
  return {};
}

std::string implementation_of(Suite suite) {
  if (!is_stream_cipher(suite.cipher)) return "unknown";
  const std::string library = " by " + library_of(suite);
  if (suite.cipher == Cipher::none) return "none (authenticated: AES-256-GMAC" + library + ")";
  return algorithm_name(suite.cipher) + library;
}

}  // namespace vmsec::migration

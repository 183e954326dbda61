// RAII for the OpenSSL objects that this module uses, and its errors.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::migration {

template <auto kFree>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using CipherHandle = std::unique_ptr<EVP_CIPHER, Deleter<EVP_CIPHER_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

// The first error in this thread's queue, which is then empty.
inline Error openssl_error(std::string_view operation) {
  const unsigned long number = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(number);
  return Error{Code::internal, std::string(operation) + ": " + (reason != nullptr ? reason : "no reason given"),
               static_cast<std::int64_t>(number), "openssl"};
}

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace vmsec::migration

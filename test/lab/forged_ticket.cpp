// Signs a ticket's claims anew with a key of the caller's: what a host could do with its own.
//
//   forged_ticket own|lent KEY_FILE < TICKET > FORGED    (a ticket's bytes)
//
// own: it says which key signed it; lent: it says that the placement key did.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "vmsec/identity.hpp"

namespace {

using namespace vmsec;

template <auto kFree>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using File = std::unique_ptr<std::FILE, Deleter<std::fclose>>;

std::string public_digest(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  std::string digest(32, '\0');
  EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return digest;
}

Result<std::string> sign(EVP_PKEY* key, const std::string& bytes) {
  const Digest context(EVP_MD_CTX_new());
  const bool pure = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;
  std::string signature(256, '\0');
  std::size_t size = signature.size();
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  if (EVP_DigestSignInit(context.get(), nullptr, pure ? nullptr : EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), out, &size, in, bytes.size()) != 1)
    return fail(Code::internal, "sign");
  signature.resize(size);
  return signature;
}

Status run(const std::string& manner, const char* key_file) {
  const File file(std::fopen(key_file, "r"));
  const Key key(file ? PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!key) return fail(Code::io, std::string("read key ") + key_file);
  const std::string given(std::istreambuf_iterator<char>(std::cin), {});
  VMSEC_TRY(SignedTicket ticket, wire::decode<SignedTicket>(given));
  VMSEC_TRY(TicketClaims claims, wire::decode<TicketClaims>(ticket.claims));
  if (manner == "own") claims.placement_key = public_digest(key.get());
  ticket.claims = wire::encode(claims);
  VMSEC_TRY(ticket.signature, sign(key.get(), std::string(kTicketLabel) + '\0' + ticket.claims));
  std::cout << wire::encode(ticket);
  return {};
}

}  // namespace

int main(int count, char** words) {
  const auto done = count == 3 ? run(words[1], words[2]) : Status(fail(Code::invalid_argument, "want own|lent KEY"));
  if (done) return 0;
  std::fprintf(stderr, "forged_ticket: %s\n", done.error().message.c_str());
  return 1;
}

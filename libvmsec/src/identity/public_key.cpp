#include "identity/files.hpp"
#include "identity/impl.hpp"

namespace vmsec {

UnixSeconds system_now() { return UnixSeconds{static_cast<std::uint64_t>(std::time(nullptr))}; }

Status check_host_name(std::string_view name) {
  const auto bad = [&](std::string_view cause) {
    return fail(Code::invalid_argument, "host name \"" + printable(name) + "\": " + std::string(cause));
  };
  if (name.empty() || name.size() > 63) return bad("want 1 to 63 characters");
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  char before = '.';
  for (const char c : name) {
    if (!is_word(c) && c != '-' && c != '.') return bad("want a-z, 0-9, \"-\" and \".\" only");
    if (before == '.' && !is_word(c)) return bad("each part begins with a letter or digit");
    if (c == '.' && before == '-') return bad("each part ends with a letter or digit");
    before = c;
  }
  if (!is_word(before)) return bad("it ends with a letter or digit");
  return {};
}

Result<PublicKey> PublicKey::load(const std::filesystem::path& file) {
  VMSEC_TRY(const std::string pem, identity::read_file(file));
  auto key = parse(pem);
  if (!key) return fail(key.error().in(file.string()));
  return key;
}

Result<PublicKey> PublicKey::parse(std::string_view pem) {
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos)
    return fail(Code::invalid_argument, "read public key: it is a private key; that stays where it was made");
  if (pem.find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) {
    VMSEC_TRY(auto key, identity::parse_public(pem, "public key"));
    return identity::Access::public_key(std::move(key));
  }
  VMSEC_TRY(const auto certificate, identity::parse_certificate(pem, "certificate"));
  return identity::Access::public_key(identity::KeyHandle(X509_get_pubkey(certificate.get())));
}

const std::string& PublicKey::digest() const { return impl_->digest; }

std::string PublicKey::pem() const { return identity::public_pem(impl_->key.get()).value_or(std::string()); }

Status PublicKey::verify(std::string_view label, std::string_view bytes, std::string_view signature) const {
  return identity::verify(impl_->key.get(), label, bytes, signature);
}

namespace identity {

Result<PublicKey> Access::public_key(KeyHandle key) {
  VMSEC_TRY(std::string digest, key_digest(key.get()));
  PublicKey out;
  out.impl_ = std::make_shared<const PublicKey::Impl>(PublicKey::Impl{std::move(key), std::move(digest)});
  return out;
}

Result<PublicKey> Access::public_half(EVP_PKEY* key) {
  VMSEC_TRY(const std::string pem, public_pem(key));
  return PublicKey::parse(pem);
}

}  // namespace identity
}  // namespace vmsec

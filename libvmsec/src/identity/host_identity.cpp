#include "identity/certificates.hpp"
#include "identity/files.hpp"
#include "identity/impl.hpp"
#include "identity/verify.hpp"

namespace vmsec {
using namespace identity;

namespace {

Status load_certificates(HostState& host) {
  VMSEC_TRY(const std::string authority, read_file(host.files.authority));
  VMSEC_TRY(host.authority, parse_certificate(authority, host.files.authority.string()));
  if (X509_check_ca(host.authority.get()) != 1)
    return fail(Code::invalid_argument, host.files.authority.string() + ": not an authority's certificate");
  VMSEC_TRY(host.authority_key, key_digest(X509_get0_pubkey(host.authority.get())));
  VMSEC_TRY(const std::string own, read_file(host.files.certificate));
  VMSEC_TRY(host.certificate, parse_certificate(own, host.files.certificate.string()));
  VMSEC_TRY(const int verdict, verify_chain(host.authority.get(), host.certificate.get(), nullptr, host.clock()));
  if (verdict != X509_V_OK)
    return fail(verdict == X509_V_ERR_CERT_HAS_EXPIRED ? Code::expired : Code::unauthenticated,
                host.files.certificate.string() + ": " + explain(verdict));
  auto self = describe(host.certificate.get());
  if (!self) return fail(self.error().in(host.files.certificate.string()));
  host.self = std::move(*self);
  return {};
}

Status load_key(HostState& host) {
  VMSEC_TRY(host.key, load_private(host.files.key));
  if (X509_check_private_key(host.certificate.get(), host.key.get()) != 1)
    return fail(openssl_error(host.files.key.string() + ": not the key of " + host.files.certificate.string(),
                              Code::invalid_argument));
  VMSEC_TRY(host.public_key, Access::public_half(host.key.get()));
  return {};
}

Status load_placement_keys(HostState& host) {
  for (const auto& file : host.files.placement_keys) {
    VMSEC_TRY(auto key, PublicKey::load(file));
    if (equal_digests(key.digest(), host.self.key_digest))
      return fail(Code::denied, "placement key " + file.string() + ": it is this host's own key");
    if (equal_digests(key.digest(), host.authority_key))
      return fail(Code::denied, "placement key " + file.string() + ": it is the certificate authority's key");
    host.placement_keys.push_back(std::move(key));
  }
  return {};
}

// As of the time when it began: it may have expired since, and been revoked.
Status load_former(HostState& host, const std::filesystem::path& file) {
  const std::string what = "former certificate " + file.string();
  VMSEC_TRY(const std::string pem, read_file(file));
  VMSEC_TRY(const CertificateHandle certificate, parse_certificate(pem, file.string()));
  VMSEC_TRY(const UnixSeconds begin, unix_time(X509_get0_notBefore(certificate.get())));
  VMSEC_TRY(const int verdict, verify_chain(host.authority.get(), certificate.get(), nullptr, begin));
  if (verdict != X509_V_OK) return fail(Code::unauthenticated, what + ": " + explain(verdict));
  auto former = describe(certificate.get());
  if (!former) return fail(former.error().in(what));
  if (former->name != host.self.name)
    return fail(Code::denied, what + ": it is host " + former->name + "'s, not " + host.self.name + "'s");
  VMSEC_TRY(auto key, Access::public_half(X509_get0_pubkey(certificate.get())));
  host.former_keys.push_back(std::move(key));
  return {};
}

}  // namespace

Result<HostIdentity> HostIdentity::load(const HostFiles& files, Clock clock) {
  auto impl = std::make_shared<Impl>();
  impl->files = files;
  impl->clock = std::move(clock);
  if (!std::filesystem::is_directory(files.state_dir))
    return fail(Code::not_found, "load identity: no state folder " + files.state_dir.string());
  VMSEC_CHECK(load_certificates(*impl));
  VMSEC_CHECK(load_key(*impl));
  VMSEC_CHECK(load_placement_keys(*impl));
  for (const auto& file : files.former_certificates) VMSEC_CHECK(load_former(*impl, file));
  HostIdentity identity;
  identity.impl_ = std::move(impl);
  return identity;
}

const std::string& HostIdentity::name() const { return impl_->self.name; }
const std::string& HostIdentity::key_digest() const { return impl_->self.key_digest; }
const std::string& HostIdentity::certificate_digest() const { return impl_->self.certificate_digest; }
UnixSeconds HostIdentity::not_after() const { return impl_->self.not_after; }
const PublicKey& HostIdentity::public_key() const { return impl_->public_key; }
const std::vector<PublicKey>& HostIdentity::former_keys() const { return impl_->former_keys; }
const HostFiles& HostIdentity::files() const { return impl_->files; }
UnixSeconds HostIdentity::now() const { return impl_->clock(); }

Result<PeerIdentity> HostIdentity::verify_peer(const std::vector<std::string>& chain) const {
  if (chain.empty()) return fail(Code::unauthenticated, "verify peer: it showed no certificate");
  auto certificate = parse_certificate_der(chain.front());
  if (!certificate) return fail(Code::unauthenticated, "verify peer: " + certificate.error().message);
  int verdict = 0;
  return verify_certificate(*impl_, certificate->get(), verdict);
}

Result<HostIdentity::CrlState> HostIdentity::check_crl() const {
  VMSEC_TRY(const CheckedCrl list, identity::check_crl(*impl_, impl_->clock()));
  return list.state;
}

Result<std::string> HostIdentity::sign(std::string_view label, std::string_view bytes) const {
  if (!label.starts_with("vmsec ") || label == kTicketLabel || label.find('\0') != std::string_view::npos)
    return fail(Code::denied, "sign with the host's key: \"" + printable(label) + "\" is no label for that");
  return identity::sign(impl_->key.get(), label, bytes);
}

}  // namespace vmsec

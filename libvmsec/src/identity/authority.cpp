#include <openssl/pem.h>
#include <sys/stat.h>

#include <algorithm>

#include "identity/certificates.hpp"
#include "identity/files.hpp"
#include "identity/impl.hpp"

namespace vmsec {
namespace fs = std::filesystem;
using namespace identity;

struct CertificateAuthority::Impl {
  fs::path dir;
  Clock clock;
  std::string name;
  CertificateHandle certificate;
  KeyHandle key;
  UnixSeconds not_after;

  [[nodiscard]] Signer signer() const { return {certificate.get(), key.get()}; }
  [[nodiscard]] Result<FileLock> lock() const { return FileLock::take(dir / "lock"); }
};

namespace {

constexpr std::uint64_t kDay = 24UL * 3600;
constexpr std::uint64_t kMaxDays = 3650;
constexpr std::size_t kMaxCrlFile = 16 << 20;

UnixSeconds backdated(UnixSeconds now) { return {now.value > kBackdateSeconds ? now.value - kBackdateSeconds : 0}; }

Status check_authority_name(std::string_view name) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '.' ||
           c == '-' || c == '_';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), safe))
    return fail(Code::invalid_argument, "authority name \"" + printable(name) +
                                            "\": want 1 to 64 of letters, digits, spaces, \".\", \"-\" and \"_\"");
  return {};
}

Status check_days(std::uint32_t days) {
  if (days >= 1 && days <= kMaxDays) return {};
  return fail(Code::invalid_argument,
              "lifetime of " + std::to_string(days) + " days: want 1 to " + std::to_string(kMaxDays));
}

Status make_folder(const fs::path& dir) {
  if (::mkdir(dir.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(errno_error("create folder " + dir.string()));
}

// With its parents. The last one is ours alone; a folder that is there keeps its mode.
Status make_folders(const fs::path& dir) {
  std::error_code error;
  fs::path whole = fs::absolute(dir, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // "certs/" is certs
  const fs::path parent = whole.parent_path();
  if (!error) fs::create_directories(parent, error);
  if (error) return fail(Code::io, "create folder " + parent.string() + ": " + error.message());
  return make_folder(dir);
}

// The decimal number in a small file, and nothing else but a newline.
Result<std::uint64_t> read_number(const fs::path& file) {
  VMSEC_TRY(std::string text, read_file(file));
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    return fail(Code::tampered, "read " + file.string() + ": not a number");
  return std::stoull(text);
}

Result<IssuedCertificate> read_issued(const fs::path& dir, const fs::path& file) {
  VMSEC_TRY(const std::string pem, read_file(file));
  VMSEC_TRY(const auto certificate, parse_certificate(pem, file.string()));
  auto described = describe(certificate.get());
  if (!described) return fail(described.error().in(file.string()));
  VMSEC_TRY(const auto not_before, unix_time(X509_get0_notBefore(certificate.get())));
  IssuedCertificate issued{described->serial, described->name, not_before, described->not_after, {}};
  const fs::path mark = dir / "revoked" / issued.serial;
  if (fs::exists(mark)) {
    VMSEC_TRY(const std::uint64_t when, read_number(mark));
    issued.revoked = UnixSeconds{when};
  }
  return issued;
}

Result<std::vector<IssuedCertificate>> read_all_issued(const fs::path& dir) {
  std::vector<IssuedCertificate> all;
  std::error_code error;
  for (fs::directory_iterator at(dir / "issued", error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".crt") continue;
    VMSEC_TRY(auto issued, read_issued(dir, at->path()));
    all.push_back(std::move(issued));
  }
  if (error) return fail(Code::io, "list " + (dir / "issued").string() + ": " + error.message());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::tie(a.host, a.not_before, a.serial) < std::tie(b.host, b.not_before, b.serial);
  });
  return all;
}

Status refuse_existing(const fs::path& file) {
  if (!fs::exists(fs::symlink_status(file))) return {};
  return fail(Code::already_exists, "create " + file.string() + ": it is there already, and is never replaced");
}

Status fill_folder(const fs::path& dir, std::string_view name, const AuthorityOptions& options, UnixSeconds now) {
  VMSEC_TRY(const auto lock, FileLock::take(dir / "lock"));
  for (const char* file : {"ca.key", "ca.crt"}) VMSEC_CHECK(refuse_existing(dir / file));
  VMSEC_CHECK(make_folder(dir / "issued"));
  VMSEC_CHECK(make_folder(dir / "revoked"));
  VMSEC_TRY(const auto key, generate_key(options.key));
  const CertificateRequest request{name, key.get(), backdated(now), UnixSeconds{now.value + options.days * kDay}};
  VMSEC_TRY(const auto certificate, make_authority(request));
  VMSEC_TRY(const std::string key_pem, private_pem(key.get()));
  VMSEC_TRY(const std::string pem, certificate_pem(certificate.get()));
  VMSEC_CHECK(replace_file(dir / "crl.number", "0\n", 0600));
  VMSEC_CHECK(write_new_file(dir / "ca.key", key_pem, 0600));
  return write_new_file(dir / "ca.crt", pem, 0644);
}

}  // namespace

Result<CertificateAuthority> CertificateAuthority::init(const fs::path& dir, std::string_view name,
                                                        const AuthorityOptions& options, Clock clock) {
  VMSEC_CHECK(check_authority_name(name));
  VMSEC_CHECK(check_days(options.days));
  VMSEC_CHECK(make_folders(dir));
  VMSEC_CHECK(fill_folder(dir, name, options, clock()));
  VMSEC_TRY(auto authority, open(dir, std::move(clock)));
  VMSEC_CHECK(authority.publish_crl());
  return authority;
}

Result<CertificateAuthority> CertificateAuthority::open(const fs::path& dir, Clock clock) {
  auto impl = std::make_shared<Impl>();
  impl->dir = dir;
  impl->clock = std::move(clock);
  VMSEC_TRY(const std::string pem, read_file(dir / "ca.crt"));
  VMSEC_TRY(impl->certificate, parse_certificate(pem, (dir / "ca.crt").string()));
  VMSEC_TRY(impl->key, load_private(dir / "ca.key"));
  if (X509_check_private_key(impl->certificate.get(), impl->key.get()) != 1)
    return fail(
        openssl_error("open authority " + dir.string() + ": ca.key is not the key of ca.crt", Code::invalid_argument));
  VMSEC_TRY(impl->not_after, unix_time(X509_get0_notAfter(impl->certificate.get())));
  if (impl->not_after < impl->clock())
    return fail(Code::expired, "open authority " + dir.string() + ": its certificate has expired");
  char name[65] = {};
  if (X509_NAME_get_text_by_NID(X509_get_subject_name(impl->certificate.get()), NID_commonName, name, sizeof name) < 0)
    return fail(Code::invalid_argument, "open authority " + dir.string() + ": its certificate has no name");
  impl->name = name;
  CertificateAuthority authority;
  authority.impl_ = std::move(impl);
  return authority;
}

Result<IssuedFiles> CertificateAuthority::issue(std::string_view host, const IssueOptions& options) {
  VMSEC_CHECK(check_host_name(host));
  VMSEC_CHECK(check_days(options.days));
  const UnixSeconds now = impl_->clock();
  const UnixSeconds until = std::min(UnixSeconds{now.value + options.days * kDay}, impl_->not_after);
  const fs::path out = options.out_dir.empty() ? fs::path(".") : options.out_dir;
  IssuedFiles files{out / (std::string(host) + ".crt"), out / (std::string(host) + ".key"), {}};
  VMSEC_CHECK(make_folders(out));
  VMSEC_TRY(const auto lock, impl_->lock());
  VMSEC_CHECK(refuse_existing(files.certificate));
  VMSEC_CHECK(refuse_existing(files.key));
  VMSEC_TRY(const auto key, generate_key(options.key));
  VMSEC_TRY(const auto certificate, make_host({host, key.get(), backdated(now), until}, impl_->signer()));
  VMSEC_TRY(const std::string key_pem, private_pem(key.get()));
  VMSEC_TRY(const std::string pem, certificate_pem(certificate.get()));
  files.serial = serial_of(certificate.get());
  // The register first: no certificate is out that cannot be revoked.
  const fs::path registered = impl_->dir / "issued" / (files.serial + ".crt");
  VMSEC_CHECK(write_new_file(registered, pem, 0600));
  Status written = write_new_file(files.key, key_pem, 0600);
  const bool key_out = written.has_value();
  if (written) written = write_new_file(files.certificate, pem, 0644);
  if (written) return files;
  // Neither file is out, so the register has nothing to tell of.
  std::error_code ignored;
  if (key_out) fs::remove(files.key, ignored);
  fs::remove(registered, ignored);
  return fail(written.error());
}

Result<std::vector<IssuedCertificate>> CertificateAuthority::revoke(std::string_view serial_or_host) {
  VMSEC_TRY(const auto lock, impl_->lock());
  VMSEC_TRY(auto all, read_all_issued(impl_->dir));
  std::erase_if(all, [&](const auto& each) { return each.serial != serial_or_host && each.host != serial_or_host; });
  const std::string what = "revoke \"" + printable(serial_or_host) + "\"";
  if (all.empty()) return fail(Code::not_found, what + ": no such serial or host");
  std::erase_if(all, [](const auto& each) { return each.revoked.has_value(); });
  if (all.empty()) return fail(Code::wrong_state, what + ": revoked already");
  const UnixSeconds now = impl_->clock();
  for (auto& each : all) {
    VMSEC_CHECK(write_new_file(impl_->dir / "revoked" / each.serial, std::to_string(now.value) + "\n", 0600));
    each.revoked = now;
  }
  return all;
}

Result<std::vector<IssuedCertificate>> CertificateAuthority::list() const {
  VMSEC_TRY(const auto lock, impl_->lock());
  return read_all_issued(impl_->dir);
}

Result<std::uint64_t> CertificateAuthority::publish_crl(std::uint64_t lifetime_seconds) {
  if (lifetime_seconds < 60 || lifetime_seconds > 366 * kDay)
    return fail(Code::invalid_argument,
                "publish revocation list for " + std::to_string(lifetime_seconds) + " s: want 60 s to 366 days");
  VMSEC_TRY(const auto lock, impl_->lock());
  VMSEC_TRY(const auto all, read_all_issued(impl_->dir));
  VMSEC_TRY(const std::uint64_t before, read_number(impl_->dir / "crl.number"));
  const UnixSeconds now = impl_->clock();
  CrlRequest request{before + 1, backdated(now), UnixSeconds{now.value + lifetime_seconds}, {}};
  for (const auto& each : all) {
    if (each.revoked) request.revoked.push_back({each.serial, *each.revoked});
  }
  VMSEC_TRY(const std::string pem, make_crl_pem(request, impl_->signer()));
  if (pem.size() > kMaxCrlFile) return fail(Code::limit_exceeded, "publish revocation list: larger than 16 MiB");
  VMSEC_CHECK(replace_file(impl_->dir / "crl.number", std::to_string(request.number) + "\n", 0600));
  VMSEC_CHECK(replace_file(crl_file(), pem, 0644));
  return request.number;
}

Result<RevocationList> CertificateAuthority::revocations() const {
  const std::string file = crl_file().string();
  VMSEC_TRY(const std::string pem, read_file(crl_file(), kMaxCrlFile));
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const CrlHandle crl(bio ? PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!crl || X509_CRL_verify(crl.get(), impl_->key.get()) != 1)
    return fail(openssl_error("read " + file + ": it is no list of this authority", Code::tampered));
  RevocationList list;
  VMSEC_TRY(list.number, read_number(impl_->dir / "crl.number"));
  VMSEC_TRY(list.next_update, unix_time(X509_CRL_get0_nextUpdate(crl.get())));
  return list;
}

UnixSeconds CertificateAuthority::not_after() const { return impl_->not_after; }

fs::path CertificateAuthority::certificate_file() const { return impl_->dir / "ca.crt"; }
fs::path CertificateAuthority::crl_file() const { return impl_->dir / "ca.crl"; }
const std::string& CertificateAuthority::name() const { return impl_->name; }

}  // namespace vmsec

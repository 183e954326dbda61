// Revocation lists: signed, numbered, short-lived; the number never falls.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "identity/files.hpp"
#include "identity/impl.hpp"

namespace vmsec::identity {
namespace {

constexpr std::size_t kMaxCrlFile = 16 << 20;
using IntegerHandle = std::unique_ptr<ASN1_INTEGER, Deleter<ASN1_INTEGER_free>>;

// The highest number seen, and the digest of the list that had it: two different
// lists of one number mean that the authority's folder was set back.
struct Seen {
  std::uint64_t number = 0;
  std::string digest;
};

Result<Seen> parse_seen(std::string_view text, const std::string& file) {
  const auto bad = [&] { return fail(Code::tampered, "read " + file + ": not what was written there"); };
  const std::size_t space = text.find(' ');
  if (space == 0 || space == std::string_view::npos || space > 19 || text.empty() || text.back() != '\n') return bad();
  const std::string_view number = text.substr(0, space);
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return bad();
  Seen seen{std::stoull(std::string(number)), from_hex(text.substr(space + 1, text.size() - space - 2))};
  if (seen.digest.size() != 32) return bad();
  return seen;
}

Status remember(const HostState& host, const Seen& now) {
  const auto file = host.files.state_dir / ("crl-" + hex(host.authority_key.substr(0, 8)));
  VMSEC_TRY(const auto lock, FileLock::take(file.string() + ".lock"));
  const auto text = read_file(file);
  if (!text && text.error().code != Code::not_found) return fail(text.error());
  Seen before;
  if (text) {
    VMSEC_TRY(before, parse_seen(*text, file.string()));
    if (now.number < before.number)
      return fail(Code::tampered, "its number " + std::to_string(now.number) + " is lower than " +
                                      std::to_string(before.number) + ", which was seen before: it was rolled back");
    if (now.number == before.number && !equal_digests(now.digest, before.digest))
      return fail(Code::tampered, "another list with the number " + std::to_string(now.number) + " was seen before");
    if (now.number == before.number) return {};
  }
  return replace_file(file, std::to_string(now.number) + " " + hex(now.digest) + "\n", 0600);
}

Result<CrlHandle> read_signed(const HostState& host) {
  auto pem = read_file(host.files.crl, kMaxCrlFile);
  if (!pem && pem.error().code == Code::not_found) return fail(Code::expired, "it is missing");
  if (!pem) return fail(pem.error());
  const BioHandle bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  CrlHandle crl(PEM_read_bio_X509_CRL(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!crl) return fail(Code::tampered, "not a revocation list in PEM form");
  const bool ours = X509_NAME_cmp(X509_CRL_get_issuer(crl.get()), X509_get_subject_name(host.authority.get())) == 0 &&
                    X509_CRL_verify(crl.get(), X509_get0_pubkey(host.authority.get())) == 1;
  ERR_clear_error();
  if (!ours) return fail(Code::tampered, "it was not signed by our authority");
  return crl;
}

Result<std::uint64_t> number_of(X509_CRL* crl) {
  const IntegerHandle number(static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl, NID_crl_number, nullptr, nullptr)));
  std::uint64_t value = 0;
  if (number && ASN1_INTEGER_get_uint64(&value, number.get()) == 1 && value > 0 && value < 1'000'000'000'000'000'000)
    return value;
  ERR_clear_error();
  return fail(Code::tampered, "it has no number");
}

Result<std::string> digest_of(X509_CRL* crl) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  if (X509_CRL_digest(crl, EVP_sha256(), bytes_of(digest), &size) != 1)
    return fail(openssl_error("digest revocation list"));
  return digest;
}

// The file as it is named now: whoever replaces or writes it changes one of these
// (the kernel's own time of change cannot be set back by writing to the file).
Result<CrlFile> look_at(const std::filesystem::path& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) {
    if (errno == ENOENT) return fail(Code::expired, "it is missing");
    return fail(errno_error("look at it"));
  }
  return CrlFile{found.st_dev,          found.st_ino,         found.st_size,        found.st_mtim.tv_sec,
                 found.st_mtim.tv_nsec, found.st_ctim.tv_sec, found.st_ctim.tv_nsec};
}

// A file that changed just now may change again within the same tick of the clock.
bool is_settled(const CrlFile& file) {
  const auto now = static_cast<std::int64_t>(::time(nullptr));
  return file.changed + 2 < now && file.modified + 2 < now;
}

Result<CrlHandle> share(X509_CRL* crl) {
  if (X509_CRL_up_ref(crl) != 1) return fail(openssl_error("share revocation list"));
  return CrlHandle(crl);
}

// Read, verified and remembered once for each file that is put there: peers make us
// ask often, and strangers too.
Result<CheckedCrl> current(const HostState& host) {
  VMSEC_TRY(const CrlFile file, look_at(host.files.crl));
  CrlCache& cache = host.crl_cache;
  const std::lock_guard lock(cache.mutex);
  CheckedCrl out;
  if (!cache.crl || !(cache.file == file)) {
    cache.crl.reset();
    VMSEC_TRY(CrlHandle crl, read_signed(host));
    VMSEC_TRY(const std::uint64_t number, number_of(crl.get()));
    VMSEC_TRY(const std::string digest, digest_of(crl.get()));
    // Remembered before its time is looked at: a stale list still proves its number.
    VMSEC_CHECK(remember(host, {number, digest}));
    cache.number = number;
    cache.file = file;
    VMSEC_TRY(out.crl, share(crl.get()));
    if (is_settled(file)) cache.crl = std::move(crl);
  } else {
    VMSEC_TRY(out.crl, share(cache.crl.get()));
  }
  out.state.number = cache.number;
  return out;
}

Result<CheckedCrl> check(const HostState& host, UnixSeconds now) {
  VMSEC_TRY(CheckedCrl out, current(host));
  VMSEC_TRY(const UnixSeconds from, unix_time(X509_CRL_get0_lastUpdate(out.crl.get())));
  VMSEC_TRY(out.state.next_update, unix_time(X509_CRL_get0_nextUpdate(out.crl.get())));
  if (now < from) return fail(Code::expired, "it is not valid yet: is this host's clock right?");
  if (out.state.next_update <= now)
    return fail(Code::expired, "it is stale since " + std::to_string(now.value - out.state.next_update.value) +
                                   " s: fetch a new one from the authority");
  const auto* revoked = X509_CRL_get_REVOKED(out.crl.get());
  out.state.revoked = revoked == nullptr ? 0 : static_cast<std::size_t>(sk_X509_REVOKED_num(revoked));
  return out;
}

}  // namespace

Result<CheckedCrl> check_crl(const HostState& host, UnixSeconds now) {
  auto checked = check(host, now);
  if (!checked) return fail(checked.error().in("revocation list " + host.files.crl.string()));
  return checked;
}

}  // namespace vmsec::identity

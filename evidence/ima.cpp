#include "ima.hpp"

#include <algorithm>
#include <array>

#include "eventlog.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kTemplateDigestBytes = 20;
constexpr std::size_t kOldNameBytes = 256;  // template "ima" hashes a name with zeros behind it, to this size
constexpr std::size_t kMaxPathBytes = 4096;

// How a template writes its digest: 20 bytes of SHA-1; "sha256:" and a zero before it; "ima:" before that.
enum class DigestForm { bare, named, typed };

struct Template {
  std::string_view name;
  DigestForm form;
  std::size_t fields;
  bool has_signature;
};

constexpr std::array kTemplates{
    Template{"ima", DigestForm::bare, 2, false},        Template{"ima-ng", DigestForm::named, 2, false},
    Template{"ima-ngv2", DigestForm::typed, 2, false},  Template{"ima-sig", DigestForm::named, 3, true},
    Template{"ima-sigv2", DigestForm::typed, 3, true},  Template{"ima-buf", DigestForm::named, 3, false},
    Template{"ima-modsig", DigestForm::named, 5, true}, Template{"evm-sig", DigestForm::named, 9, true},
};

struct KernelHash {
  std::string_view name;
  Hash hash;
};

constexpr std::array kKernelHashes{
    KernelHash{"sha1", Hash::sha1},         KernelHash{"sha256", Hash::sha256},
    KernelHash{"sha384", Hash::sha384},     KernelHash{"sha512", Hash::sha512},
    KernelHash{"sm3", Hash::sm3_256},       KernelHash{"sha3-256", Hash::sha3_256},
    KernelHash{"sha3-384", Hash::sha3_384}, KernelHash{"sha3-512", Hash::sha3_512},
};

bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// One list, entry by entry.
class ListReader {
 public:
  static Result<ListReader> open(std::string_view list, Hash bank, const std::optional<ImaQuote>& quote) {
    const auto size = digest_size(bank);
    if (!size) return fail(Code::unsupported, "read an IMA list: no " + to_string(bank) + " here");
    VMSEC_TRY(auto own, Digester::create(bank));
    VMSEC_TRY(auto sha1, Digester::create(Hash::sha1));
    return ListReader(list, std::move(own), std::move(sha1), quote.value_or(ImaQuote{std::string(*size, '\0'), {}}));
  }

  Result<ImaList> read() && {
    if (reader_.left() == 0) return bad("the list is empty");
    if (reader_.left() > kMaxImaBytes)
      return bad("the list has " + std::to_string(reader_.left()) + " bytes, more than " +
                 std::to_string(kMaxImaBytes));
    note_quoted();
    while (reader_.left() != 0) {
      if (number_ == kMaxImaEntries) return bad("more than " + std::to_string(kMaxImaEntries) + " entries");
      VMSEC_CHECK(read_entry());
      ++number_;
      note_quoted();
    }
    return std::move(values_);
  }

 private:
  ListReader(std::string_view list, Digester own, Digester sha1, ImaQuote quote)
      : reader_(list), own_(std::move(own)), sha1_(std::move(sha1)), quoted_(std::move(quote.value)) {
    values_.pcr = quote.start;
    values_.pcr_padded = std::move(quote.start);
  }

  [[nodiscard]] std::unexpected<Error> bad(const std::string& cause) const {
    return fail(Code::invalid_argument, "IMA list, byte " + std::to_string(reader_.offset()) + ", entry " +
                                            std::to_string(number_) + ": " + cause);
  }

  Status read_entry() {
    ImaEntry entry;
    entry.number = number_;
    entry.offset = reader_.offset();
    const auto pcr = reader_.little<std::uint32_t>();
    const auto template_digest = pcr ? reader_.take(kTemplateDigestBytes) : std::nullopt;
    if (!template_digest) return bad("it ends within its PCR and template digest");
    if (*pcr >= kPcrCount)
      return bad("PCR " + std::to_string(*pcr) + ", where a TPM has 0 to " + std::to_string(kPcrCount - 1));
    entry.pcr = *pcr;
    entry.violation = is_zero(*template_digest);
    VMSEC_TRY(entry.template_name, read_sized("its template's name"));
    const auto* known = std::ranges::find(kTemplates, entry.template_name, &Template::name);
    if (known == kTemplates.end()) return bad("template \"" + printable(entry.template_name, 40) + "\" is not known");
    VMSEC_TRY(const std::string hashed, read_data(*known, entry));
    if (entry.violation && !is_zero(entry.digest)) return bad("a violation with a digest");
    VMSEC_CHECK(extend(entry, *template_digest, hashed));
    values_.entries.push_back(entry);
    return {};
  }

  Result<std::string_view> read_sized(std::string_view what) {
    const auto size = reader_.little<std::uint32_t>();
    if (!size)
      return bad("the size of " + std::string(what) + " needs 4 bytes, " + std::to_string(reader_.left()) +
                 " are left");
    const auto bytes = reader_.take(*size);
    if (!bytes)
      return bad(std::string(what) + " needs " + std::to_string(*size) + " bytes, " + std::to_string(reader_.left()) +
                 " are left");
    return *bytes;
  }

  // Gives the bytes that the template digest is of.
  Result<std::string> read_data(const Template& form, ImaEntry& entry) {
    if (form.form == DigestForm::bare) return read_old(entry);
    VMSEC_TRY(const auto data, read_sized("its data"));
    ByteReader fields(data);
    for (std::size_t i = 0; i < form.fields; ++i) {
      const auto size = fields.little<std::uint32_t>();
      const auto field = size ? fields.take(*size) : std::nullopt;
      if (!field)
        return bad("its data ends within field " + std::to_string(i + 1) + " of " + std::to_string(form.fields));
      if (i == 0) VMSEC_CHECK(read_digest(form.form, *field, entry));
      if (i == 1) VMSEC_CHECK(read_path(*field, entry));
      if (i == 2 && form.has_signature) entry.signature = *field;
    }
    if (fields.left() != 0) return bad(std::to_string(fields.left()) + " bytes behind its last field");
    return std::string(data);
  }

  Result<std::string> read_old(ImaEntry& entry) {
    const auto digest = reader_.take(kTemplateDigestBytes);
    if (!digest) return bad("it ends within its file's digest");
    entry.digest = *digest;
    VMSEC_TRY(entry.path, read_sized("its path"));
    if (entry.path.size() >= kOldNameBytes)
      return bad("its path has " + std::to_string(entry.path.size()) + " bytes, more than 255");
    VMSEC_CHECK(check_path(entry.path));
    std::string hashed(*digest);
    hashed += entry.path;
    hashed.resize(kTemplateDigestBytes + kOldNameBytes, '\0');
    return hashed;
  }

  Status read_digest(DigestForm form, std::string_view field, ImaEntry& entry) {
    const auto end = field.find('\0');
    auto words = field.substr(0, std::min(end, field.size()));
    if (end == std::string_view::npos || !words.ends_with(':')) return bad("its digest names no algorithm");
    words.remove_suffix(1);
    if (form == DigestForm::typed) {
      const auto colon = words.find(':');
      const auto type = words.substr(0, std::min(colon, words.size()));
      if (colon == std::string_view::npos || (type != "ima" && type != "verity"))
        return bad("its digest is neither of ima nor of verity");
      words.remove_prefix(colon + 1);
    }
    const auto* known = std::ranges::find(kKernelHashes, words, &KernelHash::name);
    if (known == kKernelHashes.end()) return bad("a digest by \"" + printable(words, 40) + "\", which is not known");
    entry.hash = known->hash;
    entry.digest = field.substr(end + 1);
    if (entry.digest.size() != digest_size(entry.hash))
      return bad("a " + to_string(entry.hash) + " digest of " + std::to_string(entry.digest.size()) + " bytes");
    return {};
  }

  Status read_path(std::string_view field, ImaEntry& entry) {
    if (!field.ends_with('\0')) return bad("its path has no end");
    entry.path = field.substr(0, field.size() - 1);
    return check_path(entry.path);
  }

  [[nodiscard]] Status check_path(std::string_view path) const {
    if (path.empty()) return bad("its path is empty");
    if (path.size() > kMaxPathBytes)
      return bad("its path has " + std::to_string(path.size()) + " bytes, more than " + std::to_string(kMaxPathBytes));
    if (path.find('\0') != std::string_view::npos) return bad("its path has a zero within");
    return {};
  }

  // A violation extends ones, for the kernel cannot vouch for what its entry says.
  Status extend(const ImaEntry& entry, std::string_view template_digest, std::string_view hashed) {
    const std::size_t size = values_.pcr.size();
    std::string own(size, '\xff');
    std::string padded(kTemplateDigestBytes, '\xff');
    if (!entry.violation) {
      VMSEC_CHECK(sha1_.digest({hashed}, padded));
      if (padded != template_digest) return bad("its template digest is not that of its data");
      VMSEC_CHECK(own_.digest({hashed}, own));
    }
    if (entry.pcr != kImaPcr) return {};
    padded.resize(size, '\0');
    VMSEC_CHECK(own_.digest({values_.pcr, own}, values_.pcr));
    return own_.digest({values_.pcr_padded, padded}, values_.pcr_padded);
  }

  void note_quoted() {
    if (values_.quoted || quoted_.empty()) return;
    if (equal(values_.pcr, quoted_) || equal(values_.pcr_padded, quoted_)) values_.quoted = number_;
  }

  ByteReader reader_;
  Digester own_;
  Digester sha1_;
  std::string quoted_;  // empty: none was given
  std::uint32_t number_ = 0;
  ImaList values_;
};

}  // namespace

Result<ImaList> read_ima(std::string_view list, Hash bank, const std::optional<ImaQuote>& quote) {
  VMSEC_TRY(auto reader, ListReader::open(list, bank, quote));
  return std::move(reader).read();
}

}  // namespace vmsec::boot

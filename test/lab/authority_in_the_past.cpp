// A certificate authority whose clock is late: what it signs has ended, or ends soon.
//
//   authority_in_the_past SECONDS_AGO issue CA HOST OUT_DIR   for one day
//   authority_in_the_past SECONDS_AGO crl CA                  good for one hour
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "vmsec/identity.hpp"

namespace {

using namespace vmsec;

constexpr std::uint64_t kHour = 3600;

Status run(const std::vector<std::string>& words) {
  if (words.size() < 3) return fail(Code::invalid_argument, "want SECONDS_AGO issue|crl CA ...");
  const std::uint64_t ago = std::strtoull(words[0].c_str(), nullptr, 10);
  const Clock late = [ago] { return UnixSeconds{system_now().value - ago}; };
  VMSEC_TRY(auto authority, CertificateAuthority::open(words[2], late));
  if (words[1] == "crl") {
    VMSEC_TRY(std::ignore, authority.publish_crl(kHour));
    return {};
  }
  if (words[1] != "issue" || words.size() != 5) return fail(Code::invalid_argument, "issue wants CA HOST OUT_DIR");
  IssueOptions options;
  options.days = 1;
  options.out_dir = words[4];
  VMSEC_TRY(std::ignore, authority.issue(words[3], options));
  return {};
}

}  // namespace

int main(int count, char** words) {
  const auto done = run({words + 1, words + count});
  if (done) return 0;
  std::fprintf(stderr, "authority_in_the_past: %s\n", done.error().message.c_str());
  return 1;
}

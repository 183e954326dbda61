#include "tc.hpp"

#include <net/if.h>

#include <algorithm>

#include "run_program.hpp"
#include "tc_parse.hpp"

namespace vmsec::common {
namespace {

constexpr std::string_view kIfbPrefix = "vmsec-i";

// A bucket of 20 ms, but never smaller than the largest packet that a tap
// carries (64 KiB, before it is cut into segments).
constexpr std::uint64_t kBucketsPerSecond = 50;
constexpr std::uint64_t kLeastBucket = 64 << 10;
constexpr std::uint64_t kLargestBucket = 64 << 20;  // tc counts it in 32 bits
// Packets wait 50 ms at most, beyond that they are dropped.
constexpr std::uint64_t kQueuesPerSecond = 20;

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text.substr(0, 300);
}

// The output of a program that must succeed. The kernel's refusal is
// `unsupported`: what was asked is well-formed, so a part of it is not there.
Result<std::string> run(const std::vector<std::string>& arguments) {
  VMSEC_TRY(ProgramOutput output, run_program(arguments));
  if (output.exit_code == 0) return std::move(output.out);
  std::string line;
  for (const auto& each : arguments) line += (line.empty() ? "" : " ") + each;
  const bool refused = output.err.find("not permitted") != std::string::npos;
  return fail(refused ? Code::denied : Code::unsupported, "\"" + line + "\" failed: " + one_line(output.err));
}

Result<unsigned int> index_of(const std::string& tap) {
  if (!is_interface_name(tap))
    return fail(Code::invalid_argument, "\"" + tap.substr(0, 64) + "\" is not an interface's name");
  const unsigned int index = if_nametoindex(tap.c_str());
  if (index == 0) return fail(Code::not_found, "no interface " + tap + " in this network namespace");
  return index;
}

// Of this tap alone: an interface's index is not used twice.
std::string ifb_of(unsigned int tap_index) { return std::string(kIfbPrefix) + std::to_string(tap_index); }

// The rate of the tbf at the root, 0 where there is none.
Result<std::uint64_t> root_rate(const std::string& device) {
  VMSEC_TRY(const std::string text, run({"tc", "-json", "qdisc", "show", "dev", device}));
  VMSEC_TRY(const std::vector<Qdisc> qdiscs, parse_qdiscs(text));
  const auto found = std::ranges::find_if(qdiscs, [](const Qdisc& each) { return each.root && each.kind == "tbf"; });
  return found == qdiscs.end() ? 0 : found->rate;
}

Result<bool> has_ingress(const std::string& device) {
  VMSEC_TRY(const std::string text, run({"tc", "-json", "qdisc", "show", "dev", device}));
  VMSEC_TRY(const std::vector<Qdisc> qdiscs, parse_qdiscs(text));
  return std::ranges::find(qdiscs, "ingress", &Qdisc::kind) != qdiscs.end();
}

Result<bool> redirects_to(const std::string& tap, const std::string& ifb) {
  VMSEC_TRY(const bool ingress, has_ingress(tap));
  if (!ingress) return false;
  VMSEC_TRY(const std::string text, run({"tc", "-json", "filter", "show", "dev", tap, "parent", "ffff:"}));
  VMSEC_TRY(const std::vector<std::string> targets, parse_redirects(text));
  return std::ranges::find(targets, ifb) != targets.end();
}

Status bound_root(const std::string& device, std::uint64_t rate) {
  const std::uint64_t bucket = std::clamp(rate / kBucketsPerSecond, kLeastBucket, kLargestBucket);
  const std::uint64_t queue = std::min(bucket + rate / kQueuesPerSecond, 2 * kLargestBucket);
  VMSEC_CHECK(run({"tc", "qdisc", "replace", "dev", device, "root", "handle", "1:", "tbf", "rate",
                   std::to_string(rate) + "bps", "burst", std::to_string(bucket), "limit", std::to_string(queue)}));
  return {};
}

Status unbound_root(const std::string& device) {
  VMSEC_TRY(const std::uint64_t rate, root_rate(device));
  if (rate == 0) return {};
  VMSEC_CHECK(run({"tc", "qdisc", "del", "dev", device, "root"}));
  return {};
}

// Those whose tap has gone. Failing to is no failure of the call.
void remove_orphans() {
  const auto text = run({"ip", "-json", "link", "show", "type", "ifb"});
  if (!text) return;
  const auto links = parse_links(*text);
  if (!links) return;
  for (const auto& link : *links) {
    if (!link.starts_with(kIfbPrefix)) continue;
    char name[IF_NAMESIZE];
    const unsigned long index = std::strtoul(link.c_str() + kIfbPrefix.size(), nullptr, 10);
    if (index != 0 && if_indextoname(static_cast<unsigned int>(index), name) == nullptr)
      static_cast<void>(run({"ip", "link", "del", "dev", link}));
  }
}

Status redirect(const std::string& tap, const std::string& ifb, std::uint64_t rate) {
  if (if_nametoindex(ifb.c_str()) == 0) VMSEC_CHECK(run({"ip", "link", "add", "name", ifb, "type", "ifb"}));
  VMSEC_CHECK(bound_root(ifb, rate));
  VMSEC_CHECK(run({"ip", "link", "set", "dev", ifb, "up"}));
  VMSEC_TRY(const bool redirected, redirects_to(tap, ifb));
  if (redirected) return {};
  VMSEC_TRY(const bool ingress, has_ingress(tap));
  if (!ingress) VMSEC_CHECK(run({"tc", "qdisc", "add", "dev", tap, "handle", "ffff:", "ingress"}));
  // u32, not matchall: smaller kernels have only that.
  VMSEC_CHECK(run({"tc",  "filter", "add", "dev", tap, "parent", "ffff:",  "protocol", "all",      "prio", "1",
                   "u32", "match",  "u32", "0",   "0", "action", "mirred", "egress",   "redirect", "dev",  ifb}));
  return {};
}

Status unbound_ingress(const std::string& tap, const std::string& ifb) {
  VMSEC_TRY(const bool redirected, redirects_to(tap, ifb));
  if (redirected) VMSEC_CHECK(run({"tc", "qdisc", "del", "dev", tap, "ingress"}));
  if (if_nametoindex(ifb.c_str()) != 0) VMSEC_CHECK(run({"ip", "link", "del", "dev", ifb}));
  return {};
}

Status bound_ingress(const std::string& tap, const std::string& ifb, std::uint64_t rate) {
  const Status status = redirect(tap, ifb, rate);
  if (!status) static_cast<void>(unbound_ingress(tap, ifb));
  return status;
}

}  // namespace

Result<NicLimit> read_tap_limit(const std::string& tap) {
  VMSEC_TRY(const unsigned int index, index_of(tap));
  NicLimit limit;
  limit.target = tap;
  VMSEC_TRY(limit.receive.value, root_rate(tap));
  const std::string ifb = ifb_of(index);
  if (if_nametoindex(ifb.c_str()) == 0) return limit;
  VMSEC_TRY(const bool redirected, redirects_to(tap, ifb));
  if (!redirected) return limit;
  VMSEC_TRY(limit.transmit.value, root_rate(ifb));
  return limit;
}

Status write_tap_limit(const NicLimit& limit) {
  VMSEC_TRY(const unsigned int index, index_of(limit.target));
  const std::string ifb = ifb_of(index);
  remove_orphans();
  VMSEC_CHECK(limit.receive.value == 0 ? unbound_root(limit.target) : bound_root(limit.target, limit.receive.value));
  VMSEC_CHECK(limit.transmit.value == 0 ? unbound_ingress(limit.target, ifb)
                                        : bound_ingress(limit.target, ifb, limit.transmit.value));
  return {};
}

}  // namespace vmsec::common

// Each rule passes where it holds, and fails where one thing is missing.
#include <cstdio>

#include "../rules.hpp"

using namespace compliance;

namespace {

int failures = 0;

void expect(const char* what, const Judgement& judgement, bool holds, std::string_view because) {
  if (judgement.holds == holds && judgement.because == because) return;
  std::fprintf(stderr, "%s: %s: %s\n", what, judgement.holds ? "pass" : "fail", judgement.because.c_str());
  ++failures;
}

Facts all_good() {
  Facts facts;
  facts.info.vcpus = 2;
  facts.info.tpm = facts.info.persistent = true;
  facts.info.tags = {"web"};
  facts.resources.cpu_quota_millis = 500;
  facts.resources.memory_limit = vmsec::Bytes{64 << 20};
  facts.resources.pins = {{0, {1}}, {1, {0, 1}}};
  facts.io.disks = {{"vda", {1000}, {1000}, {}, {}, {}, {}, 0}, {"vdb", {}, {}, {100}, {100}, {}, {}, 0}};
  facts.io.nics = {{"tap0", {1000}, {1000}}};
  return facts;
}

template <class Change>
Facts but(Change change) {
  Facts facts = all_good();
  change(facts);
  return facts;
}

}  // namespace

int main() {
  for (const Rule& rule : kRules)
    if (!rule.judge(all_good()).holds) expect(rule.name.data(), rule.judge(all_good()), true, "");
  expect("quota", cpu_limited(all_good()), true, "cpu_quota is 50%");
  expect("no quota", cpu_limited(but([](Facts& f) { f.resources.cpu_quota_millis = 0; })), false,
         "cpu_quota is unlimited");
  expect("quota that the backend has not", cpu_limited(but([](Facts& f) { f.resources.cpu_quota_millis.reset(); })),
         false, "cpu_quota is unlimited");
  expect("no limit", memory_limited(but([](Facts& f) { f.resources.memory_limit = vmsec::Bytes{0}; })), false,
         "memory_limit is unlimited");
  expect("free vCPU", vcpus_pinned(but([](Facts& f) { f.resources.pins[1].cpus.clear(); })), false,
         "1 vCPUs may run on every CPU");
  expect("unknown vCPU", vcpus_pinned(but([](Facts& f) { f.resources.pins.pop_back(); })), false,
         "1 vCPUs have no pin");
  expect("disk", disks_limited(but([](Facts& f) { f.io.disks[0].write = {}; })), false, "vda: write is unlimited");
  expect("disk by operations", disks_limited(but([](Facts& f) { f.io.disks[1].read_ops = {}; })), false,
         "vdb: read is unlimited");
  expect("NIC", nics_limited(but([](Facts& f) { f.io.nics[0].transmit = {}; })), false, "tap0: transmit is unlimited");
  expect("TPM", has_tpm(but([](Facts& f) { f.info.tpm = false; })), false, "it has no virtual TPM");
  expect("transient", is_persistent(but([](Facts& f) { f.info.persistent = false; })), false,
         "nothing defines it: it ends with its run");
  expect("tags", is_tagged(but([](Facts& f) { f.info.tags.clear(); })), false, "it has no tag");
  return failures == 0 ? 0 : 1;
}

// bench_attestation: what it costs to verify a quote with its event log, beside tpm2_checkquote and tpm2_eventlog on
// the same files, all ways in turn in each round; and what a verifier of many hosts does and keeps.
#include <malloc.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "clocks.hpp"
#include "evidence/bytes.hpp"
#include "evidence/reference_reader.hpp"
#include "hosts.hpp"

namespace {

using namespace vmsec;
using namespace vmsec::bench;

struct Way {
  std::string name;
  std::function<Result<Cost>()> run;
};

struct Options {
  std::string folder;
  unsigned rounds = 21;
  unsigned times = 20;
  std::size_t hosts = 10000;
  std::uint64_t seed = 1;
  bool tools = true;
  std::string json;
};

struct Row {
  std::vector<double> seconds, cpu;
};
using Rows = std::map<std::string, Row>;

constexpr auto kFiles = "quote, log and reference, from their files";
constexpr auto kCheckQuote = "tpm2_checkquote";
constexpr auto kEventLog = "tpm2_eventlog";
constexpr auto kArrived = "an enrolled host's answer, as it arrives";

std::size_t heap() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Memory {
  double record = 0;  // what is kept on the disk
  double heap = 0;    // of the enrolments beside it, once each host was looked up
};

Result<Memory> memory_a_host(Hosts& hosts, std::size_t count) {
  const auto before = heap();
  VMSEC_CHECK(hosts.find_all());
  const auto n = static_cast<double>(count);
  return Memory{static_cast<double>(hosts.record_bytes()) / n, static_cast<double>(heap() - before) / n};
}

// What an attestation is made of.
void add_parts(std::vector<Way>& ways, const Input& input, const std::string& text, const boot::Reference& reference,
               unsigned times) {
  const auto add = [&](const char* name, std::function<Status()> work) {
    ways.push_back({name, [=] { return cost_of(times, work); }});
  };
  add("quote, log and reference", [&] { return judged(input.evidence, input.key, input.demand, reference); });
  add("- the quote", [&]() -> Status {
    VMSEC_CHECK(boot::verify_quote(input.key, input.evidence.attest, input.evidence.signature, input.demand));
    return {};
  });
  add("- the log's replay", [&]() -> Status {
    VMSEC_CHECK(boot::replay(input.evidence.event_log));
    return {};
  });
  add("the reference's text, parsed", [&]() -> Status {
    VMSEC_CHECK(parsed(text));
    return {};
  });
}

// As the tools do, which read their files at each call.
void add_files(std::vector<Way>& ways, const std::string& folder, const boot::Reference& reference, unsigned times) {
  ways.push_back({kFiles, [&, folder, times] {
                    return cost_of(times, [&]() -> Status {
                      VMSEC_TRY(const auto input, Input::read(folder));
                      return judged(input.evidence, input.key, input.demand, reference);
                    });
                  }});
}

// As the verifier does.
void add_arrived(std::vector<Way>& ways, Hosts& hosts, const Input& input, const std::string& reference,
                 unsigned times) {
  const auto reader = std::make_shared<boot::ReferenceReader>();
  ways.push_back({kArrived, [&, reference, reader, times, turn = std::size_t{0}]() mutable {
                    return cost_of(times, [&]() -> Status {
                      VMSEC_TRY(const auto wanted, reader->read(reference));
                      const auto& answer = hosts.answers()[turn++ % hosts.answers().size()];
                      VMSEC_TRY(const auto keys, hosts.enrolments().find(answer.host));
                      VMSEC_TRY(const auto evidence, wire::decode<boot::Evidence>(answer.message));
                      return judged(evidence, keys.attestation, input.demand, *wanted);
                    });
                  }});
}

void add_tools(std::vector<Way>& ways, const std::string& folder, const Input& input) {
  const auto add = [&](const char* name, std::vector<std::string> words) {
    ways.push_back({name, [=] { return cost_of_program(words); }});
  };
  add(kCheckQuote, {kCheckQuote, "-u", folder + "/ak.pub", "-m", folder + "/quote", "-s", folder + "/sig", "-f",
                    folder + "/pcrs", "-g", "sha256", "-q", boot::to_hex(input.demand.qualifying_data)});
  add(kEventLog, {kEventLog, folder + "/log"});
  add("- tpm2_checkquote, its start alone", {kCheckQuote, "--version"});
  add("- tpm2_eventlog, its start alone", {kEventLog, "--version"});
}

Result<Rows> measure(std::vector<Way> ways, const Options& options) {
  std::mt19937_64 random(options.seed);
  Rows rows;
  for (unsigned round = 0; round < options.rounds; ++round) {
    std::ranges::shuffle(ways, random);
    for (auto& way : ways) {
      VMSEC_TRY(const auto cost, way.run());
      rows[way.name].seconds.push_back(cost.seconds);
      rows[way.name].cpu.push_back(cost.cpu_seconds);
    }
  }
  return rows;
}

// Round by round: both tools' by ours.
std::vector<double> ratios(const Rows& rows, std::vector<double> Row::* figure) {
  std::vector<double> out;
  for (std::size_t i = 0; i < (rows.at(kFiles).*figure).size(); ++i)
    out.push_back(((rows.at(kCheckQuote).*figure)[i] + (rows.at(kEventLog).*figure)[i]) / (rows.at(kFiles).*figure)[i]);
  return out;
}

nlohmann::json spread(const std::vector<double>& values) {
  return {{"median", median(values)}, {"least", std::ranges::min(values)}, {"most", std::ranges::max(values)}};
}

nlohmann::json as_json(const Rows& rows, const Memory& memory, const Input& input, const Options& options) {
  nlohmann::json out{{"log_bytes", input.evidence.event_log.size()},
                     {"rounds", options.rounds},
                     {"times_a_round", options.times},
                     {"hosts", options.hosts},
                     {"heap_bytes_a_host", memory.heap},
                     {"record_bytes_a_host", memory.record},
                     {"attestations_a_second_of_one_core", 1 / median(rows.at(kArrived).cpu)}};
  for (const auto& [name, row] : rows)
    out["seconds"][name] = {{"elapsed", spread(row.seconds)}, {"cpu", spread(row.cpu)}};
  if (!options.tools) return out;
  out["tools_by_ours"] = {{"elapsed", spread(ratios(rows, &Row::seconds))}, {"cpu", spread(ratios(rows, &Row::cpu))}};
  return out;
}

void print(const std::vector<Way>& ways, const Rows& rows, const nlohmann::json& figures) {
  std::printf("a log of %zu bytes; medians of %u rounds; CPU time with its least and most\n",
              figures["log_bytes"].get<std::size_t>(), figures["rounds"].get<unsigned>());
  std::printf("%-44s  %12s  %12s\n", "", "elapsed, us", "CPU, us");
  for (const auto& way : ways) {
    const Row& row = rows.at(way.name);
    std::printf("%-44s  %12.0f  %12.0f (%.0f, %.0f)\n", way.name.c_str(), median(row.seconds) * 1e6,
                median(row.cpu) * 1e6, std::ranges::min(row.cpu) * 1e6, std::ranges::max(row.cpu) * 1e6);
  }
  if (const auto ratio = figures.find("tools_by_ours"); ratio != figures.end())
    std::printf("both tools by ours from the files: %.0f times the time, %.0f times the CPU time\n",
                (*ratio)["elapsed"]["median"].get<double>(), (*ratio)["cpu"]["median"].get<double>());
  std::printf("attestations a second of one core's CPU time: %.0f\n",
              figures["attestations_a_second_of_one_core"].get<double>());
  std::printf("a host of %zu enrolled: %.0f bytes in its record, %.0f bytes of heap beside it\n",
              figures["hosts"].get<std::size_t>(), figures["record_bytes_a_host"].get<double>(),
              figures["heap_bytes_a_host"].get<double>());
}

Status write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  if (out << text << std::flush) return {};
  return fail(Code::io, "write " + path);
}

Status run(const Options& options) {
  VMSEC_TRY(const auto input, Input::read(options.folder));
  VMSEC_TRY(const auto text, reference_text(input));
  VMSEC_TRY(const auto reference, parsed(text));
  const auto file = options.folder + "/reference.toml";
  VMSEC_CHECK(write(file, text));
  VMSEC_TRY(auto hosts, Hosts::make(options.hosts, std::min<std::size_t>(options.hosts, 100), input));
  VMSEC_TRY(const auto memory, memory_a_host(*hosts, options.hosts));
  std::vector<Way> ways;
  add_parts(ways, input, text, reference, options.times);
  add_arrived(ways, *hosts, input, file, options.times);
  add_files(ways, options.folder, reference, options.times);
  if (options.tools) add_tools(ways, options.folder, input);
  VMSEC_TRY(const auto rows, measure(ways, options));
  const auto figures = as_json(rows, memory, input, options);
  print(ways, rows, figures);
  if (options.json.empty()) return {};
  return write(options.json, figures.dump(2) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What it costs to verify a quote with its event log");
  Options options;
  app.add_option("folder", options.folder, "that evidence.py has filled")->required();
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--times", options.times, "of each way in a round; tools once")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--hosts", options.hosts, "enrolled")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--seed", options.seed, "of the order in each round")->capture_default_str();
  app.add_flag("--tools,!--no-tools", options.tools, "tpm2_checkquote and tpm2_eventlog, too");
  app.add_option("--json", options.json, "file for all figures");
  CLI11_PARSE(app, argc, argv);
  const auto status = run(options);
  if (status) return 0;
  std::fprintf(stderr, "bench_attestation: %s\n", status.error().message.c_str());
  return 1;
}

// vmsec-link: a link that is as slow, far and lossy as it is asked to be.
#include <cstdio>
#include <cstring>

#include "relay.hpp"

namespace vmsec::link {
namespace {

constexpr char kHelp[] = R"(vmsec-link: relays TCP connections over a simulated link

  vmsec-link --listen ADDRESS:PORT --to ADDRESS:PORT [--listen ... --to ...]... [options]

  --rate RATE         of each direction, all connections together: 100Mbit, 2.5Gbit, unlimited (the default)
  --delay TIME        one way: 0ms to 200ms (0ms)
  --jitter TIME       each chunk's delay is within delay +- jitter; never out of order (0ms)
  --loss SHARE        of segments, as TCP lives through it: a stall and a smaller window (0%)
  --seed N            of jitter and loss (1)
  --connections N     at once; more are refused (256)

Prints a line "listening on ADDRESS:PORT" for each pair (port 0: a free one) once it accepts, and at its end (SIGTERM, SIGINT)
what it carried, as one line of JSON. What the model is, and is not: bench/link/README.md.

Example:
  vmsec-link --listen 127.0.0.1:7000 --to 10.0.0.2:7443 --rate 1Gbit --delay 5ms --jitter 1ms --loss 0.1%

Exit codes: 0 ended in order; 1 it cannot listen, or the system refused something; 2 a wrong option.
)";

struct Options {
  Shape shape;
  std::vector<Address> listen, to;
  std::size_t connections = 256;
};

template <class T, class U>
Parsed<bool> store(Parsed<T> parsed, U& out) {
  if (!parsed) return std::unexpected(parsed.error());
  out = static_cast<U>(*parsed);
  return true;
}

Parsed<bool> append(Parsed<Address> parsed, std::vector<Address>& out) {
  if (!parsed) return std::unexpected(parsed.error());
  out.push_back(*parsed);
  return true;
}

Parsed<bool> set(std::string_view name, std::string_view value, Options& options) {
  Shape& shape = options.shape;
  if (name == "--listen") return append(parse_address(value), options.listen);
  if (name == "--to") return append(parse_address(value), options.to);
  if (name == "--rate") return store(parse_rate(value), shape.rate);
  if (name == "--delay") return store(parse_time(value), shape.delay);
  if (name == "--jitter") return store(parse_time(value), shape.jitter);
  if (name == "--loss") return store(parse_share(value), shape.loss);
  if (name == "--seed") return store(parse_number(value), shape.seed);
  if (name == "--connections") return store(parse_number(value), options.connections);
  return std::unexpected(std::string("unknown option; \"vmsec-link --help\" lists them"));
}

Parsed<Options> parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    if (i + 1 == count) return std::unexpected(std::string(words[i]) + ": a value is missing");
    if (const auto done = set(words[i], words[i + 1], options); !done)
      return std::unexpected(std::string(words[i]) + ": " + done.error());
  }
  if (options.listen.empty() || options.listen.size() != options.to.size())
    return std::unexpected(std::string("want as many --listen as --to, and at least one of each"));
  if (options.shape.jitter > options.shape.delay)
    return std::unexpected(std::string("--jitter: more than --delay: bytes would arrive before they were sent"));
  if (options.shape.loss > 0 && options.shape.delay.count() == 0)
    return std::unexpected(std::string("--loss: needs a --delay: what a loss costs is counted in round trips"));
  if (options.connections == 0) return std::unexpected(std::string("--connections: want at least 1"));
  return options;
}

int complain(const std::string& what, int code) {
  std::fprintf(stderr, "vmsec-link: %s\n", what.c_str());
  return code;
}

int run(const Options& options) {
  std::vector<Route> routes;
  for (std::size_t i = 0; i < options.listen.size(); ++i) routes.push_back({options.listen[i], options.to[i]});
  const auto relay = Relay::create(options.shape, routes, options.connections);
  if (!relay) return complain(relay.error(), 1);
  const auto addresses = (*relay)->listening();
  if (!addresses) return complain(addresses.error(), 1);
  for (const Address& address : *addresses) std::printf("listening on %s\n", address.text().c_str());
  std::fflush(stdout);
  if (const auto ended = (*relay)->run(); !ended) return complain(ended.error(), 1);
  std::printf("%s\n", (*relay)->summary().c_str());
  return 0;
}

}  // namespace
}  // namespace vmsec::link

int main(int count, char** words) {
  if (count == 2 && (std::strcmp(words[1], "--help") == 0 || std::strcmp(words[1], "-h") == 0)) {
    std::fputs(vmsec::link::kHelp, stdout);
    return 0;
  }
  const auto options = vmsec::link::parse(count, words);
  if (!options) return vmsec::link::complain(options.error(), 2);
  return vmsec::link::run(*options);
}

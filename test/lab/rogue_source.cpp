// A source that was taken over: it has a host's certificate and key, and says what it likes.
//
// It plays the migration module's part over the one TLS 1.3 channel, as far as the open
// control stream, and then carries bytes between that stream and a descriptor of its
// caller's: whoever holds the other end of it speaks to the destination's proxy.
//
//   rogue_source KEY=VALUE...
//     ca= certificate= key= revocations= state=   the host that it claims to be
//     late=SECONDS                                its clock is so late: its own certificate may have ended
//     to= address=                                the destination
//     ticket=FILE            its bytes, not its text form; no file: none
//     domain= name= format= configuration=FILE    what it says that it moves; memory= (bytes), vcpus=
//     fd=N                   carries the control stream; without it, it ends after PREPARE
//
// Standard output has the migration's id, then one line per step: "connected", "prepared",
// "joined", or "refused CODE: MESSAGE". Then it stays until its standard input ends.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "channel/tls.hpp"
#include "host/peer_protocol.hpp"
#include "key_schedule.hpp"
#include "protocol.hpp"
#include "stream.hpp"

namespace {

using namespace vmsec;
using namespace vmsec::migration;

using Words = std::map<std::string, std::string>;

constexpr Microseconds kPatience{60'000'000};
constexpr std::string_view kModule = "migration";

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

Result<std::string> content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  if (!in) return fail(Code::io, "read " + file);
  return bytes;
}

class Rogue {
 public:
  explicit Rogue(Words words) : words_(std::move(words)) {}

  Status run() {
    VMSEC_TRY(migration_, random_uuid());
    say("migration " + migration_.text());
    VMSEC_CHECK(connect());
    say("connected");
    VMSEC_CHECK(prepare());
    say("prepared");
    if (words_["fd"].empty()) return {};
    VMSEC_CHECK(join());
    say("joined");
    wait();
    // What our caller has said until now is still sent.
    stream_->request_mark();
    std::ignore = stream_->flushed(migration::Clock::now() + std::chrono::seconds(2));
    return {};
  }

 private:
  Status connect() {
    HostFiles files{words_["ca"], words_["certificate"], words_["key"], words_["revocations"], {}, words_["state"]};
    const std::uint64_t late = number("late");
    const auto clock = [late] { return UnixSeconds{system_now().value - late}; };
    VMSEC_TRY(const auto identity, HostIdentity::load(files, clock));
    VMSEC_TRY(context_, channel::TlsContext::create(identity));
    VMSEC_TRY(control_, dial());
    VMSEC_CHECK(control_->send(wire::encode(host::Hello{host::Purpose::calls, {}, {}})));
    VMSEC_TRY(const std::string answer, control_->receive(kPatience));
    VMSEC_TRY(std::ignore, host::decode_answer(answer));
    return {};
  }

  std::uint64_t number(const std::string& word) { return words_[word].empty() ? 0 : std::stoull(words_[word]); }

  Result<std::unique_ptr<channel::TlsConnection>> dial() {
    return channel::TlsConnection::connect(*context_, words_["address"], words_["to"]);
  }

  Status prepare() {
    VMSEC_TRY(secret_, random_bytes(kSecretSize));
    PrepareRequest request{
        kProtocolVersion, migration_, {}, {}, {}, Cipher::aes_128_gcm, EncryptionPolicy::required, secret_, 0,
        StreamSuite::bulk};
    if (!words_["ticket"].empty()) {
      VMSEC_TRY(request.ticket, content_of(words_["ticket"]));
    }
    VMSEC_TRY(request.description.domain, Uuid::parse(words_["domain"]));
    request.description.name = words_["name"];
    request.description.format = words_["format"];
    request.description.memory = {number("memory")};
    request.description.vcpus = static_cast<std::uint32_t>(number("vcpus"));
    VMSEC_TRY(request.description.configuration, content_of(words_["configuration"]));
    const auto method = static_cast<std::uint32_t>(Call::prepare);
    VMSEC_CHECK(control_->send(wire::encode(host::PeerRequest{std::string(kModule), method, wire::encode(request)})));
    VMSEC_TRY(const std::string answer, control_->receive(kPatience));
    VMSEC_TRY(std::ignore, host::decode_answer(answer));
    return {};
  }

  Status join() {
    StreamName name{migration_, ChannelKind::control, 0, 1, {}};
    VMSEC_TRY(name.source_nonce, random_bytes(kNonceSize));
    VMSEC_TRY(std::string proof, join_proof(secret_, name));
    const JoinRequest request{migration_, name.kind, name.index, name.ordinal, name.source_nonce, std::move(proof)};
    VMSEC_TRY(const auto tls, dial());
    VMSEC_CHECK(
        tls->send(wire::encode(host::Hello{host::Purpose::stream, std::string(kModule), wire::encode(request)})));
    VMSEC_TRY(const std::string answer, tls->receive(kPatience));
    VMSEC_TRY(const std::string payload, host::decode_answer(answer));
    VMSEC_TRY(const JoinReply reply, wire::decode<JoinReply>(payload));
    VMSEC_TRY(StreamEnd end, host::take_stream(*tls, payload));
    StreamEnds ends{Fd(std::stoi(words_["fd"])), std::move(end.fd), {}, {}};
    VMSEC_TRY(ends.seal_secret, secret_of(end.send_secret, name, reply, Direction::to_destination));
    VMSEC_TRY(ends.open_secret, secret_of(end.receive_secret, name, reply, Direction::to_source));
    VMSEC_TRY(stream_, SealedStream::start(std::move(name), Side::source, {Cipher::aes_128_gcm, Accelerator::none},
                                           std::move(ends), nullptr, [](const StreamName&, const Error&) {}));
    return {};
  }

  Result<std::string> secret_of(const std::string& exporter, const StreamName& name, const JoinReply& reply,
                                Direction direction) const {
    return stream_secret(secret_, exporter, name, reply.nonce, direction, Cipher::aes_128_gcm);
  }

  // Our caller ends us by closing our standard input: then both connections are cut.
  static void wait() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (::poll(&input, 1, -1) < 0) {
    }
  }

  Words words_;
  std::optional<channel::TlsContext> context_;
  std::unique_ptr<channel::TlsConnection> control_;
  std::unique_ptr<SealedStream> stream_;
  std::string secret_;
  Uuid migration_;
};

}  // namespace

int main(int count, char** arguments) {
  Words words;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    words[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  const auto done = Rogue(std::move(words)).run();
  if (done) return 0;
  say("refused " + std::string(to_string(done.error().code)) + ": " + done.error().message);
  return 1;
}

#include "link.hpp"

#include <unistd.h>

#include <thread>

#include "vmsec/module.hpp"

namespace vmsec::worker {
namespace {

// The line of the host's call that this thread serves: what the module calls meanwhile
// goes over it. Null: a thread of the module's own.
thread_local Line* serving = nullptr;

}  // namespace

void Link::serve() {
  host_ = {sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, this, &Link::call_host};
  while (true) {
    auto message = receive_control(control_, Descriptors::taken);
    if (!message) return;
    if (message->fds.size() != 1) return;
    if (message->frame.kind == FrameKind::line) {
      add_line(std::move(message->fds[0]));
      continue;
    }
    const std::lock_guard lock(mutex_);
    own_.push_back(std::make_unique<Line>(std::move(message->fds[0]), Other::host));
    free_.push_back(own_.back().get());
    changed_.notify_one();
  }
}

// Each line has a thread for as long as the process lives. What no thread can be made
// for is closed, and the host learns it.
void Link::add_line(Fd socket) {
  auto line = std::make_shared<Line>(std::move(socket), Other::host);
  try {
    std::thread([this, line] { serve_line(*line); }).detach();
  } catch (const std::exception&) {
    line->shut();
  }
}

void Link::serve_line(Line& line) {
  serving = &line;
  while (true) {
    auto request = line.receive();
    if (!request) return;
    Message reply = answer(std::move(*request));
    if (const Status sent = line.send(reply.frame, reply.fds); !sent) {
      if (sent.error().code != Code::limit_exceeded) return;
      Message refusal = reply_of(fail(sent.error().in("the module's answer")));
      if (!line.send(std::move(refusal.frame))) return;
    }
  }
}

Message Link::answer(Message request) {
  Frame& frame = request.frame;
  if (frame.kind == FrameKind::create) return create(request);
  if (frame.kind == FrameKind::destroy) return destroy();
  if (instance_ == nullptr) return reply_of(fail(Code::wrong_state, "the module has no instance"));
  Packet packet{std::move(frame.payload), std::move(request.fds)};
  return reply_of(sdk::call_through(entry_.call, instance_, frame.interface, 0, frame.method, std::move(packet)));
}

Message Link::create(const Message& request) {
  if (instance_ != nullptr) return reply_of(fail(Code::wrong_state, "the module has an instance"));
  void* instance = nullptr;
  vmsec_reply reply{};
  reply.size = sizeof reply;
  entry_.create(&host_, request.frame.payload.data(), request.frame.payload.size(), &instance, &reply);
  auto made = sdk::result_of(reply);
  if (made && instance == nullptr) return reply_of(fail(Code::internal, "the module made no instance"));
  if (made) instance_ = instance;
  return reply_of(std::move(made));
}

Message Link::destroy() {
  if (instance_ != nullptr) entry_.destroy(std::exchange(instance_, nullptr));
  return reply_of(Packet{});
}

void Link::call_host(void* context, const vmsec_call* call, vmsec_reply* reply) {
  auto& self = *static_cast<Link*>(context);
  Packet request = sdk::packet_of(*call);
  Frame frame;
  frame.kind = FrameKind::call;
  frame.handle = call->handle;
  frame.method = call->method;
  frame.payload = std::move(request.bytes);
  auto got = self.ask(std::move(frame), request.fds);
  if (!got) return sdk::answer(*reply, fail(std::move(got).error()));
  sdk::answer(*reply, Packet{std::move(got->frame.payload), std::move(got->fds)});
  reply->code = got->frame.code;
}

Result<Message> Link::ask(Frame frame, const std::vector<Fd>& fds) {
  Line* line = serving != nullptr ? serving : borrow();
  auto answer = [&]() -> Result<Message> {
    VMSEC_CHECK(line->send(std::move(frame), fds));
    return line->receive();
  }();
  // Without its host there is nothing to do, and nothing that it may do.
  if (!answer && answer.error().code != Code::limit_exceeded) ::_exit(0);
  if (line != serving) give_back(line);
  return answer;
}

Line* Link::borrow() {
  std::unique_lock lock(mutex_);
  if (free_.empty() && asked_ < kOwnLines) {
    ++asked_;
    Frame want;
    want.kind = FrameKind::want_line;
    if (!send_control(control_, std::move(want))) ::_exit(0);
  }
  changed_.wait(lock, [&] { return !free_.empty(); });
  Line* line = free_.back();
  free_.pop_back();
  return line;
}

void Link::give_back(Line* line) {
  const std::lock_guard lock(mutex_);
  free_.push_back(line);
  changed_.notify_one();
}

}  // namespace vmsec::worker

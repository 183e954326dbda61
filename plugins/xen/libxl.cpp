#include "libxl.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace vmsec::xen {
namespace {

struct Meaning {
  Code code;
  std::string_view text;
};

Meaning meaning_of(int code) {
  switch (code) {
    case ERROR_NI:
    case ERROR_FEATURE_REMOVED:
      return {Code::unsupported, "this libxl or hypervisor cannot do it"};
    case ERROR_NOMEM:
      return {Code::limit_exceeded, "not enough memory"};
    case ERROR_INVAL:
      return {Code::invalid_argument, "libxl takes a value for invalid"};
    case ERROR_GUEST_TIMEDOUT:
      return {Code::timeout, "the guest has not answered"};
    case ERROR_TIMEDOUT:
      return {Code::timeout, "time is up"};
    case ERROR_NOPARAVIRT:
      return {Code::unsupported, "the guest has no paravirtual drivers"};
    case ERROR_LOCK_FAIL:
    case ERROR_NOT_READY:
      return {Code::unavailable, "busy"};
    case ERROR_DEVICE_EXISTS:
      return {Code::already_exists, "the device is there already"};
    case ERROR_DOMAIN_NOTFOUND:
    case ERROR_DOMAIN_DESTROYED:
      return {Code::not_found, "no such domain"};
    case ERROR_NOTFOUND:
      return {Code::not_found, "not found"};
    case ERROR_ABORTED:
      return {Code::cancelled, "it was called off"};
    default:
      return {Code::internal, "libxl failed"};
  }
}

}  // namespace

Uuid uuid_of(const libxl_uuid& uuid) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), libxl_uuid_bytearray_const(&uuid), bytes.size());
  return Uuid(bytes);
}

Libxl::Libxl() {
  logger_.vmessage = &Libxl::log;
  logger_.progress = &Libxl::progress;
  logger_.destroy = [](xentoollog_logger*) {};
  logger_.owner = this;
}

Libxl::~Libxl() { libxl_ctx_free(context_); }

Result<std::unique_ptr<Libxl>> Libxl::open() {
  std::unique_ptr<Libxl> out(new Libxl);
  const int code = libxl_ctx_alloc(&out->context_, LIBXL_VERSION, 0, &out->logger_);
  if (code != 0) {
    Error error = out->error("open libxl", code);
    error.code = Code::unavailable;
    return fail(std::move(error));
  }
  // This process has children of others.
  static const libxl_childproc_hooks hooks = {.chldowner = libxl_sigchld_owner_libxl_always_selective_reap,
                                              .fork_replacement = nullptr,
                                              .reaped_callback = nullptr};
  libxl_childproc_setmode(out->context_, &hooks, nullptr);
  return out;
}

void Libxl::log(xentoollog_logger* logger, xentoollog_level level, int error, const char* /*context*/,
                const char* format, va_list arguments) {
  auto* self = static_cast<Logger*>(logger)->owner;
  if (level < XTL_ERROR && !self->listener_.line) return;
  std::array<char, 512> line{};
  std::vsnprintf(line.data(), line.size(), format, arguments);
  if (self->listener_.line) self->listener_.line(line.data());
  if (level < XTL_ERROR) return;
  std::string text = line.data();
  if (error > 0) text += ": " + std::string(::strerrordesc_np(error) ? ::strerrordesc_np(error) : "unknown error");
  // The first is the cause; what follows are its consequences.
  if (self->log_.empty()) self->log_ = std::move(text);
}

void Libxl::progress(xentoollog_logger* logger, const char* /*context*/, const char* /*what*/, int /*percent*/,
                     unsigned long done, unsigned long total) {
  const auto& listener = static_cast<Logger*>(logger)->owner->listener_;
  if (listener.progress) listener.progress(done, total);
}

Error Libxl::error(std::string_view operation, int code) const {
  const Meaning meaning = meaning_of(code);
  std::string message = std::string(operation) + ": " + std::string(meaning.text);
  if (!log_.empty()) message += " (" + log_ + ")";
  return {meaning.code, std::move(message), 0, {}};
}

Error Libxl::error(std::string_view operation, int code, std::uint32_t domid) const {
  Error out = error(operation, code);
  DomInfo info;
  const int there = libxl_domain_info(context_, info.get(), domid);
  if (there == ERROR_DOMAIN_NOTFOUND || (there == 0 && info->dying))
    return {Code::not_found, std::string(operation) + ": the domain went away meanwhile", 0, {}};
  return out;
}

}  // namespace vmsec::xen

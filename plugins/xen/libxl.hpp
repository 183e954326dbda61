// libxl, with what its own headers and calls leave open met in one place: no extern "C", structures
// that must be initialised and disposed, a logger without which it crashes where there is no Xen,
// error codes that say little.
#pragma once

extern "C" {
#include <libxl.h>
#include <libxl_utils.h>
#include <xentoollog.h>
}

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vmsec/types.hpp"

namespace vmsec::xen {

// A structure of libxl's: initialised here, disposed of here.
template <class T, void (*init)(T*), void (*dispose)(T*)>
class Owned {
 public:
  Owned() { init(&value_); }
  ~Owned() { dispose(&value_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T* get() { return &value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }
  T& operator*() { return value_; }

 private:
  T value_{};
};

using DomainConfig = Owned<libxl_domain_config, libxl_domain_config_init, libxl_domain_config_dispose>;
using DomInfo = Owned<libxl_dominfo, libxl_dominfo_init, libxl_dominfo_dispose>;
using PhysInfo = Owned<libxl_physinfo, libxl_physinfo_init, libxl_physinfo_dispose>;
using SchedParams = Owned<libxl_domain_sched_params, libxl_domain_sched_params_init, libxl_domain_sched_params_dispose>;
using Bitmap = Owned<libxl_bitmap, libxl_bitmap_init, libxl_bitmap_dispose>;
using RestoreParams =
    Owned<libxl_domain_restore_params, libxl_domain_restore_params_init, libxl_domain_restore_params_dispose>;

struct Free {
  void operator()(void* memory) const { ::free(memory); }
};
using Text = std::unique_ptr<char, Free>;

Uuid uuid_of(const libxl_uuid& uuid);

// One context of libxl, and what it logged. One thread at a time. Its calls may hang for as long as
// xenstored does: see Toolstack, which every call goes through.
class Libxl {
 public:
  static Result<std::unique_ptr<Libxl>> open();
  ~Libxl();
  Libxl(const Libxl&) = delete;
  Libxl& operator=(const Libxl&) = delete;

  [[nodiscard]] libxl_ctx* get() const { return context_; }
  // What a long call tells of itself, on the thread that is in it.
  struct Listener {
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;
    std::function<void(std::string_view line)> line;  // of any level
  };
  // What libxl logs from here on belongs to the next error(), and goes to no listener.
  void begin() {
    log_.clear();
    listener_ = {};
  }
  void listen(Listener listener) { listener_ = std::move(listener); }
  // "OPERATION: what libxl says (its last log line)".
  [[nodiscard]] Error error(std::string_view operation, int code) const;
  // The same, or `not_found` where the domain is gone by now.
  [[nodiscard]] Error error(std::string_view operation, int code, std::uint32_t domid) const;

 private:
  struct Logger : xentoollog_logger {
    Libxl* owner;
  };
  Libxl();
  static void log(xentoollog_logger* logger, xentoollog_level level, int error, const char* context, const char* format,
                  va_list arguments);
  static void progress(xentoollog_logger* logger, const char* context, const char* what, int percent,
                       unsigned long done, unsigned long total);

  Logger logger_{};
  std::string log_;
  Listener listener_;
  libxl_ctx* context_ = nullptr;
};

}  // namespace vmsec::xen

#include "rpc/calling_user.hpp"

namespace vmsec::rpc {
namespace {
thread_local std::optional<uid_t> calling;
}  // namespace

CallingUser::CallingUser(uid_t user) { calling = user; }
CallingUser::~CallingUser() { calling.reset(); }
std::optional<uid_t> CallingUser::current() { return calling; }

}  // namespace vmsec::rpc

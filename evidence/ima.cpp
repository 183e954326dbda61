#include "ima.hpp"

namespace vmsec::boot {

Result<ImaList> read_ima(std::string_view, Hash) {
  return fail(Code::unsupported, "IMA list, byte 0, entry 0: lists are not read here");
}

}  // namespace vmsec::boot

// Where a guest's secrets go: files of its own, in memory where the folder is.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::guest {

// FOLDER/NAME, for root alone; there at once and whole, or not at all. In the place of one of that name.
Status store_secret(const std::string& folder, const std::string& name, std::string_view secret);

}  // namespace vmsec::guest

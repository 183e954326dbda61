// What to do about an error, for the programs that an operator meets it in.
#pragma once

#include <string>

#include "vmsec/result.hpp"

namespace vmsec::tools {

// About a module or plugin that does not load.
std::string advice_on_object(const Error& error);
// About what both programs read: trust stores, identities, policies, logs; else by the
// error's family. Never empty.
std::string advice_on(const Error& error);

}  // namespace vmsec::tools

// vmsec-measure --tcti T --pcr N --log FILE --kind module|plugin --name NAME --digest HEX
//
// Run by libvmsec before it loads a module or plugin: libvmsec itself links no TPM library.
#include <charconv>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include "measure.hpp"

namespace {

using vmsec::boot::MeasureRequest;

vmsec::Result<MeasureRequest> request_of(int count, char** words) {
  MeasureRequest out;
  std::string pcr;
  const std::map<std::string_view, std::string*> options{
      {"--tcti", &out.tcti},        {"--pcr", &pcr},
      {"--log", &out.log},          {"--kind", &out.object.kind},
      {"--name", &out.object.name}, {"--digest", &out.object.digest}};
  for (int i = 1; i < count; i += 2) {
    const auto option = options.find(words[i]);
    if (option == options.end() || i + 1 == count || !option->second->empty())
      return vmsec::fail(vmsec::Code::invalid_argument, "unexpected: " + std::string(words[i]));
    *option->second = words[i + 1];
  }
  for (const auto& [name, value] : options)
    if (value->empty()) return vmsec::fail(vmsec::Code::invalid_argument, std::string(name) + " is missing");
  const auto [end, error] = std::from_chars(pcr.data(), pcr.data() + pcr.size(), out.pcr);
  if (error != std::errc() || end != pcr.data() + pcr.size())
    return vmsec::fail(vmsec::Code::invalid_argument, "--pcr " + pcr + " is no number");
  return out;
}

vmsec::Status run(int count, char** words) {
  VMSEC_TRY(const auto request, request_of(count, words));
  return vmsec::boot::measure(request);
}

}  // namespace

int main(int count, char** words) {
  const auto done = run(count, words);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return 1;
}

#include "log_view.hpp"

#include <algorithm>

namespace vmsec::boot {

Result<std::vector<ViewedEvent>> view_log(std::string_view log, Hash bank) {
  VMSEC_TRY(auto reader, EventLogReader::open(log));
  if (std::ranges::find(reader.banks(), bank, &Bank::hash) == reader.banks().end())
    return fail(Code::unsupported, "the event log has no " + to_string(bank) + " digests");
  Describer describer(reader.banks());
  std::vector<ViewedEvent> events;
  while (true) {
    VMSEC_TRY(const auto event, reader.next());
    if (!event) return events;
    ViewedEvent viewed{event->number, event->pcr, event->type, event->extends(), {}, describer.describe(*event)};
    if (viewed.extends) viewed.digest = std::string(*event->digest(bank));
    events.push_back(std::move(viewed));
  }
}

std::map<std::uint32_t, std::vector<const ViewedEvent*>> by_pcr(const std::vector<ViewedEvent>& events) {
  std::map<std::uint32_t, std::vector<const ViewedEvent*>> all;
  for (const auto& event : events)
    if (event.extends) all[event.pcr].push_back(&event);
  return all;
}

}  // namespace vmsec::boot

#include "log_view.hpp"

#include "module_log.hpp"

namespace vmsec::boot {

namespace {

Status view_events(std::string_view log, Hash bank, ViewedBoot& boot) {
  VMSEC_TRY(auto reader, EventLogReader::open(log));
  Describer describer(reader.banks());
  while (true) {
    VMSEC_TRY(const auto event, reader.next());
    if (!event) break;
    ViewedEvent viewed{event->number, event->pcr, event->type, event->extends(), {}, describer.describe(*event)};
    if (viewed.extends) viewed.digest = std::string(*event->digest(bank));
    boot.events.push_back(std::move(viewed));
  }
  boot.remarks = describer.finish();
  return {};
}

Status view_modules(std::string_view log, ViewedBoot& boot) {
  const std::size_t before = boot.replay.measurements.size();
  VMSEC_TRY(const auto modules, replay_modules(boot.replay, log));
  boot.module_pcr = modules.start.pcr;
  for (std::size_t i = 0; i < modules.objects.size(); ++i) {
    const auto& measured = boot.replay.measurements[before + i];
    const auto& object = modules.objects[i].object;
    boot.events.push_back({measured.number,
                           measured.pcr,
                           measured.type,
                           true,
                           measured.digest,
                           {Part::other, object.kind + " " + object.name + " " + object.digest, {}}});
  }
  return {};
}

Status view_ima(std::string_view list, ViewedBoot& boot) {
  auto& value = boot.replay.values[kImaPcr];
  VMSEC_TRY(boot.ima, read_ima(list, boot.replay.bank, ImaQuote{value, {}}));
  boot.ima->quoted = boot.ima->entries.size();
  value = boot.ima->pcr;
  return {};
}

}  // namespace

Result<ViewedBoot> view_boot(const BootLogs& logs, Hash bank) {
  ViewedBoot boot;
  VMSEC_TRY(boot.replay, replay(logs.event_log, bank));
  VMSEC_CHECK(view_events(logs.event_log, bank, boot));
  if (!logs.module_log.empty()) VMSEC_CHECK(view_modules(logs.module_log, boot));
  if (!logs.ima_list.empty()) VMSEC_CHECK(view_ima(logs.ima_list, boot));
  return boot;
}

std::map<std::uint32_t, std::vector<const ViewedEvent*>> by_pcr(const std::vector<ViewedEvent>& events) {
  std::map<std::uint32_t, std::vector<const ViewedEvent*>> all;
  for (const auto& event : events)
    if (event.extends) all[event.pcr].push_back(&event);
  return all;
}

}  // namespace vmsec::boot

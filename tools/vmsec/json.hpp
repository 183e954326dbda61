// Any message as JSON: names and values as the .proto files say, for --json.
#pragma once

#include <nlohmann/json.hpp>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/events.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/grants.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/service/migrator.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::cli {

using Json = nlohmann::ordered_json;

std::string hexadecimal(std::string_view bytes);
bool is_text(std::string_view bytes);  // else a text field is shown in hexadecimal

// Every time in --json: "2026-11-21T08:23:36.413000Z", and null where there is none.
Json time_json(UnixSeconds time);
Json time_json(Microseconds since_1970);
// The same for a list: an object with one array of that name.
template <class List>
Json list_json(const char* name, List&& list) {
  return Json{{name, std::forward<List>(list)}};
}

inline std::string_view name_of(DomainState state) {
  switch (state) {
    case DomainState::unknown:
      return "unknown";
    case DomainState::running:
      return "running";
    case DomainState::paused:
      return "paused";
    case DomainState::shut_off:
      return "shut off";
    case DomainState::crashed:
      return "crashed";
  }
  return "unknown";
}

inline std::string_view name_of(EventKind kind) {
  switch (kind) {
    case EventKind::unknown:
      return "unknown";
    case EventKind::domain_started:
      return "started";
    case EventKind::domain_paused:
      return "paused";
    case EventKind::domain_resumed:
      return "resumed";
    case EventKind::domain_stopped:
      return "stopped";
    case EventKind::domain_defined:
      return "defined";
    case EventKind::domain_undefined:
      return "undefined";
    case EventKind::migration_iteration:
      return "migration iteration";
    case EventKind::backend_lost:
      return "backend lost";
    case EventKind::backend_restored:
      return "backend restored";
    case EventKind::limits_changed:
      return "limits changed";
    case EventKind::devices_changed:
      return "devices changed";
  }
  return "unknown";
}

// What a message has for people (`VM "web-*"`, "user 0 for bob") as fields for programs.
void refine(Json& object, const GrantInfo& grant);
void refine(Json& object, const GrantChange& change);
void refine(Json& object, const Withdrawal& withdrawal);
void refine(Json& object, const TenantInfo& tenant);
void refine(Json& object, const TenantChoice& choice);
void refine(Json& object, const ChoiceInfo& choice);

template <class T>
Json to_json(const T& value) {
  if constexpr (wire::IsOptional<T>::value) {
    return value ? to_json(*value) : Json();
  } else if constexpr (wire::IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& element : value) list.push_back(to_json(element));
    return list;
  } else if constexpr (std::is_same_v<T, UnixSeconds>) {
    return time_json(value);
  } else if constexpr (wire::IsQuantity<T>::value) {
    return value.value;
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return value.text();
  } else if constexpr (std::is_same_v<T, Fd>) {
    return nullptr;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return is_text(value) ? value : hexadecimal(value);
  } else if constexpr (std::is_same_v<T, DomainState> || std::is_same_v<T, EventKind>) {
    return name_of(value);
  } else if constexpr (std::is_enum_v<T>) {
    if constexpr (requires { to_string(value); })
      return to_string(value);
    else
      return static_cast<std::uint32_t>(value);
  } else if constexpr (wire::Message<T>) {
    Json object = Json::object();
    wire::for_each_field<T>([&](const auto& each) { object[std::string(each.name)] = to_json(value.*(each.member)); });
    if constexpr (std::is_same_v<T, Event>) object["time"] = time_json(value.time);
    if constexpr (requires { refine(object, value); }) refine(object, value);
    return object;
  } else {
    return value;
  }
}

}  // namespace vmsec::cli

#include "json.hpp"

#include <charconv>

namespace vmsec::cli {
namespace {

constexpr std::string_view kUser = "user ";

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

// One of the two is set: the other is null, and the text of both is for people.
void name_vms(Json& object, const std::string& vm, const std::string& tag) {
  object.erase("vms");
  object["vm"] = or_null(vm);
  object["tag"] = or_null(tag);
}

// "user 1000 for alice": the kernel's word, and the caller's.
void name_asker(Json& object, std::string_view by) {
  const auto words = by.find(" for ");
  const std::string_view known = by.substr(0, words);
  std::uint32_t user = 0;
  const bool is_user =
      known.starts_with(kUser) &&
      std::from_chars(known.data() + kUser.size(), known.data() + known.size(), user).ec == std::errc();
  object["by_user"] = is_user ? Json(user) : Json();
  object["by_name"] = words == std::string_view::npos ? Json() : Json(by.substr(words + 5));
}

void name_domains(Json& object) {
  object["domains"] = object["here"];
  object.erase("here");
}

}  // namespace

void refine(Json& object, const GrantInfo& grant) { name_vms(object, grant.vm, grant.tag); }

void refine(Json& object, const GrantChange& change) {
  name_vms(object, change.vm, change.tag);
  name_domains(object);
}

void refine(Json& object, const Withdrawal& withdrawal) {
  name_vms(object, withdrawal.vm, withdrawal.tag);
  name_domains(object);
  name_asker(object, withdrawal.by);
}

void refine(Json& object, const TenantInfo& tenant) { name_vms(object, tenant.vm, tenant.tag); }

void refine(Json& object, const TenantChoice& choice) { name_asker(object, choice.by); }

void refine(Json& object, const ChoiceInfo& choice) {
  object["in_effect"] = choice.idle.empty();
  object["idle"] = or_null(choice.idle);
}

}  // namespace vmsec::cli

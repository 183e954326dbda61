// A walk through a domain's XML by definition_rules.hpp: what is no part of any definition's domain.
#pragma once

#include <libxml/tree.h>

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "definition_rules.hpp"
#include "vmsec/capability/interchange.hpp"

namespace vmsec::kvm {

class LossFinder {
 public:
  // Is shown each element that has a rule, before its parts are looked at: by its path in the rules, and its
  // place. False: the visitor has dealt with all of it.
  using Visitor = std::function<bool(std::string_view path, const xmlNode* node, const std::string& place)>;

  explicit LossFinder(Visitor visitor) : visitor_(std::move(visitor)) {}

  void walk(const xmlNode* domain);
  void lose(const std::string& place, const std::string& reason);

  [[nodiscard]] bool too_many() const { return too_many_; }
  [[nodiscard]] std::vector<Loss> take() { return std::move(losses_); }

 private:
  [[nodiscard]] const PlainElement* rule_of(const std::string& path) const;
  void element(const xmlNode* node, const std::string& path, const std::string& place);
  void attributes(const xmlNode* node, const std::string& place, const PlainElement& rule);
  void children(const xmlNode* node, const std::string& path, const std::string& place, const PlainElement& rule);

  Visitor visitor_;
  std::vector<Loss> losses_;
  std::set<std::string, std::less<>> seen_;  // paths
  bool efi_ = false;
  bool too_many_ = false;
};

}  // namespace vmsec::kvm

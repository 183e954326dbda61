// Rules of a PCR whose events are, in order, one of each named part.
#include <algorithm>

#include "bytes.hpp"
#include "rules.hpp"

namespace vmsec::boot {
namespace {

class Matcher {
 public:
  Matcher(const Reference& reference, std::uint32_t pcr, const Measured& measured)
      : reference_(reference),
        name_("PCR " + std::to_string(pcr)),
        steps_(reference.pcrs.at(pcr).sequence),
        measured_(measured) {}

  Rulings match() && {
    std::vector<std::vector<State>> layers{{State{}}};
    for (std::size_t i = 0; i < measured_.size(); ++i) {
      auto next = after(layers.back(), *measured_[i]);
      if (next.empty()) return refused(layers, i, at(i) + reason(layers.back().back().next, i));
      layers.push_back(std::move(next));
    }
    for (std::size_t i = 0; i < layers.back().size(); ++i)
      if (mandatory(layers.back()[i].next) == steps_.size()) return ruled(layers, i);
    const std::size_t missing = mandatory(layers.back().back().next);
    return refused(layers, measured_.size(), name_ + ": " + steps_[missing].part + " was not measured");
  }

 private:
  // Steps that optional ones leave open are followed at once.
  struct State {
    std::size_t next = 0;  // the step that comes next
    std::size_t from = 0;  // place of the state before in its layer
  };

  [[nodiscard]] const std::vector<std::string>& digests(std::size_t step) const {
    return reference_.parts.at(steps_[step].part);
  }
  [[nodiscard]] bool allows(std::size_t step, const Measurement& event) const {
    return is_allowed(event.digest, digests(step));
  }
  // The first step from there on that may not be left out.
  [[nodiscard]] std::size_t mandatory(std::size_t step) const {
    while (step < steps_.size() && steps_[step].optional) ++step;
    return step;
  }
  [[nodiscard]] std::string at(std::size_t i) const {
    return name_ + " event " + std::to_string(measured_[i]->number) + ": ";
  }

  [[nodiscard]] std::vector<State> after(const std::vector<State>& states, const Measurement& event) const {
    std::vector<State> next;
    for (std::size_t i = 0; i < states.size(); ++i) {
      const std::size_t last = std::min(mandatory(states[i].next) + 1, steps_.size());
      for (std::size_t step = states[i].next; step < last; ++step)
        if (allows(step, event) && std::ranges::find(next, step + 1, &State::next) == next.end())
          next.push_back({step + 1, i});
    }
    std::ranges::sort(next, {}, &State::next);
    return next;
  }

  // Why nothing that may come there is this event.
  [[nodiscard]] std::string reason(std::size_t next, std::size_t i) const {
    const Measurement& event = *measured_[i];
    if (next == steps_.size())
      return "additional, behind all that the reference's sequence has: digest " + to_hex(event.digest);
    const std::size_t wanted = std::min(mandatory(next), steps_.size() - 1);
    const std::string& part = steps_[wanted].part;
    for (std::size_t later = wanted + 1; later < steps_.size(); ++later)
      if (allows(later, event)) return part + " is missing before it: by its digest it is " + steps_[later].part;
    if (i + 1 < measured_.size() && allows(wanted, *measured_[i + 1]))
      return "additional, before " + part + ": digest " + to_hex(event.digest);
    return part + " is " + to_hex(event.digest) + ", the reference allows " + allowed_text(digests(wanted));
  }

  [[nodiscard]] Ruling ruling(std::size_t i, std::size_t step) const {
    const std::string key = "part." + steps_[step].part;
    const auto& allowed = digests(step);
    for (std::size_t place = 0; place < allowed.size(); ++place)
      if (equal(measured_[i]->digest, allowed[place]))
        return {measured_[i]->number, key, reference_.line_of(key, place), true};
    return {measured_[i]->number, key, 0, false};
  }

  // Each measurement's step, from the last layer back.
  [[nodiscard]] Rulings ruled(const std::vector<std::vector<State>>& layers, std::size_t place) const {
    Rulings rulings;
    for (std::size_t layer = layers.size() - 1; layer > 0; --layer) {
      const State& state = layers[layer][place];
      rulings.events.push_back(ruling(layer - 1, state.next - 1));
      place = state.from;
    }
    std::ranges::reverse(rulings.events);
    return rulings;
  }

  [[nodiscard]] Rulings refused(const std::vector<std::vector<State>>& layers, std::size_t broken,
                                std::string cause) const {
    Rulings rulings = ruled(layers, layers.back().size() - 1);
    for (std::size_t i = broken; i < measured_.size(); ++i)
      rulings.events.push_back({measured_[i]->number, {}, 0, false});
    rulings.cause = std::move(cause);
    return rulings;
  }

  const Reference& reference_;
  const std::string name_;
  const std::vector<Step>& steps_;
  const Measured& measured_;
};

}  // namespace

Rulings by_sequence(const Reference& reference, std::uint32_t pcr, const Measured& measured) {
  return Matcher(reference, pcr, measured).match();
}

}  // namespace vmsec::boot

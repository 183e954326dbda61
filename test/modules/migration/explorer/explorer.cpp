#include "explorer.hpp"

#include <algorithm>
#include <sstream>

namespace vmsec::migration::explorer {
namespace {

using Index = std::uint32_t;
constexpr Index kNone = ~Index{0};

std::uint64_t hash_of(const State& state) {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&state);
  std::size_t at = 0;
  for (; at + 8 <= sizeof(State); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  for (; at < sizeof(State); ++at) hash = (hash ^ bytes[at]) * 0x100000001b3;
  return hash ^ (hash >> 29);
}

// Every state once; its index is the order in which it was found.
class Table {
 public:
  Table() : slots_(1 << 16, kNone) {}

  std::pair<Index, bool> insert(const State& state, Index from) {
    if (2 * states_.size() > slots_.size()) grow();
    const std::size_t slot = find(state);
    if (slots_[slot] != kNone) return {slots_[slot], false};
    slots_[slot] = static_cast<Index>(states_.size());
    states_.push_back(state);
    from_.push_back(from);
    return {slots_[slot], true};
  }
  [[nodiscard]] Index index_of(const State& state) const { return slots_[find(state)]; }
  [[nodiscard]] const State& at(Index index) const { return states_[index]; }
  [[nodiscard]] Index from(Index index) const { return from_[index]; }
  [[nodiscard]] std::size_t size() const { return states_.size(); }

 private:
  [[nodiscard]] std::size_t find(const State& state) const {
    std::size_t slot = hash_of(state) & (slots_.size() - 1);
    while (slots_[slot] != kNone && !(states_[slots_[slot]] == state)) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }
  void grow() {
    std::vector<Index> fresh(slots_.size() * 2, kNone);
    slots_.swap(fresh);
    for (Index i = 0; i < states_.size(); ++i) slots_[find(states_[i])] = i;
  }

  std::vector<State> states_;
  std::vector<Index> from_;
  std::vector<Index> slots_;
};

std::string short_name(const End& end) {
  static constexpr const char* kGuests[] = {"no guest", "guest runs", "guest paused", "guest off", "guest broken"};
  std::string out = std::string(to_string(phase_at(end))) + ", " + kGuests[static_cast<int>(end.copy)];
  if (end.off != 0) return out + ", no power";
  return end.up != 0 ? out : out + ", agent dead";
}

class Explorer {
 public:
  Explorer(const Rules& rules, const World& world, const Limits& limits) : model_(rules, world), limits_(limits) {}

  Report run() {
    const State first = Model::first();
    table_.insert(first, kNone);
    depth_.push_back(0);
    for (Index at = 0; at < table_.size() && report_.violation.empty(); ++at) {
      if (table_.size() > limits_.states) {
        report_.whole = false;
        break;
      }
      look(at);
    }
    report_.states = table_.size();
    if (report_.violation.empty() && report_.whole && limits_.recovery) recover();
    return std::move(report_);
  }

 private:
  void look(Index at) {
    const State state = table_.at(at);
    model_.expand(state, edges_);
    report_.depth = std::max<std::size_t>(report_.depth, depth_[at]);
    if (limits_.recovery) begins_.push_back(recovers_.size());
    for (const Edge& edge : edges_) {
      ++report_.transitions;
      const auto [to, fresh] = table_.insert(edge.next, at);
      if (fresh) depth_.push_back(static_cast<std::uint16_t>(depth_[at] + 1));
      if (limits_.recovery && edge.kind != Kind::fault) recovers_.push_back(to);
      const char* broken = Model::broken(edge.next);
      const char* why = broken != nullptr ? broken : edge.violation;
      if (why == nullptr) continue;
      report_.violation = why;
      report_.trace = trace(at) + line(edge);
      return;
    }
  }

  static std::string line(const Edge& edge) {
    return std::string(edge.who) + " " + std::string(edge.what) + "\n      source: " + short_name(edge.next.source) +
           "; destination: " + short_name(edge.next.destination) +
           (edge.next.elsewhere != 0 ? "; a third host runs it\n" : "\n");
  }

  std::string trace(Index to) {
    std::vector<Index> path;
    for (Index at = to; at != kNone; at = table_.from(at)) path.push_back(at);
    std::reverse(path.begin(), path.end());
    std::string out;
    std::vector<Edge> edges;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      model_.expand(table_.at(path[i]), edges);
      const auto found =
          std::ranges::find_if(edges, [&](const Edge& edge) { return edge.next == table_.at(path[i + 1]); });
      if (found != edges.end()) out += line(*found);
    }
    return out;
  }

  // Which states lead, by recovery alone, to one that `good` accepts. All that recovery reaches is in the
  // table; so where every state leads there, every fair schedule ends there.
  template <class Good>
  std::vector<char> leads_to(Good&& good) const {
    const std::size_t count = table_.size();
    std::vector<Index> heads(count + 1, 0);
    for (const Index to : recovers_) ++heads[to + 1];
    for (std::size_t i = 0; i < count; ++i) heads[i + 1] += heads[i];
    std::vector<Index> back(recovers_.size()), fill(heads.begin(), heads.end() - 1);
    for (Index from = 0; from < count; ++from)
      for (std::size_t i = begins_[from]; i < end_of_edges(from); ++i) back[fill[recovers_[i]]++] = from;
    std::vector<char> reached(count, 0);
    std::vector<Index> next;
    for (Index i = 0; i < count; ++i)
      if (good(table_.at(i))) reached[i] = 1, next.push_back(i);
    while (!next.empty()) {
      const Index at = next.back();
      next.pop_back();
      for (Index i = heads[at]; i < heads[at + 1]; ++i)
        if (!reached[back[i]]) reached[back[i]] = 1, next.push_back(back[i]);
    }
    return reached;
  }
  [[nodiscard]] std::size_t end_of_edges(Index at) const {
    return at + 1 < begins_.size() ? begins_[at + 1] : recovers_.size();
  }

  // Where the source keeps the guest, the destination's copy is no longer worth anything. Nor is one that a post-copy
  // has left at the source.
  static bool has_copy(const State& s) {
    const bool left = s.post_copy != 0 && s.source.copy == Guest::paused;
    return s.elsewhere != 0 || (whole(s.source) && !left) || (whole(s.destination) && s.kept == 0);
  }
  static bool quiet(const State& s) {
    const auto rests = [](const End& end) {
      const auto idle = [](const Task& task) { return task.at == At::idle; };
      return end.up != 0 && idle(end.session) && idle(end.resolver) && idle(end.handler) && !works(end.engine);
    };
    return rests(s.source) && rests(s.destination);
  }
  static bool decided(const State& s) {
    const auto closed = [](const End& end) {
      return phase_at(end) == Phase::none || state_of(phase_at(end)) != MigrationState::in_doubt;
    };
    return closed(s.source) && closed(s.destination);
  }

  void recover() {
    const auto runs = leads_to([](const State& s) { return quiet(s) && running(s) == 1; });
    const auto ends = leads_to([](const State& s) { return quiet(s) && running(s) == 1 && decided(s); });
    const auto closes = leads_to([](const State& s) { return quiet(s) && decided(s); });
    for (Index at = 0; at < table_.size(); ++at) {
      const State state = table_.at(at);
      const bool lost = !has_copy(state);
      if (lost && (state.post_copy == 0 || closes[at])) continue;
      if (runs[at] && ends[at]) continue;
      const bool open = runs[at] || lost;
      ++(open ? report_.open : report_.stuck);
      const bool first = open ? report_.open == 1 && report_.stuck == 0 : report_.stuck == 1;
      if (first) report_.trace = trace(at);
    }
  }

  Model model_;
  const Limits limits_;
  Table table_;
  Report report_;
  std::vector<std::uint16_t> depth_;
  std::vector<Edge> edges_;
  std::vector<std::size_t> begins_;
  std::vector<Index> recovers_;
};

}  // namespace

std::string Report::text() const {
  std::ostringstream out;
  out << states << " states, " << transitions << " transitions, depth " << depth;
  if (!whole) out << " (not all)";
  out << ", " << stuck << " stuck, " << open << " open";
  if (!violation.empty()) out << "; found: " << violation;
  return out.str();
}

Report explore(const Rules& rules, const World& world, const Limits& limits) {
  return Explorer(rules, world, limits).run();
}

}  // namespace vmsec::migration::explorer

// One domain's devices: counters come in, rates are judged, deviations are kept.
#pragma once

#include <array>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <vector>
#include <vmsec/capability/io_control.hpp>
#include <vmsec/service/inspection.hpp>

#include "baseline.hpp"

namespace io_anomaly {

// One direction of one device, "disk vda written".
class Line {
 public:
  explicit Line(const Rule& rule) : baseline_(rule) {}

  // The counter now, `seconds` after the last time. True where a deviation begins.
  bool add(std::uint64_t counter, double seconds) {
    const std::uint64_t before = std::exchange(counter_, counter);
    if (!std::exchange(started_, true) || seconds <= 0 || counter < before) return false;  // it began anew
    usual_ = baseline_.usual();
    rate_ = static_cast<double>(counter - before) / seconds;
    const bool deviated = std::exchange(deviates_, baseline_.add(rate_));
    return deviates_ && !deviated;
  }

  [[nodiscard]] bool knows() const { return baseline_.knows(); }
  [[nodiscard]] std::string text() const { return per_second(rate_) + ", usual " + per_second(usual_); }

 private:
  static std::string per_second(double rate) {
    constexpr std::array kUnits = {"B/s", "kB/s", "MB/s", "GB/s"};
    std::size_t unit = 0;
    for (; rate >= 999.5 && unit + 1 < kUnits.size(); ++unit) rate /= 1000;
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g %s", rate, kUnits[unit]);
    return text.data();
  }

  Baseline baseline_;
  bool started_ = false;
  bool deviates_ = false;
  std::uint64_t counter_ = 0;
  double rate_ = 0;
  double usual_ = 0;
};

class Watch {
 public:
  explicit Watch(const Rule& rule) : rule_(rule) {}

  // Answers what begins to deviate.
  std::vector<vmsec::Observation> add(const vmsec::IoStatistics& now, double seconds) {
    std::vector<vmsec::Observation> news;
    const auto take = [&](const std::string& device, const std::string& what, vmsec::Bytes counter) {
      Line& line = lines_.try_emplace(device + " " + what, rule_).first->second;
      if (line.add(counter.value, seconds))
        news.push_back({vmsec::Severity::warning, device, what + " " + line.text()});
    };
    for (const auto& disk : now.disks) {
      take("disk " + disk.target, "read", disk.read);
      take("disk " + disk.target, "written", disk.written);
    }
    for (const auto& nic : now.nics) {
      take("NIC " + nic.target, "received", nic.read);
      take("NIC " + nic.target, "transmitted", nic.written);
    }
    ++samples_;
    for (const auto& each : news) kept_.push_back(each);
    while (kept_.size() > kKept) kept_.pop_front();
    return news;
  }

  // The last deviations since the module started, and how each line is now.
  [[nodiscard]] vmsec::InspectionReport report() const {
    vmsec::InspectionReport report;
    report.observations.assign(kept_.begin(), kept_.end());
    for (const auto& [name, line] : lines_) report.measurements.push_back({name, line.text()});
    report.measurements.push_back({"samples", std::to_string(samples_)});
    return report;
  }
  [[nodiscard]] bool knows() const {
    return samples_ > 0 && std::ranges::all_of(lines_, [](const auto& line) { return line.second.knows(); });
  }
  [[nodiscard]] std::size_t samples() const { return samples_; }

 private:
  static constexpr std::size_t kKept = 50;

  Rule rule_;
  std::size_t samples_ = 0;
  std::map<std::string, Line> lines_;
  std::deque<vmsec::Observation> kept_;
};

}  // namespace io_anomaly

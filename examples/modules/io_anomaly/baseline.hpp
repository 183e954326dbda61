// What is usual for one rate, by median and MAD: a few extremes do not move them, as they
// would move mean and deviation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <vector>

namespace io_anomaly {

struct Rule {
  std::size_t window = 60;  // samples that say what is usual
  double factor = 8;        // so many times the usual spread is a deviation
};

class Baseline {
 public:
  explicit Baseline(const Rule& rule) : rule_(rule) {}

  [[nodiscard]] bool knows() const { return samples_.size() == rule_.window; }
  [[nodiscard]] double usual() const { return median(std::vector(samples_.begin(), samples_.end())); }

  // How far from usual samples are, usually. 1.4826 makes of the MAD what the standard
  // deviation is where the samples are normal. A rate that hardly varies has a floor:
  // a tenth of it, and 4 KiB/s.
  [[nodiscard]] double spread() const {
    const double middle = usual();
    std::vector<double> distances;
    for (const double sample : samples_) distances.push_back(std::abs(sample - middle));
    return std::max({1.4826 * median(std::move(distances)), middle / 10, 4096.0});
  }

  // Whether the sample deviates from those before. It belongs to them from then on:
  // what lasts becomes usual.
  bool add(double sample) {
    const bool deviates = knows() && std::abs(sample - usual()) > rule_.factor * spread();
    samples_.push_back(sample);
    if (samples_.size() > rule_.window) samples_.pop_front();
    return deviates;
  }

 private:
  static double median(std::vector<double> values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  Rule rule_;
  std::deque<double> samples_;
};

}  // namespace io_anomaly

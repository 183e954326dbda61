// What deviates, and what does not.
#include <cstdio>
#include <random>

#include "../watch.hpp"

using namespace io_anomaly;

namespace {

int failures = 0;

#define EXPECT(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                          \
    }                                                                      \
  } while (false)

Baseline learnt(double rate, double noise) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> around(-noise, noise);
  Baseline baseline({60, 8});
  for (int i = 0; i < 200; ++i) EXPECT(!baseline.add(rate + around(random)));
  return baseline;
}

void noise_is_usual_and_a_leap_is_not() {
  EXPECT(learnt(10e6, 1e6).add(30e6));
  EXPECT(learnt(10e6, 1e6).add(0));
  EXPECT(!learnt(10e6, 1e6).add(12e6));
  EXPECT(learnt(0, 0).add(1e6));
  EXPECT(!learnt(0, 0).add(16e3));
}

void a_few_extremes_do_not_hide_the_next() {
  Baseline baseline = learnt(10e6, 1e6);
  for (int i = 0; i < 15; ++i) EXPECT(baseline.add(100e6));
}

void what_lasts_becomes_usual() {
  Baseline baseline = learnt(10e6, 1e6);
  int deviations = 0;
  for (int i = 0; i < 120; ++i) deviations += baseline.add(100e6);
  EXPECT(deviations > 20 && deviations < 60);
  EXPECT(!baseline.add(100e6));
}

void nothing_deviates_before_it_is_learnt() {
  Baseline baseline({60, 8});
  for (int i = 0; i < 60; ++i) EXPECT(!baseline.add(i % 2 == 0 ? 0 : 1e9));
  EXPECT(baseline.knows());
}

void a_deviation_is_told_once_and_a_restart_is_none() {
  Watch watch({10, 8});
  vmsec::IoStatistics now;
  now.disks.push_back({"vda", {0}, {0}, 0, 0});
  for (int i = 0; i < 30; ++i) {
    now.disks[0].written.value += 1'000'000;
    EXPECT(watch.add(now, 1).empty());
  }
  EXPECT(watch.knows());
  now.disks[0].written.value += 90'000'000;
  const auto news = watch.add(now, 1);
  EXPECT(news.size() == 1 && news[0].subject == "disk vda" && news[0].message == "written 90 MB/s, usual 1 MB/s");
  now.disks[0].written.value += 90'000'000;
  EXPECT(watch.add(now, 1).empty());
  now.disks[0].written.value = 5;  // the guest started anew
  EXPECT(watch.add(now, 1).empty());
  EXPECT(watch.report().observations.size() == 1);
}

}  // namespace

int main() {
  noise_is_usual_and_a_leap_is_not();
  a_few_extremes_do_not_hide_the_next();
  what_lasts_becomes_usual();
  nothing_deviates_before_it_is_learnt();
  a_deviation_is_told_once_and_a_restart_is_none();
  return failures == 0 ? 0 : 1;
}

// What a piece of work takes, in this process and in a program of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::bench {

struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
};

// The mean of so many times.
Result<Cost> cost_of(unsigned times, const std::function<Status()>& work);

// A program from its start to its end; what it prints is thrown away. An error unless it exits with 0.
Result<Cost> cost_of_program(const std::vector<std::string>& words);

double median(std::vector<double> values);

}  // namespace vmsec::bench

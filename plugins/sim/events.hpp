#pragma once

#include "sim_host.hpp"

namespace vmsec::sim {

class SimEvents final : public Events {
 public:
  explicit SimEvents(SimHost& host) : host_(host) {}
  Result<EventList> next(const NextEvents& request) override {
    VMSEC_CHECK(host_.faults().call("Events.Next"));
    return host_.events().next(request);
  }

 private:
  SimHost& host_;
};

}  // namespace vmsec::sim

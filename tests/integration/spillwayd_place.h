// A place of its own for the program spillwayd, with stand-ins for its workers. Nothing that was
// started there outlives the test.
#ifndef SPILLWAY_TESTS_INTEGRATION_SPILLWAYD_PLACE_H_
#define SPILLWAY_TESTS_INTEGRATION_SPILLWAYD_PLACE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/processes.h"

namespace spillway::testing {

// A fixture. Servers are the test's own, and end before it.
class SpillwaydPlace : public ::testing::Test {
 protected:
  static constexpr std::chrono::seconds kLimit{30};

  SpillwaydPlace();
  ~SpillwaydPlace() override;

  // Those alive, by their lock files in run_dir_.
  std::vector<int64_t> Workers() const;
  std::string Output() const;  // of all that wrote to output_
  // Looks again as often as the machine lets it, for kLimit at most.
  static bool Until(const std::function<bool()>& condition);

  TemporaryDirectory directory_;
  const std::string bin_ = directory_.path() + "/bin";  // spillwayd and spillway-worker
  const std::string run_dir_ = directory_.path() + "/run";
  const std::string output_ = directory_.path() + "/output";

 private:
  bool KillOneLeft() const;
};

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_INTEGRATION_SPILLWAYD_PLACE_H_

// What single values cannot tell: combinations that cannot work, and defaults that depend on others
// or on the machine.
#ifndef SPILLWAY_CONFIG_CHECKS_H_
#define SPILLWAY_CONFIG_CHECKS_H_

#include <vector>

#include "config/config.h"
#include "config/load.h"

namespace spillway::config {

// Fills in what was left empty. Reads the environment (XDG directories) when not privileged.
void FillDefaults(Config& config);

std::vector<Problem> CheckCombinations(const Config& config);

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_CHECKS_H_

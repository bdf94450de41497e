// What a faultless Spillway would put out for a manifest: the checker's tests start from it and
// break it.
#ifndef SPILLWAY_TESTS_LOAD_IDEAL_OUTPUT_H_
#define SPILLWAY_TESTS_LOAD_IDEAL_OUTPUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/load/manifest.h"

namespace spillway::load {

struct OutputMessage {
  std::vector<std::string> spans;  // edited
  std::string flush_id;
  bool skip_enrichment = false;
};
std::string OutputText(const OutputMessage& message);

// A manifest as `make` would write it after sending everything at once.
Manifest SentManifest(const TrafficOptions& options);

// One message per segment.
std::vector<OutputMessage> IdealOutput(const Manifest& manifest);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_IDEAL_OUTPUT_H_

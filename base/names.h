// Names that come from outside: what they may look like, and the words that say so.
#ifndef SPILLWAY_BASE_NAMES_H_
#define SPILLWAY_BASE_NAMES_H_

#include "absl/strings/string_view.h"

namespace spillway {

// "flush"
inline constexpr char kPoolNameRule[] = "1 to 32 lower-case letters, digits or dashes";
bool IsPoolName(absl::string_view text);

// A worker process's identity: a random number, a pod's name, host:pid.
inline constexpr char kUidRule[] = "1 to 128 letters, digits, dots, colons, dashes or underscores";
bool IsUid(absl::string_view text);

}  // namespace spillway

#endif  // SPILLWAY_BASE_NAMES_H_

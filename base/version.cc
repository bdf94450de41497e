#include "base/version.h"

namespace spillway {

const char* Version() { return SPILLWAY_VERSION; }

}  // namespace spillway

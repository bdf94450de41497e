// A worker's output, page by page, for those who read its log.
#ifndef SPILLWAY_SERVER_PROCESS_OUTPUT_PAGES_H_
#define SPILLWAY_SERVER_PROCESS_OUTPUT_PAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/supervisor/launcher.h"

namespace spillway::process {

inline constexpr size_t kMaxPageBytes = 1 << 20;  // what is read at once
inline constexpr size_t kMaxLogLine = 8 << 10;    // longer lines are cut

// Of the file at `path` (see OutputFile), and, where more lines are asked for than it has, of
// <path>.1. A position that lies beyond the file's end was before it was trimmed: reading goes on
// at its beginning. NOT_FOUND: there is no such file.
absl::StatusOr<supervisor::LogPage> ReadOutput(const std::string& path,
                                               const supervisor::LogQuery& query);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_OUTPUT_PAGES_H_

// Where a worker's output goes: a file, not a pipe, since workers outlive the server that started
// them, and the next server wants to read it too.
#ifndef SPILLWAY_SERVER_PROCESS_OUTPUT_FILE_H_
#define SPILLWAY_SERVER_PROCESS_OUTPUT_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace spillway::process {

// Not thread-safe. Names a file; holds no descriptor.
class OutputFile {
 public:
  static constexpr int64_t kMaxBytes = 16 << 20;  // then its content moves to <path>.1
  static constexpr int kLastLines = 8;
  static constexpr size_t kMaxLine = 300;  // characters; longer lines are cut

  explicit OutputFile(std::string path) : path_(std::move(path)) {}

  // For a new process: appends; what is written from now on is its own.
  absl::StatusOr<UniqueFd> Open();
  // Newest last, at most kLastLines of what came since Open (or at all, for a process that this
  // server did not start).
  std::vector<std::string> LastLines() const;
  // Keeps the file within kMaxBytes: its content moves to <path>.1, replacing the one before. Lines
  // written at that very moment may be lost. The process that writes goes on in the same file: it
  // appends, so what it writes next is the file's new beginning.
  void Trim();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int64_t start_ = 0;  // where the present process's output begins
};

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_OUTPUT_FILE_H_

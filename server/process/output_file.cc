#include "server/process/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"

namespace spillway::process {
namespace {

constexpr int64_t kTailBytes = 16 << 10;  // enough for the last lines

int64_t SizeOf(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

}  // namespace

absl::StatusOr<UniqueFd> OutputFile::Open() {
  Trim();
  UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!fd.valid()) return absl::InternalError(absl::StrCat(path_, ": ", std::strerror(errno)));
  start_ = SizeOf(path_);
  return fd;
}

std::vector<std::string> OutputFile::LastLines() const {
  const int64_t size = SizeOf(path_);
  const int64_t own = size < start_ ? 0 : start_;  // trimmed meanwhile: all of it is its own
  std::ifstream file(path_, std::ios::binary);
  file.seekg(std::max(own, size - kTailBytes));
  const std::string tail((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> lines = absl::StrSplit(tail, '\n', absl::SkipWhitespace());
  if (lines.size() > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
  for (std::string& line : lines) {
    if (line.size() > kMaxLine) line.resize(kMaxLine);
    line = ValidUtf8(std::move(line));
  }
  return lines;
}

void OutputFile::Trim() {
  if (SizeOf(path_) <= kMaxBytes) return;
  std::error_code error;  // a full disk must not stop workers: then the file stays as it is
  std::filesystem::copy_file(path_, path_ + ".1", std::filesystem::copy_options::overwrite_existing,
                             error);
  if (!error && ::truncate(path_.c_str(), 0) == 0) start_ = 0;
}

}  // namespace spillway::process

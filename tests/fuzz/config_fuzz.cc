// Any bytes as a configuration file: refused with problems that say something, or a configuration
// that its own YAML brings back.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "config/load.h"

namespace spillway::config {
namespace {

// A file in memory, as the loader wants a file's name.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("configuration", 0)) { CHECK(fd_ >= 0, "memory is left"); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }

  std::string Hold(absl::string_view text) {
    CHECK(ftruncate(fd_, 0) == 0, "a memory file can be cut");
    CHECK(pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()),
          "a memory file can be written");
    return absl::StrCat("/proc/self/fd/", fd_);
  }

 private:
  const int fd_;
};

void CheckText(absl::string_view text) {
  static MemoryFile file;
  const auto loaded = Load({.file = file.Hold(text), .overrides = {}});
  if (const auto* problems = std::get_if<std::vector<Problem>>(&loaded)) {
    CHECK(!problems->empty(), "a refusal has a reason");
    for (const Problem& problem : *problems) {
      CHECK(!problem.expected.empty(), "a problem says what would be right");
    }
    return;
  }
  const std::string yaml = ToYaml(std::get<Config>(loaded));
  const auto again = Load({.file = file.Hold(yaml), .overrides = {}});
  CHECK(std::holds_alternative<Config>(again), "what was printed can be read");
  CHECK(ToYaml(std::get<Config>(again)) == yaml, "and is the same");
}

}  // namespace
}  // namespace spillway::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spillway::config::CheckText({reinterpret_cast<const char*>(data), size});
  return 0;
}

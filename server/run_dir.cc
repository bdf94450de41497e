#include "server/run_dir.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace spillway::server {
namespace {

namespace fs = std::filesystem;

absl::Status MakeDirectory(const std::string& key, const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(key, ": ", path.string(), ": ", error.message()));
}

// config.<n>.yaml by n.
std::map<uint64_t, fs::path> FindConfigs(const std::string& directory) {
  std::map<uint64_t, fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    absl::string_view number = name;
    uint64_t n = 0;
    const bool is_config = absl::ConsumePrefix(&number, "config.") &&
                           absl::ConsumeSuffix(&number, ".yaml") && absl::SimpleAtoi(number, &n);
    if (is_config) found[n] = entry.path();
  }
  return found;
}

}  // namespace

absl::StatusOr<RunDir> RunDir::Open(const config::Server& config) {
  RETURN_IF_ERROR(MakeDirectory("server.run_dir", config.run_dir));
  absl::string_view socket = config.gateway;
  if (absl::ConsumePrefix(&socket, "unix:")) {
    RETURN_IF_ERROR(MakeDirectory("server.gateway", fs::path(std::string(socket)).parent_path()));
  }
  const std::string path = config.run_dir + "/spillwayd.lock";
  absl::StatusOr<PidLock> lock = PidLock::Acquire(path);
  if (absl::IsAlreadyExists(lock.status())) {
    return absl::FailedPreconditionError(absl::StrCat("server.run_dir: ", config.run_dir,
                                                      ": another spillwayd runs there, process ",
                                                      lock.status().message()));
  }
  if (!lock.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("server.run_dir: ", lock.status().message()));
  }
  return RunDir(config.run_dir, *std::move(lock));
}

absl::StatusOr<std::map<uint64_t, std::string>> RunDir::WriteConfigs(
    const std::map<uint64_t, std::string>& yaml) const {
  std::map<uint64_t, std::string> names;
  std::error_code error;
  for (const auto& [generation, text] : yaml) {
    const std::string name = absl::StrCat(path_, "/config.", generation, ".yaml");
    const std::string unfinished = name + ".new";
    std::ofstream file(unfinished);
    file << text;
    file.close();
    if (file) fs::rename(unfinished, name, error);
    if (!file || error) return absl::InternalError(absl::StrCat(name, ": cannot be written"));
    names[generation] = name;
  }
  for (const auto& [generation, path] : FindConfigs(path_)) {
    if (!yaml.contains(generation)) fs::remove(path, error);
  }
  return names;
}

}  // namespace spillway::server

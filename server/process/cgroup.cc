#include "server/process/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace spillway::process {
namespace {

constexpr const char* kDelegate =
    "right would be a cgroup that is delegated to spillwayd: Delegate=yes in its systemd unit, or "
    "a writable cgroup2 mount in its container";

absl::Status FileError(const std::string& path, int error) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(error)));
}

std::string Text(absl::string_view view) { return {view.data(), view.size()}; }

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FileError(path, errno);
  std::string text;
  for (char buffer[4096];;) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
    if (size < 0) return FileError(path, errno);  // ENODEV: the cgroup has just gone
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
  }
}

// mountinfo writes space, tab, line end and backslash as \040 and so on.
std::string Unescape(absl::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) &&
                           is_octal(text[i + 2]) && is_octal(text[i + 3]);
    if (!is_escape) {
      plain.push_back(text[i]);
      continue;
    }
    plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0')));
    i += 3;
  }
  return plain;
}

// `path` below `root`, with a slash in front; "" for root itself. Empty: it is not below.
std::optional<std::string> Below(const std::string& root, const std::string& path) {
  const std::string prefix = root == "/" ? "" : root;
  if (path == root || path == prefix) return "";
  if (!absl::StartsWith(path, prefix + "/")) return std::nullopt;
  return path.substr(prefix.size());
}

// The value after a word, as in memory.events ("oom_kill 3"); 0 if it is not there.
int64_t ValueAfter(absl::string_view word, const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::string_view rest = line;
    int64_t value = 0;
    if (absl::ConsumePrefix(&rest, word) && absl::ConsumePrefix(&rest, " ") &&
        absl::SimpleAtoi(rest, &value)) {
      return value;
    }
  }
  return 0;
}

// The directory of the systemd unit that it belongs to; empty: it belongs to none.
std::string UnitOf(std::string directory) {
  while (!directory.empty()) {
    if (absl::EndsWith(directory, ".service") || absl::EndsWith(directory, ".scope")) break;
    directory.resize(directory.rfind('/') == std::string::npos ? 0 : directory.rfind('/'));
  }
  return directory;
}

// systemd marks what it has delegated so.
bool HasDelegateMark(const std::string& directory) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(directory.c_str(), name, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Cgroup> Cgroup::Make(std::string directory) {
  const bool is_there = ::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST;
  if (!is_there) return FileError(directory, errno);
  return Cgroup(std::move(directory));
}

absl::Status Cgroup::Write(const char* file, const std::string& text) const {
  const std::string path = absl::StrCat(directory_, "/", file);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!fd.valid()) return FileError(path, errno);
  // All of it in one call: the kernel takes each write for a whole request.
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return absl::OkStatus();
  return FileError(absl::StrCat(path, ", written ", text), written < 0 ? errno : EIO);
}

absl::StatusOr<std::string> Cgroup::Read(const char* file) const {
  return ReadAll(absl::StrCat(directory_, "/", file));
}

absl::Status Cgroup::Kill() const { return Write("cgroup.kill", "1"); }

bool Cgroup::TryRemove() const { return ::rmdir(directory_.c_str()) == 0 || errno == ENOENT; }

bool Cgroup::RemoveWithin(Duration limit) const {
  const UniqueFd events(::open((directory_ + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  const Instant deadline = SystemClock().Now() + limit;
  while (!TryRemove()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().Now());
    // What was read is compared with: a change since then ends the wait at once.
    char buffer[256];
    const bool can_wait = left.count() > 0 && ::pread(events.get(), buffer, sizeof buffer, 0) > 0;
    if (!can_wait) return false;
    if (TryRemove()) return true;
    pollfd change{events.get(), POLLPRI, 0};
    ::poll(&change, 1, static_cast<int>(left.count()));
  }
  return true;
}

std::optional<int64_t> Cgroup::MemoryKill() const {
  const absl::StatusOr<std::string> events = Read("memory.events");
  if (!events.ok() || ValueAfter("oom_kill", *events) == 0) return std::nullopt;
  // "oom" counts where the limit was reached; a killing for another's limit is not in it.
  if (ValueAfter("oom", *events) == 0) return 0;
  const absl::StatusOr<std::string> limit = Read("memory.max");
  int64_t bytes = 0;  // stays so where there is none ("max")
  if (!limit.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*limit), &bytes)) return 0;
  return bytes;
}

std::vector<std::string> CgroupWords(const std::string& text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

std::optional<std::string> ParseCgroupPath(absl::string_view cgroup_file) {
  for (absl::string_view line : absl::StrSplit(cgroup_file, '\n')) {
    if (absl::ConsumePrefix(&line, "0::") && absl::StartsWith(line, "/")) return Text(line);
  }
  return std::nullopt;
}

absl::StatusOr<std::string> ParseCgroupDirectory(absl::string_view mountinfo,
                                                 const std::string& path) {
  if (path == "/.." || absl::StartsWith(path, "/../")) {
    return absl::FailedPreconditionError(
        absl::StrCat("cgroup ", path,
                     ": it is outside of the cgroup namespace that spillwayd sees; ", kDelegate));
  }
  for (const absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    // id parent device root point options [optional fields…] - type source options
    const std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2 || !absl::StartsWith(halves[1], "cgroup2 ")) continue;
    const std::vector<absl::string_view> fields = absl::StrSplit(halves[0], ' ');
    if (fields.size() < 5) continue;
    const std::optional<std::string> below = Below(Unescape(fields[3]), path);
    if (below) return absl::StrCat(Unescape(fields[4]), *below);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cgroup ", path,
                   ": no cgroup2 file system is mounted that shows it; "
                   "right would be /sys/fs/cgroup with cgroup v2 (unified hierarchy)"));
}

absl::StatusOr<std::string> FindCgroup(const std::string& proc, const std::string& process) {
  const std::string file = absl::StrCat(proc, "/", process, "/cgroup");
  ASSIGN_OR_RETURN(const std::string cgroups, ReadAll(file));
  const std::optional<std::string> path = ParseCgroupPath(cgroups);
  if (!path) {
    return absl::FailedPreconditionError(
        absl::StrCat(file,
                     ": names no cgroup of version 2; right would be a system with cgroup v2 "
                     "(unified hierarchy)"));
  }
  ASSIGN_OR_RETURN(const std::string mountinfo, ReadAll(proc + "/self/mountinfo"));
  return ParseCgroupDirectory(mountinfo, *path);
}

absl::Status CheckDelegated(const std::string& directory) {
  for (const char* file : {"", "/cgroup.procs", "/cgroup.subtree_control"}) {
    const std::string path = directory + file;
    if (::access(path.c_str(), W_OK) == 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": not writable (", std::strerror(errno), "); ", kDelegate));
  }
  const std::string unit = UnitOf(directory);
  if (unit.empty() || HasDelegateMark(unit)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(unit, ": systemd has not delegated it; ", kDelegate));
}

}  // namespace spillway::process

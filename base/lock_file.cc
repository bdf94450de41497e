#include "base/lock_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace spillway {
namespace {

std::string PathOf(const std::string& run_dir, const std::string& pool, int32_t slot) {
  return absl::StrCat(run_dir, "/", pool, "-", slot, ".lock");
}

std::string ToText(const LockRecord& record) {
  return absl::StrCat("pool=", record.pool, "\nslot=", record.slot,
                      "\ngeneration=", record.generation.value, "\npid=", record.pid,
                      "\nstart_ticks=", record.start_ticks, "\n");
}

std::optional<LockRecord> FromText(const std::string& text) {
  LockRecord record;
  bool ok = true;
  int fields = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const auto& [key, value] = field;
    ++fields;
    if (key == "pool") record.pool = std::string(value);
    if (key == "slot") ok = ok && absl::SimpleAtoi(value, &record.slot);
    if (key == "generation") ok = ok && absl::SimpleAtoi(value, &record.generation.value);
    if (key == "pid") ok = ok && absl::SimpleAtoi(value, &record.pid);
    if (key == "start_ticks") ok = ok && absl::SimpleAtoi(value, &record.start_ticks);
  }
  if (!ok || fields < 5 || record.pool.empty() || record.slot < 0 || record.pid <= 0) return {};
  return record;
}

std::optional<LockRecord> ReadRecord(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return FromText(text.str());
}

absl::Status Errno(const std::string& path, const char* what) {
  return absl::InternalError(absl::StrCat(path, ": ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<LockFile> LockFile::Acquire(const std::string& run_dir, const std::string& pool,
                                           int32_t slot, Generation generation) {
  const std::string path = PathOf(run_dir, pool, slot);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return Errno(path, "open");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::optional<LockRecord> holder = ReadRecord(path);
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the slot is taken by process ", holder ? holder->pid : 0));
  }
  LockRecord record{pool, slot, generation, ::getpid(), 0};
  record.start_ticks = ProcessStartTicks(record.pid).value_or(0);
  const std::string text = ToText(record);
  if (::ftruncate(fd.get(), 0) != 0) return Errno(path, "truncate");
  if (::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return Errno(path, "write");
  }
  return LockFile(std::move(fd));
}

std::vector<FoundLock> ReadLockFiles(const std::string& run_dir) {
  std::vector<FoundLock> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(run_dir.c_str()), ::closedir);
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (!absl::EndsWith(name, ".lock")) continue;
    const std::optional<LockRecord> record = ReadRecord(absl::StrCat(run_dir, "/", name));
    if (!record || PathOf("", record->pool, record->slot) != "/" + name) continue;
    found.push_back({*record, ProcessStartTicks(record->pid) == record->start_ticks});
  }
  std::sort(found.begin(), found.end(),
            [](const FoundLock& a, const FoundLock& b) { return a.record < b.record; });
  return found;
}

std::optional<uint64_t> ProcessStartTicks(int64_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The program's name, in parentheses, may hold anything; the rest is separated by spaces.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(line.substr(name_end + 1), ' ', absl::SkipEmpty());
  constexpr size_t kState = 0, kStartTime = 19;  // fields 3 and 22 of proc(5)
  uint64_t ticks = 0;
  if (fields.size() <= kStartTime || !absl::SimpleAtoi(fields[kStartTime], &ticks)) return {};
  const bool is_gone = fields[kState] == "Z" || fields[kState] == "X";  // dead, not yet reaped
  if (is_gone) return std::nullopt;
  return ticks;
}

}  // namespace spillway

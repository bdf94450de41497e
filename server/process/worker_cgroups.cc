#include "server/process/worker_cgroups.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "config/values.h"

namespace spillway::process {
namespace {

constexpr const char* kLeaf = "spillwayd";
constexpr const char* kFolderPrefix = "spillway-";
constexpr std::chrono::milliseconds kLastWait{100};  // a worker, at the server's end
constexpr int64_t kCpuPeriodUs = 100'000;            // the kernel's own default

std::string Request(const std::set<std::string>& controllers, const char* sign) {
  return absl::StrJoin(controllers, " ", [&](std::string* out, const std::string& name) {
    absl::StrAppend(out, sign, name);
  });
}

// Those of `wanted` that the file names.
std::set<std::string> Named(const Cgroup& cgroup, const char* file,
                            const std::set<std::string>& wanted) {
  std::set<std::string> named;
  for (const std::string& word : CgroupWords(cgroup.Read(file).value_or(""))) {
    if (wanted.contains(word)) named.insert(word);
  }
  return named;
}

struct Value {
  const char* key;
  const char* controller;
  std::string text;  // empty: no limit
};
std::vector<Value> ValuesOf(const WorkerLimits& limits) {
  return {
      {"memory_max", "memory", limits.memory_max == 0 ? "" : config::PrintSize(limits.memory_max)},
      {"cpu_max", "cpu", limits.cpu_max == 0 ? "" : config::PrintRatio(limits.cpu_max)}};
}

}  // namespace

std::map<std::string, WorkerLimits> LimitsOf(const std::vector<config::Pool>& pools) {
  std::map<std::string, WorkerLimits> limits;
  for (const config::Pool& pool : pools) {
    if (pool.memory_max == 0 && pool.cpu_max == 0) continue;
    limits[pool.name] = {pool.memory_max, pool.cpu_max};
  }
  return limits;
}

std::string WorkersFolder(const std::string& run_dir) {
  uint32_t hash = 2166136261u;  // FNV-1a: the next server must find the same name
  for (const char c : run_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return absl::StrFormat("%s%08x", kFolderPrefix, hash);
}

std::string WorkerFolder(const fleet::WorkerKey& worker, Generation generation) {
  return absl::StrCat(worker.pool, "-", worker.slot, "-g", generation.value);
}

WorkerCgroups::WorkerCgroups(Loop& loop, WorkerCgroupsOptions options)
    : options_(std::move(options)), remove_timer_(loop, [this] { RemoveEnded(); }) {
  std::set<std::string> wanted;
  for (const auto& [pool, limits] : options_.limits) {
    for (const Value& value : ValuesOf(limits)) {
      if (!value.text.empty()) wanted.insert(value.controller);
    }
  }
  if (wanted.empty()) return;
  absl::Status status = FindBase();
  if (status.ok()) status = MakeFolder();
  if (status.ok()) {
    const std::set<std::string> present = Named(*base_, "cgroup.controllers", wanted);
    if (!present.empty()) status = Enable(present);
    if (status.ok()) kept_ = present;
  }
  for (const std::string& controller : wanted) {
    if (!kept_.contains(controller)) Refuse(controller, status);
  }
}

WorkerCgroups::~WorkerCgroups() {
  for (const Removal& removal : ended_) removal.cgroup.RemoveWithin(kLastWait);
  const bool is_empty = folder_.has_value() && folder_->TryRemove();
  // Without workers the tree is left as it was found.
  if (is_empty && has_moved_) MoveBack();
}

absl::Status WorkerCgroups::FindBase() {
  ASSIGN_OR_RETURN(std::string own, FindCgroup(options_.proc, "self"));
  const std::filesystem::path path(own);
  // A server that was started in the leaf (systemd's DelegateSubgroup=spillwayd), or that began
  // anew in the same process, is where it shall be.
  if (path.filename() == kLeaf && CheckDelegated(path.parent_path()).ok()) {
    is_in_leaf_ = true;
    own = path.parent_path();
  }
  RETURN_IF_ERROR(CheckDelegated(own));
  base_.emplace(std::move(own));
  return absl::OkStatus();
}

absl::Status WorkerCgroups::MakeFolder() {
  ASSIGN_OR_RETURN(folder_, Cgroup::Make(absl::StrCat(base_->directory(), "/",
                                                      WorkersFolder(options_.run_dir))));
  // What a dead server has left: those in which no worker lives go.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_->directory(), error)) {
    if (entry.is_directory(error)) Cgroup(entry.path()).TryRemove();
  }
  return absl::OkStatus();
}

absl::Status WorkerCgroups::Enable(const std::set<std::string>& controllers) {
  const std::string request = Request(controllers, "+");
  if (Named(*base_, "cgroup.subtree_control", controllers) != controllers) {
    RETURN_IF_ERROR(EnableInBase(request));
  }
  return folder_->Write("cgroup.subtree_control", request);
}

// A cgroup hands controllers to those below it only while no process is in it itself ("no internal
// processes"), the root of all apart, which has no cgroup.type. So the server makes room first. Its
// threads, and what it starts from then on, are with it in the leaf.
absl::Status WorkerCgroups::EnableInBase(const std::string& request) {
  const bool is_root = !base_->Read("cgroup.type").ok();
  if (!is_root && !is_in_leaf_) {
    ASSIGN_OR_RETURN(const Cgroup leaf, Cgroup::Make(absl::StrCat(base_->directory(), "/", kLeaf)));
    RETURN_IF_ERROR(leaf.Write("cgroup.procs", "0"));  // 0: who writes
    has_moved_ = is_in_leaf_ = true;
  }
  const absl::Status enabled = base_->Write("cgroup.subtree_control", request);
  if (enabled.ok()) return enabled;
  std::vector<std::string> others = CgroupWords(base_->Read("cgroup.procs").value_or(""));
  if (has_moved_) MoveBack();
  if (is_root || others.empty()) return enabled;
  return absl::FailedPreconditionError(
      absl::StrCat(enabled.message(), "; other processes are in the cgroup (",
                   absl::StrJoin(others, ", "), "); right would be one of spillwayd's own"));
}

void WorkerCgroups::MoveBack() {
  const Cgroup leaf(absl::StrCat(base_->directory(), "/", kLeaf));
  // Each may fail where another server is in the leaf or has workers: then it stays as it is.
  if (!kept_.empty()) {
    base_->Write("cgroup.subtree_control", Request(kept_, "-")).IgnoreError();
  }
  if (base_->Write("cgroup.procs", "0").ok()) leaf.TryRemove();
  has_moved_ = is_in_leaf_ = false;
}

void WorkerCgroups::Refuse(const std::string& controller, const absl::Status& status) {
  const std::string reason =
      status.ok() ? absl::StrCat(base_->directory(), "/cgroup.controllers: no ", controller,
                                 " in it; right would be that whoever manages that cgroup enables "
                                 "the controller for it")
                  : std::string(status.message());
  for (const auto& [pool, limits] : options_.limits) {
    for (const Value& value : ValuesOf(limits)) {
      if (value.controller != controller || value.text.empty()) continue;
      refused_.push_back({pool, absl::StrCat("pools.", pool, ".", value.key), value.text, reason});
    }
  }
}

std::optional<Cgroup> WorkerCgroups::Add(const fleet::WorkerKey& worker, Generation generation) {
  if (!folder_) return std::nullopt;
  absl::StatusOr<Cgroup> cgroup =
      Cgroup::Make(absl::StrCat(folder_->directory(), "/", WorkerFolder(worker, generation)));
  if (!cgroup.ok()) {
    Log(LogLevel::kWarning, "a worker runs without a cgroup, thus without limits",
        {{"worker", fleet::WorkerName(worker)}, {"error", cgroup.status()}});
    return std::nullopt;
  }
  Limit(*cgroup, worker);
  return *std::move(cgroup);
}

void WorkerCgroups::Limit(const Cgroup& cgroup, const fleet::WorkerKey& worker) {
  const auto found = options_.limits.find(worker.pool);
  if (found == options_.limits.end()) return;
  const auto write = [&](const char* file, const std::string& text) {
    const absl::Status status = cgroup.Write(file, text);
    if (status.ok()) return;
    Log(LogLevel::kWarning, "a worker runs without a limit",
        {{"worker", fleet::WorkerName(worker)}, {"value", text}, {"error", status}});
  };
  if (found->second.memory_max > 0 && kept_.contains("memory")) {
    write("memory.max", absl::StrCat(found->second.memory_max));
    write("memory.oom.group", "1");  // never half of a worker
  }
  if (found->second.cpu_max > 0 && kept_.contains("cpu")) {
    const auto quota = std::llround(found->second.cpu_max * double{kCpuPeriodUs});
    write("cpu.max", absl::StrCat(quota, " ", kCpuPeriodUs));
  }
}

std::optional<Cgroup> WorkerCgroups::Find(int64_t pid, const fleet::WorkerKey& worker,
                                          Generation generation) {
  const absl::StatusOr<std::string> directory = FindCgroup(options_.proc, absl::StrCat(pid));
  if (!directory.ok()) return std::nullopt;
  // It is known by its name, wherever this server is: never another's, whose processes we would
  // kill.
  const std::filesystem::path path(*directory);
  const bool is_its = path.filename() == WorkerFolder(worker, generation) &&
                      path.parent_path().filename() == WorkersFolder(options_.run_dir);
  return is_its ? std::optional(Cgroup(*directory)) : std::nullopt;
}

std::optional<int64_t> WorkerCgroups::End(const Cgroup& cgroup) {
  const std::optional<int64_t> memory_kill = cgroup.MemoryKill();
  cgroup.Kill().IgnoreError();  // of what the worker has started, if the kernel can
  ended_.push_back({cgroup});
  RemoveEnded();
  return memory_kill;
}

void WorkerCgroups::RemoveEnded() {
  std::erase_if(ended_, [this](Removal& removal) {
    if (removal.cgroup.TryRemove()) {
      // The folder is an earlier server's, unless it is in use: it goes with the last one in it.
      const std::filesystem::path worker(removal.cgroup.directory());
      if (!folder_ || worker.parent_path() != folder_->directory()) {
        Cgroup(worker.parent_path()).TryRemove();
      }
      return true;
    }
    if (++removal.tries < kRemoveTries) return false;
    Log(LogLevel::kWarning, "a worker's cgroup is not empty and stays",
        {{"cgroup", removal.cgroup.directory()}});
    return true;
  });
  if (!ended_.empty()) remove_timer_.Start(kRemoveInterval);
}

}  // namespace spillway::process

// What the control plane costs: 200 played workers in this process, over real gRPC, report every
// second to a server in a process of its own.
//
// Prints a line a figure with the number it has to keep: the server's CPU and memory, GetPool under
// that load, how soon a change of the desired size reaches a worker, how soon the shards of a
// killed worker are ordered to others, and how long the server takes to end with watches open. Then
// of a fleet that somebody else starts, how soon the shards of a worker that has vanished are. CPU
// time is the operating system's. Ends with 1 if a figure is above its number.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/loop.h"
#include "client/control_client.h"
#include "tests/bench/fleet_under_test.h"
#include "tests/bench/played_workers.h"
#include "tests/support/processes.h"

namespace spillway::bench {
namespace {

using client::ControlClient;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kPool[] = "pools/flush";
constexpr seconds kPatience(60);

double Ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

double CpuSeconds(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::vector<std::string> fields = absl::StrSplit(text.substr(text.rfind(')') + 2), ' ');
  return (std::stod(fields[11]) + std::stod(fields[12])) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}

double ResidentMegabytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// Turns a loop of its own for `time`.
void Pause(Duration time) {
  Loop loop;
  Timer timer(loop, [&loop] { loop.Stop(); });
  timer.Start(time);
  loop.Run();
}

bool WaitUntil(const std::function<bool()>& condition) {
  const Instant deadline = SystemClock().Now() + kPatience;
  while (!condition()) {
    if (SystemClock().Now() > deadline) return false;
    Pause(milliseconds(1));
  }
  return true;
}

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(values.size())))];
}

// This program again, as the server.
ChildProcess StartServer(const FleetOptions& options) {
  auto process = ChildProcess::Start(
      {.arguments = {"/proc/self/exe", "--serve", options.folder, "--workers",
                     std::to_string(options.workers), "--shards", std::to_string(options.shards),
                     options.is_registered ? "--registered=true" : "--registered=false"},
       .output_path = options.folder + "/server.log",
       .environment = {}});
  CHECK(process.ok(), "this program can be started once more");
  return *std::move(process);
}

class Bench {
 public:
  Bench(const FleetOptions& options, Duration duration)
      : options_(options),
        duration_(duration),
        pipes_(MakePipes(options)),
        server_(StartServer(options)),
        workers_(std::make_unique<PlayedWorkers>(GatewayAddress(options), pipes_)),
        client_(ApiAddress(options)) {}

  bool Run() {
    if (options_.is_registered) return MeasureVanishing() && is_good_;
    std::printf("%d workers, %d shards, reports every second\n", options_.workers, options_.shards);
    if (!IsComplete(options_.workers)) return Fail("the workers do not all come");
    MeasureLoad();
    return MeasureResize() && MeasureDeath() && MeasureEnd() && is_good_;
  }

 private:
  bool IsComplete(int32_t workers) {
    return WaitUntil([&] {
      const Heard heard = workers_->Listen();
      return heard.attached == static_cast<size_t>(workers) &&
             heard.owned_shards == static_cast<size_t>(options_.shards) && IsHealthy(workers);
    });
  }
  bool IsHealthy(int32_t workers) {
    const auto pool = client_.GetPool(kPool);
    return pool.ok() && pool.value.ready() == workers;
  }

  void MeasureLoad() {
    std::vector<double> answers;
    const Instant begin = SystemClock().Now();
    const double cpu = CpuSeconds(server_.pid());
    while (SystemClock().Now() - begin < duration_) {
      const Instant asked = SystemClock().Now();
      if (client_.GetPool(kPool).ok()) answers.push_back(Ms(SystemClock().Now() - asked));
      Pause(milliseconds(20));
    }
    const double elapsed = Ms(SystemClock().Now() - begin) / 1e3;
    Print("server CPU, one core is 100 %", 100 * (CpuSeconds(server_.pid()) - cpu) / elapsed, "%",
          10);
    Print("server memory", ResidentMegabytes(server_.pid()), "MB", 150);
    Print("GetPool p50", Quantile(answers, 0.5), "ms", 5);
    Print("GetPool p99", Quantile(answers, 0.99), "ms", 5);
  }

  // Shrinks and grows: from the call to the first order, and to the first start.
  bool MeasureResize() {
    std::vector<double> orders, starts;
    for (int round = 0; round < 10; ++round) {
      const Instant shrunk = Resize(options_.workers - 5);
      if (!WaitUntil([&] { return workers_->Listen().last_drain_order > shrunk; })) {
        return Fail("no order after a resize");
      }
      orders.push_back(Ms(workers_->Listen().last_drain_order - shrunk));
      if (!IsComplete(options_.workers - 5)) return Fail("the pool does not shrink");
      const Instant grown = Resize(options_.workers);
      if (!WaitUntil([&] { return workers_->Listen().last_spawn > grown; })) {
        return Fail("no start after a resize");
      }
      starts.push_back(Ms(workers_->Listen().last_spawn - grown));
      if (!IsComplete(options_.workers)) return Fail("the pool does not grow");
    }
    Print("resize to the first order, worst of 10", Quantile(orders, 1), "ms", 50);
    Print("resize to the first start, worst of 10", Quantile(starts, 1), "ms", 50);
    return true;
  }
  Instant Resize(int32_t desired) {
    v1::ResizePoolRequest request;
    request.set_name(kPool);
    request.set_desired(desired);
    const Instant when = SystemClock().Now();
    if (const auto answer = client_.ResizePool(request); !answer.ok()) Fail(answer.error.message);
    return when;
  }

  // To workers that are there.
  bool AreGiven(const std::set<int32_t>& held) {
    return WaitUntil([&] {
      std::set<int32_t> found;
      for (const auto& [other, shards] : workers_->Listen().shards) {
        std::set_intersection(held.begin(), held.end(), shards.begin(), shards.end(),
                              std::inserter(found, found.end()));
      }
      return found == held;
    });
  }

  // Nobody proves its end: its silence is all there is.
  bool MeasureVanishing() {
    workers_->Register(options_.workers);
    if (!IsComplete(options_.workers)) return Fail("the registered workers do not all come");
    std::vector<double> pauses;
    for (int32_t number = 0; number < 3; ++number) {
      const std::set<int32_t> held = workers_->Listen().shards[number];
      const Instant vanished = workers_->Vanish(number);
      if (!AreGiven(held)) return Fail("a vanished worker's shards stay without an owner");
      pauses.push_back(Ms(SystemClock().Now() - vanished));
    }
    const Duration number = kBenchHandover + seconds(1);
    Print("registered: loss to the next owner, worst of 3", Quantile(pauses, 1), "ms", Ms(number));
    workers_->ShutServerDown();
    const absl::StatusOr<int> code = server_.WaitForExit(kPatience);
    return (code.ok() && *code == 0) || Fail("the server ended badly");
  }

  bool MeasureDeath() {
    std::vector<double> pauses;
    for (int32_t slot = 0; slot < 10; ++slot) {
      const std::set<int32_t> held = workers_->Listen().shards[slot];
      const Instant killed = workers_->Kill(slot);
      if (!AreGiven(held)) return Fail("a dead worker's shards stay without an owner");
      pauses.push_back(Ms(SystemClock().Now() - killed));
      if (!IsComplete(options_.workers)) return Fail("a killed worker is not replaced");
    }
    Print("death to its shards' next owner, worst of 10", Quantile(pauses, 1), "ms", 1000);
    return true;
  }

  bool MeasureEnd() {
    constexpr size_t kWatches = 50;
    std::atomic<size_t> watching = 0;
    std::vector<std::jthread> watches;
    const Instant deadline = SystemClock().Now() + seconds(10);
    for (size_t i = 0; i < kWatches; ++i) {
      watches.emplace_back([&] {
        bool is_first = true;
        ControlClient(ApiAddress(options_)).Watch(deadline, [&](const v1::WatchFleetResponse&) {
          if (std::exchange(is_first, false)) ++watching;
          return false;
        });
      });
    }
    if (!WaitUntil([&] { return watching == kWatches; })) return Fail("the watches do not begin");
    const Instant begin = SystemClock().Now();
    workers_->ShutServerDown();
    const absl::StatusOr<int> code = server_.WaitForExit(kPatience);
    Print("the server's end with 50 watches", Ms(SystemClock().Now() - begin), "ms", 2000);
    return (code.ok() && *code == 0) || Fail("the server ended badly");
  }

  void Print(const char* what, double value, const char* unit, double number) {
    is_good_ &= value <= number;
    std::printf("%-46s %9.2f %-3s  (at most %.0f)%s\n", what, value, unit, number,
                value <= number ? "" : "  TOO MUCH");
    std::fflush(stdout);
  }
  bool Fail(const std::string& what) {
    std::printf("FAILED: %s\n", what.c_str());
    return false;
  }

  const FleetOptions options_;
  const Duration duration_;
  const Pipes pipes_;
  ChildProcess server_;
  std::unique_ptr<PlayedWorkers> workers_;
  ControlClient client_;
  bool is_good_ = true;
};

}  // namespace
}  // namespace spillway::bench

int main(int argc, char** argv) {
  CLI::App app("What the control plane costs.");
  spillway::bench::FleetOptions options;
  int duration_s = 20;
  std::string serve;
  app.add_option("--workers", options.workers, "Played workers.")->capture_default_str();
  app.add_option("--shards", options.shards)->capture_default_str();
  app.add_option("--seconds", duration_s, "How long CPU is measured.")->capture_default_str();
  app.add_option("--registered", options.is_registered, "Only workers that dial in by themselves.")
      ->group("");
  app.add_option("--serve", serve, "The server's half; for this program itself.")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!serve.empty()) {
    options.folder = serve;
    return spillway::bench::RunFleetUnderTest(options);
  }
  bool is_good = true;
  for (const bool is_registered : {false, true}) {
    const spillway::TemporaryDirectory folder;
    options.folder = folder.path();
    options.is_registered = is_registered;
    is_good &= spillway::bench::Bench(options, std::chrono::seconds(duration_s)).Run();
  }
  return is_good ? 0 : 1;
}

#include "server/process/stack_report.h"

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/stack_dump.h"
#include "server/process/symbolizer.h"

namespace spillway::process {
namespace {

constexpr size_t kSummaryFrames = 12;
constexpr size_t kSummaryName = 100;  // characters of a function's name

bool ParseHead(absl::string_view line, StackDump& dump) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  return words.size() == 6 && words[0] == "spillway-stacks" && words[1] == "1" &&
         absl::SimpleAtoi(words[3], &dump.request) && absl::SimpleAtoi(words[5], &dump.pid);
}

// "thread 12 S spillway-worker"
bool ParseThread(absl::string_view line, StackDump& dump) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  ThreadStack thread;
  if (words.size() != 4 || words[0] != "thread" || words[2].size() != 1) return false;
  if (!absl::SimpleAtoi(words[1], &thread.id)) return false;
  thread.state = words[2][0];
  thread.name = std::string(words[3]);
  dump.threads.push_back(std::move(thread));
  return true;
}

void ParseFrame(absl::string_view line, StackDump& dump) {
  if (dump.threads.empty()) return;
  ThreadStack& thread = dump.threads.back();
  if (absl::ConsumePrefix(&line, " ! ")) {
    thread.problem = std::string(line);
  } else if (absl::ConsumePrefix(&line, " 0x")) {
    thread.frames.push_back(std::strtoull(std::string(line).c_str(), nullptr, 16));
  }
}

std::string FrameText(uint64_t address, const Symbolizer::Place& place) {
  std::string text = absl::StrFormat("    %#x", address);
  absl::StrAppend(&text, " ", place.function.empty() ? "?" : place.function);
  if (!place.source.empty()) absl::StrAppend(&text, " at ", place.source);
  if (!place.module.empty()) absl::StrAppend(&text, " in ", place.module);
  return text;
}

}  // namespace

std::optional<StackDump> ParseStackDump(const std::string& text) {
  StackDump dump;
  const size_t maps = text.find("\nmaps\n");
  const std::string threads = text.substr(0, maps);
  std::vector<absl::string_view> lines = absl::StrSplit(threads, '\n');
  if (!ParseHead(lines.front(), dump)) return std::nullopt;
  for (const absl::string_view line : lines) {
    if (!ParseThread(line, dump)) ParseFrame(line, dump);
  }
  if (maps == std::string::npos) return dump;
  dump.maps = text.substr(maps + 6);
  dump.is_complete = absl::EndsWith(dump.maps, kStackDumpEnd);
  if (dump.is_complete) dump.maps.resize(dump.maps.size() - (sizeof(kStackDumpEnd) - 2));
  return dump;
}

NamedStacks NameStacks(const StackDump& dump) {
  const Symbolizer symbolizer(dump.maps);
  NamedStacks named;
  std::vector<std::string> lines, summary;
  for (const ThreadStack& thread : dump.threads) {
    lines.push_back(absl::StrCat("thread ", thread.id, " ", thread.name, " (",
                                 std::string(1, thread.state), ")",
                                 thread.problem.empty() ? "" : ": ", thread.problem));
    bool is_return = false;  // the innermost frame was interrupted
    for (const uint64_t address : thread.frames) {
      const Symbolizer::Place place = symbolizer.Find(address, std::exchange(is_return, true));
      lines.push_back(FrameText(address, place));
      const bool is_told =
          thread.id == dump.pid && !place.function.empty() && summary.size() < kSummaryFrames;
      if (is_told) summary.push_back(WithoutParameters(place.function).substr(0, kSummaryName));
    }
  }
  named.text = absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
  named.summary = absl::StrJoin(summary, " <- ");
  return named;
}

}  // namespace spillway::process

#include <cstdio>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "tests/load/commands.h"
#include "tests/load/kafka_io.h"
#include "tests/load/manifest.h"
#include "tests/load/span_scan.h"

namespace spillway::load {
namespace {

constexpr std::chrono::minutes kFlushTimeout(1);

// The trace id as it is compared; what is no span goes by its whole text.
std::string KeyOf(const std::string& line) {
  ScannedSpan span;
  if (!ScanSpan(line, span).ok()) return line;
  return absl::AsciiStrToLower(
      absl::StrReplaceAll(span.Value(span.trace_id), {{"-", ""}, {"\"", ""}}));
}

absl::StatusOr<uint64_t> SendFile(const std::string& path, TopicWriter& writer) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  uint64_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    const std::string key = KeyOf(line);
    OutgoingMessage message;
    message.value = line;
    message.key = key;
    message.partition =
        static_cast<int32_t>(ContentHash(0, key) % static_cast<uint64_t>(writer.partition_count()));
    RETURN_IF_ERROR(writer.Send(message));
    ++count;
  }
  return count;
}

}  // namespace

absl::Status SendTraces(const TracesOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<TopicWriter> writer,
                   TopicWriter::Open(options.brokers, options.topic));
  uint64_t total = 0;
  for (const std::string& path : options.files) {
    ASSIGN_OR_RETURN(const uint64_t count, SendFile(path, *writer));
    total += count;
  }
  RETURN_IF_ERROR(writer->Flush(kFlushTimeout));
  std::printf("sent %llu messages\n", static_cast<unsigned long long>(total));
  return absl::OkStatus();
}

}  // namespace spillway::load

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "tests/load/commands.h"
#include "tests/load/interrupt.h"
#include "tests/load/kafka_io.h"
#include "tests/load/manifest.h"
#include "tests/load/progress.h"
#include "tests/load/traffic.h"

namespace spillway::load {
namespace {

constexpr std::chrono::minutes kFlushTimeout(5);
constexpr uint64_t kMessagesPerLook = 64;  // between two looks at the clock
constexpr int64_t kMarkIntervalMs = 5;     // timestamps are this exact

// Sends a stream and keeps account of it in a manifest.
class Sender {
 public:
  Sender(const TrafficOptions& options, TopicWriter& writer)
      : traffic_(options), writer_(writer), started_(SystemClock().Now()) {
    manifest_.traffic = options;
  }

  absl::Status SendAll(const InterruptGuard& interrupt) {
    Progress progress("sent", manifest_.traffic.spans);
    Message message;
    for (uint64_t i = 0; traffic_.Next(message); ++i) {
      if (i % kMessagesPerLook == 0 || IsPaced()) {
        Keep(Pace());
        progress.Update(manifest_.spans_sent, SystemClock().Now());
        if (interrupt.IsInterrupted()) break;
      }
      RETURN_IF_ERROR(Send(message));
    }
    return absl::OkStatus();
  }

  const Manifest& manifest() const { return manifest_; }

 private:
  bool IsPaced() const { return manifest_.traffic.spans_per_second > 0; }

  // Waits until the next message may go; the wall time then, in ms.
  int64_t Pace() {
    writer_.Poll(std::chrono::milliseconds(0));
    while (IsPaced()) {
      const double elapsed = std::chrono::duration<double>(SystemClock().Now() - started_).count();
      if (static_cast<double>(manifest_.messages_sent) <=
          elapsed * manifest_.traffic.spans_per_second) {
        break;
      }
      writer_.Poll(std::chrono::milliseconds(1));
    }
    return SystemClock().Wall().us / 1000;
  }

  void Keep(int64_t now_ms) {
    if (!manifest_.marks.empty() &&
        now_ms < manifest_.marks.back().timestamp_ms + kMarkIntervalMs) {
      return;
    }
    manifest_.marks.push_back({.first_message = manifest_.messages_sent, .timestamp_ms = now_ms});
  }

  absl::Status Send(const Message& message) {
    OutgoingMessage out;
    std::string key;
    if (message.trace != nullptr) {
      key = absl::StrCat(HexText(message.trace->high), HexText(message.trace->low));
    }
    out.value = message.bytes;
    out.is_tombstone = message.is_tombstone;
    out.key = key;
    out.partition = static_cast<int32_t>(message.partition_hash %
                                         static_cast<uint64_t>(writer_.partition_count()));
    out.timestamp_ms = manifest_.marks.back().timestamp_ms;
    RETURN_IF_ERROR(writer_.Send(out));
    ++manifest_.messages_sent;
    manifest_.bytes_sent += message.bytes.size();
    manifest_.content_hash = ContentHash(manifest_.content_hash, message.bytes);
    if (message.kind == MessageKind::kSpan) ++manifest_.spans_sent;
    if (message.kind == MessageKind::kDuplicate) ++manifest_.duplicates_sent;
    if (message.kind == MessageKind::kInvalid) ++manifest_.invalid_sent;
    return absl::OkStatus();
  }

  Traffic traffic_;
  TopicWriter& writer_;
  const Instant started_;
  Manifest manifest_;
};

}  // namespace

absl::Status Make(const MakeOptions& options) {
  const InterruptGuard interrupt;
  ASSIGN_OR_RETURN(const std::unique_ptr<TopicWriter> writer,
                   TopicWriter::Open(options.brokers, options.topic));
  TrafficOptions traffic = options.traffic;
  if (traffic.base_time_ms == 0) traffic.base_time_ms = SystemClock().Wall().us / 1000;
  const Instant started = SystemClock().Now();
  Sender sender(traffic, *writer);
  RETURN_IF_ERROR(sender.SendAll(interrupt));
  RETURN_IF_ERROR(writer->Flush(kFlushTimeout));
  const Manifest& manifest = sender.manifest();
  if (!options.manifest_path.empty()) {
    RETURN_IF_ERROR(WriteManifest(options.manifest_path, manifest));
  }
  const double seconds = std::chrono::duration<double>(SystemClock().Now() - started).count();
  std::printf(
      "sent %llu spans (%llu duplicates and %llu invalid messages more), %.1f MB in %.1f s, "
      "%.0f spans/s\n",
      static_cast<unsigned long long>(manifest.spans_sent),
      static_cast<unsigned long long>(manifest.duplicates_sent),
      static_cast<unsigned long long>(manifest.invalid_sent),
      static_cast<double>(manifest.bytes_sent) / 1e6, seconds,
      static_cast<double>(manifest.spans_sent) / seconds);
  return absl::OkStatus();
}

}  // namespace spillway::load

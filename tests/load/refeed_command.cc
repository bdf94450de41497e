#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/status_macros.h"
#include "tests/load/commands.h"
#include "tests/load/interrupt.h"
#include "tests/load/letter_io.h"
#include "tests/load/progress.h"
#include "tests/load/refeed.h"

namespace spillway::load {
namespace {

constexpr std::chrono::milliseconds kPollWait(100);
// Of one transaction, in which consumers of the input topic wait for its end.
constexpr uint64_t kBatchLetters = 500;
constexpr size_t kBatchBytes = 4 << 20;
constexpr std::chrono::milliseconds kBatchTime(500);

// One run: batch after batch, until everything that was there at its start is done.
class Refeeder {
 public:
  Refeeder(const RefeedOptions& options, LetterReader& reader, LetterSender* sender)
      : options_(options),
        rules_{.to_topic = options.to_topic,
               .reasons = {options.reasons.begin(), options.reasons.end()}},
        reader_(reader),
        sender_(sender),
        started_(SystemClock().Now()) {}

  absl::Status SendAll(const InterruptGuard& interrupt) {
    Progress progress("re-fed", reader_.remaining_at_start(), "letters");
    while (!reader_.is_done() && !interrupt.IsInterrupted()) {
      RETURN_IF_ERROR(SendBatch());
      progress.Update(report_.read, SystemClock().Now());
      Pace(interrupt);
    }
    return absl::OkStatus();
  }

  const RefeedReport& report() const { return report_; }

 private:
  // The report counts what was committed.
  absl::Status SendBatch() {
    if (sender_ != nullptr) RETURN_IF_ERROR(sender_->Begin());
    RefeedReport so_far = report_;
    absl::Status status = Collect(so_far);
    if (status.ok() && sender_ != nullptr) status = sender_->Commit(reader_);
    if (status.ok()) {
      report_ = so_far;
    } else if (sender_ != nullptr) {
      sender_->Abort();
    }
    return status;
  }

  absl::Status Collect(RefeedReport& report) {
    const Instant deadline = SystemClock().Now() + kBatchTime;
    const uint64_t first = report.read;
    size_t bytes = 0;
    while (!reader_.is_done() && report.read - first < BatchLetters() && bytes < kBatchBytes &&
           SystemClock().Now() < deadline) {
      RETURN_IF_ERROR(reader_
                          .Next(kPollWait,
                                [&](const Letter& letter) {
                                  bytes += letter.value.size();
                                  return Take(letter, report);
                                })
                          .status());
    }
    return absl::OkStatus();
  }

  absl::Status Take(const Letter& letter, RefeedReport& report) {
    const Refeed refeed = JudgeLetter(letter.headers, rules_);
    report.Count(refeed.fate);
    if (refeed.fate != RefeedFate::kSent || sender_ == nullptr) return absl::OkStatus();
    return sender_->Send(refeed, letter,
                         RefedFrom(options_.from_topic, letter.partition, letter.offset));
  }

  uint64_t BatchLetters() const {
    if (options_.letters_per_second <= 0) return kBatchLetters;
    return std::clamp<uint64_t>(static_cast<uint64_t>(options_.letters_per_second / 4), 1,
                                kBatchLetters);
  }

  // Waits, between transactions, until as many may have been read.
  void Pace(const InterruptGuard& interrupt) {
    while (options_.letters_per_second > 0 && !interrupt.IsInterrupted()) {
      const double elapsed = std::chrono::duration<double>(SystemClock().Now() - started_).count();
      if (static_cast<double>(report_.read) <= elapsed * options_.letters_per_second) return;
      interrupt.WaitFor(std::chrono::milliseconds(5));
    }
  }

  const RefeedOptions& options_;
  const RefeedRules rules_;
  LetterReader& reader_;
  LetterSender* const sender_;  // null: nothing is sent or marked
  const Instant started_;
  RefeedReport report_;
};

}  // namespace

absl::Status RefeedLetters(const RefeedOptions& options) {
  const InterruptGuard interrupt;
  // First: what an earlier run has left unfinished is ended before the group's offsets are asked
  // for.
  std::unique_ptr<LetterSender> sender;
  if (!options.is_dry_run) {
    ASSIGN_OR_RETURN(sender, LetterSender::Open(options.brokers, options.group));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<LetterReader> reader,
                   LetterReader::Open(options.brokers, options.from_topic, options.group));
  Refeeder refeeder(options, *reader, sender.get());
  const absl::Status status = refeeder.SendAll(interrupt);
  const RefeedReport& report = refeeder.report();
  std::printf("%s\n", (options.as_json ? RefeedJson(report) : RefeedText(report)).c_str());
  return status;
}

}  // namespace spillway::load

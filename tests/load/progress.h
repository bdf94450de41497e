// One line on a terminal that says how far the work is; nothing where stderr is no terminal.
#ifndef SPILLWAY_TESTS_LOAD_PROGRESS_H_
#define SPILLWAY_TESTS_LOAD_PROGRESS_H_

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "base/clock.h"

namespace spillway::load {

class Progress {
 public:
  // "<verb> <done> of <total> spans, <rate> spans/s"; or other things than spans
  Progress(std::string verb, uint64_t total, std::string things = "spans")
      : verb_(std::move(verb)),
        total_(total),
        things_(std::move(things)),
        is_terminal_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (is_shown_) std::fputs("\n", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Draws at most five times a second.
  void Update(uint64_t done, Instant now) {
    if (!is_terminal_ || (now - drawn_ < kInterval && done < total_)) return;
    if (!is_shown_) started_ = now;
    const double seconds = std::chrono::duration<double>(now - started_).count();
    std::fprintf(stderr, "\r%s %llu of %llu %s, %.0f %s/s   ", verb_.c_str(),
                 static_cast<unsigned long long>(done), static_cast<unsigned long long>(total_),
                 things_.c_str(), seconds > 0 ? static_cast<double>(done) / seconds : 0.0,
                 things_.c_str());
    drawn_ = now;
    is_shown_ = true;
  }

 private:
  static constexpr std::chrono::milliseconds kInterval{200};

  const std::string verb_;
  const uint64_t total_;
  const std::string things_;
  const bool is_terminal_;
  bool is_shown_ = false;
  Instant started_;
  Instant drawn_;
};

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_PROGRESS_H_

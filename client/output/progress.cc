#include "client/output/progress.h"

namespace spillway::client {

void Progress::Show(const std::string& line) {
  if (line == shown_) return;
  if (is_terminal_) {
    out_ << '\r' << line << "\x1b[K"
         << std::flush;  // back to the line's start; erase what was longer
  } else {
    out_ << line << std::endl;
  }
  shown_ = line;
}

void Progress::End() {
  if (is_terminal_ && !shown_.empty()) out_ << std::endl;
  shown_.clear();
}

}  // namespace spillway::client

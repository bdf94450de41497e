// What is going on while a command waits: one line that is rewritten on a terminal, else a line for
// every change.
#ifndef SPILLWAY_CLIENT_OUTPUT_PROGRESS_H_
#define SPILLWAY_CLIENT_OUTPUT_PROGRESS_H_

#include <ostream>
#include <string>

namespace spillway::client {

class Progress {
 public:
  Progress(std::ostream& out, bool is_terminal) : out_(out), is_terminal_(is_terminal) {}
  ~Progress() { End(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const std::string& line);
  // Leaves the terminal's line. Idempotent.
  void End();

 private:
  std::ostream& out_;
  const bool is_terminal_;
  std::string shown_;
};

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_OUTPUT_PROGRESS_H_

#include "server/record/record.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace spillway::record {
namespace {

void Clip(std::string& text, size_t bytes) {
  if (text.size() > bytes) text.resize(bytes);
  text = ValidUtf8(std::move(text));
}

}  // namespace

Change Clipped(Change change) {
  for (Event& event : change.events) {
    for (std::string* text : {&event.actor, &event.action, &event.target, &event.before,
                              &event.after, &event.outcome, &event.detail}) {
      Clip(*text, kMaxTextBytes);
    }
  }
  for (Operation& operation : change.operations) {
    Clip(operation.actor, kMaxTextBytes);
    Clip(operation.detail, kMaxTextBytes);
  }
  for (DropRule& rule : change.drop_rules) {
    Clip(rule.actor, kMaxTextBytes);
    Clip(rule.reason, kMaxTextBytes);
  }
  for (ConfigRecord& config : change.configs) Clip(config.detail, kMaxTextBytes);
  for (Death& death : change.deaths) {
    Clip(death.reason, kMaxTextBytes);
    auto& lines = death.last_lines;
    if (lines.size() > kMaxLastLines) lines.erase(lines.begin(), lines.end() - kMaxLastLines);
    for (std::string& line : lines) {
      Clip(line, kMaxLineBytes);
      std::replace(line.begin(), line.end(), '\n', ' ');  // lines are stored with it between them
    }
  }
  return change;
}

}  // namespace spillway::record

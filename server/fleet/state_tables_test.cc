#include "server/fleet/state_tables.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace spillway::fleet {
namespace {

TEST(StateTablesTest, TheCommittedPageIsCurrent) {
  std::ifstream file(SPILLWAY_WORKER_STATES_MD);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == StateTablesMarkdown())
      << "a cell has changed; see which by: state-tables > docs/worker-states.md && git diff";
}

TEST(StateTablesTest, HaveEveryStateAndEveryKindOfEvent) {
  std::set<WorkerState> states;
  for (const Situation& situation : Situations()) states.insert(situation.worker.state);
  EXPECT_EQ(states.size(), static_cast<size_t>(kWorkerStateCount));
  std::set<size_t> kinds;
  for (const Happening& happening : Happenings()) kinds.insert(happening.events.back().index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<WorkerEvent>);
}

// What no cell may break, whatever the tables say.
TEST(StateTablesTest, NoCellStartsAProcessBesideAnotherOrSignalsNone) {
  const Limits limits;
  for (const Situation& situation : Situations()) {
    for (const Happening& happening : Happenings()) {
      SCOPED_TRACE(situation.text + " × " + happening.text);
      const WorkerTransition after =
          Step(situation.worker, happening.events.back(), situation.now, limits);
      for (const Action& action : after.actions) {
        if (const auto* spawn = std::get_if<Spawn>(&action)) {
          EXPECT_FALSE(after.worker.has_process);
          EXPECT_TRUE(after.worker.is_wanted);
          EXPECT_GT(spawn->generation, situation.worker.generation);
        }
        EXPECT_TRUE(!std::holds_alternative<Signal>(action) || after.worker.has_process);
      }
      EXPECT_GE(after.worker.generation, situation.worker.generation);
    }
  }
}

}  // namespace
}  // namespace spillway::fleet

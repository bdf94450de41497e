#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/keys.h"
#include "config/load.h"

namespace spillway::config {
namespace {

TEST(ReferenceTest, TheCommittedPageIsCurrent) {
  std::ifstream file(SPILLWAY_CONFIGURATION_MD);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ReferenceMarkdown())
      << "make it again: config-reference > docs/configuration.md";
}

TEST(ReferenceTest, EveryDefaultIsAValueItsKeyAccepts) {
  const auto loaded = Load({});
  Config config = std::get<Config>(loaded);
  for (const Key<Config>& key : Keys()) {
    if (AsMap(key) != nullptr) continue;
    EXPECT_EQ(SetValue(key, GetValue(key, config), config), "") << key.path;
  }
}

}  // namespace
}  // namespace spillway::config

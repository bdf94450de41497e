// The program's own description: complete, with examples, and the manual page made of it.
#include <fstream>

#include "client/help/manual.h"
#include "client/parser.h"
#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::HasSubstr;

std::vector<CLI::App*> VerbsOf(CLI::App& app) {
  return app.get_subcommands([](CLI::App*) { return true; });
}

class HelpTest : public CommandLineTest {};

TEST_F(HelpTest, SaysWhatTheVerbsOwnHelpSays) {
  EXPECT_EQ(Run({"help", "resize"}).out, Run({"resize", "--help"}).out);
  EXPECT_EQ(Run({"help", "get", "workers"}).out, Run({"get", "workers", "--help"}).out);
  EXPECT_EQ(Run({"help"}).out, Run({"--help"}).out);
}

TEST_F(HelpTest, OfAVerbThatIsNotThereIsRefused) {
  const Result result = Run({"help", "get", "nothing"});
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_THAT(result.err, HasSubstr("spillway get nothing: there is no such verb"));
}

// Itself, or the verb above it, says how it is typed.
void ExpectExample(CLI::App& app, const std::string& line, const std::string& above) {
  const std::string examples = above + app.get_footer();
  for (CLI::App* verb : VerbsOf(app)) {
    ExpectExample(*verb, line + " " + verb->get_name(), examples);
  }
  if (VerbsOf(app).empty()) {
    EXPECT_THAT(examples, HasSubstr("\n  " + line)) << "an example of " << line;
  }
}

TEST(HelpExamplesTest, EveryVerbHasOne) {
  Parser parser;
  for (CLI::App* verb : VerbsOf(parser.app())) {
    ExpectExample(*verb, "spillway " + verb->get_name(), "");
  }
}

TEST(ManualTest, TheCommittedPageIsCurrent) {
  Parser parser;
  std::ifstream file(SPILLWAY_MANUAL);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ManualPage(parser.app()))
      << "make it again: spillway-manual > docs/spillway.1";
}

}  // namespace
}  // namespace spillway::client

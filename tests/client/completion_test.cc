// What could come next on a command line; names are those of a server over a fake fleet.
#include "client/completion/completion.h"

#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

class CompletionTest : public CommandLineTest {
 protected:
  std::vector<std::string> Lines(std::vector<std::string> words) {
    words.insert(words.begin(), {kCompleteVerb, "--server", server_address_});
    std::ostringstream out, err;
    EXPECT_EQ(RunCommandLine(words, {out, err}), kExitDone);
    EXPECT_EQ(err.str(), "");
    std::vector<std::string> lines;
    std::istringstream text(out.str());
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  std::vector<std::string> Words(std::vector<std::string> words) {
    std::vector<std::string> texts;
    for (const std::string& line : Lines(std::move(words))) {
      texts.push_back(line.substr(0, line.find('\t')));
    }
    return texts;
  }
};

TEST_F(CompletionTest, VerbsAndWhatIsBelowThem) {
  EXPECT_THAT(Words({"de"}), ElementsAre("describe", "deaths"));
  EXPECT_THAT(Words({"describe", ""}), ElementsAre("pool", "worker", "shard"));
  EXPECT_THAT(Lines({"describe", "sh"}),
              ElementsAre("shard\tA shard: its owners, its figures, where its time goes"));
  EXPECT_THAT(Words({""}), IsSupersetOf({"get", "resize", "completion"}));
  EXPECT_THAT(Words({""}), Not(::testing::Contains(kCompleteVerb)));
  EXPECT_THAT(Words({"nonsense", ""}), Not(IsEmpty())) << "the verbs, still";
}

TEST_F(CompletionTest, OptionsOfTheVerbAndOfAll) {
  EXPECT_THAT(Words({"restart", "--f"}), ElementsAre("--failed"));
  EXPECT_THAT(Words({"resize", "flush", "3", "--"}),
              IsSupersetOf({"--min", "--max", "--wait", "--output", "--server"}));
  EXPECT_THAT(Words({"get", "pools", "-o", ""}), ElementsAre("table", "wide", "json", "yaml"));
  EXPECT_THAT(Words({"wait", "flush", "--for", "h"}), ElementsAre("healthy"));
  EXPECT_THAT(Words({"wait", "flush", "--timeout", ""}), IsEmpty());
}

TEST_F(CompletionTest, NamesThatTheServerHas) {
  EXPECT_THAT(Lines({"resize", ""}),
              ElementsAre("ingest\tRUNNING, 1 of 1 ready", "flush\tRUNNING, 1 of 2 ready"));
  EXPECT_THAT(Words({"restart", "flush"}), ElementsAre("flush", "flush/0", "flush/1"));
  EXPECT_THAT(Lines({"logs", "flush/1"}), ElementsAre("flush/1\tCRASH_LOOP, UNHEALTHY (DEAD)"));
  EXPECT_THAT(Words({"describe", "worker", "-o", "json", "in"}), ElementsAre("ingest/0"));
  EXPECT_THAT(Words({"explain", "shard", ""}), ElementsAre("0", "1"));
  EXPECT_THAT(Words({"restart", "--shard", ""}), ElementsAre("0", "1"));
  EXPECT_THAT(Words({"get", "operations", "4"}), ElementsAre("4"));
  EXPECT_THAT(Words({"resize", "flush", ""}), IsEmpty()) << "a number";
}

TEST_F(CompletionTest, WithoutAServerThereAreNoNamesAndNoComplaints) {
  server_address_ = "unix:" + directory_ + "/nobody.sock";
  EXPECT_THAT(Words({"resize", ""}), IsEmpty());
  EXPECT_THAT(Words({"res"}), ElementsAre("resume", "resize", "restart"));
}

TEST_F(CompletionTest, EveryShellHasAScript) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_THAT(Run({"completion", shell}).out, HasSubstr(kCompleteVerb));
  }
  EXPECT_EQ(Run({"completion", "tcsh"}).code, kExitUsage);
}

}  // namespace
}  // namespace spillway::client

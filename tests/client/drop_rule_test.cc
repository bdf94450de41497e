// Drop rules by command line.
#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(CommandLineTest, DropRulesAreAddedListedAndDeleted) {
  const Result added =
      Run({"drop-rule", "add", "noisy", "--project", "42", "--ttl", "2h", "--reason", "why"});
  EXPECT_EQ(added.code, kExitDone) << added.err;
  EXPECT_THAT(added.out, HasSubstr("noisy"));
  const std::string trace = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(Run({"drop-rule", "add", "one", "--trace", trace, "--ttl", "5m"}).code, kExitDone);

  const Result list = Run({"drop-rule", "list", "-o", "wide"});
  EXPECT_EQ(list.code, kExitDone) << list.err;
  EXPECT_THAT(list.out, HasSubstr("42"));
  EXPECT_THAT(list.out, HasSubstr(trace));
  EXPECT_THAT(list.out, HasSubstr("tester"));
  EXPECT_THAT(Run({"drop-rule", "list", "-o", "json"}).out, HasSubstr("\"dropRules/noisy\""));

  EXPECT_EQ(Run({"drop-rule", "delete", "noisy"}).code, kExitDone);
  EXPECT_THAT(Run({"drop-rule", "list"}).out, Not(HasSubstr("noisy")));
  const Result again = Run({"drop-rule", "delete", "noisy"});
  EXPECT_EQ(again.code, kExitNotFound);
  EXPECT_THAT(again.err, HasSubstr("dropRules/noisy: there is no such rule"));
}

TEST_F(CommandLineTest, ADropRuleCanBeAskedAbout) {
  const Result would =
      Run({"drop-rule", "add", "noisy", "--project", "42", "--ttl", "2h", "--dry-run"});
  EXPECT_EQ(would.code, kExitDone) << would.err;
  EXPECT_THAT(would.out, HasSubstr("would leave these spans out"));
  EXPECT_THAT(fleet_.verbs(), ::testing::ElementsAre("would drop-rule add noisy"));
  EXPECT_THAT(Run({"drop-rule", "list"}).out, Not(HasSubstr("noisy")));
}

TEST_F(CommandLineTest, ADropRuleWithoutAnEndOrAMatchIsRefused) {
  EXPECT_EQ(Run({"drop-rule", "add", "noisy", "--project", "42"}).code, kExitUsage);
  EXPECT_EQ(Run({"drop-rule", "add", "noisy", "--project", "42", "--ttl", "soon"}).code,
            kExitUsage);
  const Result all = Run({"drop-rule", "add", "noisy", "--ttl", "1h"});
  EXPECT_NE(all.code, kExitDone);
  EXPECT_THAT(all.err, HasSubstr("would drop everything"));
}

}  // namespace
}  // namespace spillway::client

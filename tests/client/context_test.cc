// Servers by name: the file, the verbs, and which server a verb asks.
#include <fstream>

#include "client/context/contexts.h"
#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ContextTest : public CommandLineTest {
 protected:
  Result In(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--contexts-file", file_});
    std::ostringstream out, err;
    Result result;
    result.code = RunCommandLine(arguments, {out, err});
    result.out = out.str();
    result.err = err.str();
    return result;
  }
  void Write(const std::string& text) { std::ofstream(file_) << text; }

  const std::string file_ = directory_ + "/user/contexts.yaml";
};

TEST_F(ContextTest, IsAddedUsedListedAndDeleted) {
  EXPECT_EQ(In({"context", "list"}).code, kExitDone) << "there is no file yet";
  EXPECT_EQ(In({"context", "add", "prod", "--server", server_address_}).code, kExitDone);
  EXPECT_EQ(In({"context", "add", "dev", "--server", "127.0.0.1:1", "--use"}).code, kExitDone);
  EXPECT_EQ(In({"context", "list"}).out,
            "CURRENT  NAME  SERVER\n*        dev   127.0.0.1:1\n-        prod  " + server_address_ +
                "\n");
  EXPECT_THAT(In({"context", "list", "-o", "json"}).out, HasSubstr("\"current\": \"dev\""));
  EXPECT_EQ(In({"get", "pools"}).code, kExitUnreachable) << "dev's server";
  EXPECT_EQ(In({"--context", "prod", "get", "pools"}).code, kExitDone);
  EXPECT_EQ(In({"context", "use", "prod"}).code, kExitDone);
  EXPECT_EQ(In({"get", "pools"}).code, kExitDone);
  EXPECT_EQ(In({"--server", "127.0.0.1:1", "get", "pools"}).code, kExitUnreachable)
      << "what is said counts";
  EXPECT_EQ(In({"context", "delete", "prod"}).code, kExitDone);
  EXPECT_THAT(LoadContexts(file_)->contexts, ElementsAre(Context{"dev", "127.0.0.1:1"}));
  EXPECT_EQ(LoadContexts(file_)->current, "");
}

TEST_F(ContextTest, TwoWordsOnTheServerAreOneTooMany) {
  ASSERT_EQ(In({"context", "add", "prod", "--server", server_address_}).code, kExitDone);
  const Result result = In({"--context", "prod", "--server", "127.0.0.1:1", "get", "pools"});
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_THAT(result.err, HasSubstr("leave one out"));
}

TEST_F(ContextTest, RefusalsSayWhatWouldBeRight) {
  EXPECT_THAT(In({"context", "add", "Prod", "--server", "x:1"}).err, HasSubstr("lower-case"));
  EXPECT_THAT(In({"context", "add", "prod"}).err, HasSubstr("--server: expected the address"));
  ASSERT_EQ(In({"context", "add", "prod", "--server", "x:1"}).code, kExitDone);
  const Result again = In({"context", "add", "prod", "--server", "y:1"});
  EXPECT_EQ(again.code, kExitRefused);
  EXPECT_THAT(again.err, HasSubstr("there already, with server x:1"));
  EXPECT_EQ(In({"context", "use", "none"}).code, kExitNotFound);
  EXPECT_EQ(In({"context", "delete", "none"}).code, kExitNotFound);
  const Result unknown = In({"--context", "none", "get", "pools"});
  EXPECT_EQ(unknown.code, kExitUsage);
  EXPECT_THAT(unknown.err, HasSubstr("none: expected one of those in"));
}

TEST_F(ContextTest, AFileThatIsWrongIsNamedAndKept) {
  ASSERT_EQ(In({"context", "add", "prod", "--server", "x:1"}).code, kExitDone);
  const std::pair<const char*, const char*> rows[] = {
      {"[", "expected YAML that can be read"},
      {"[]", "expected a map with current and contexts"},
      {"kontexts: []", "kontexts: expected current: NAME and contexts: a list"},
      {"contexts: [3]", "expected a list of maps with name and server"},
      {"contexts: [{name: a, server: b, tsl: c}]", "tsl: no such key"},
      {"contexts: [{name: A b, server: b}]", "expected 1 to 32 lower-case letters"},
      {"contexts: [{name: a}]", "a: server: expected an address"},
      {"contexts: [{name: a, server: b}, {name: a, server: c}]", "a: stands there twice"},
      {"current: a", "current: a: expected one of the contexts"}};
  for (const auto& [text, problem] : rows) {
    Write(text);
    const Result result = In({"context", "add", "dev", "--server", "y:1"});
    EXPECT_EQ(result.code, kExitFailed) << text;
    EXPECT_THAT(result.err, HasSubstr(file_ + ": "));
    EXPECT_THAT(result.err, HasSubstr(problem));
    EXPECT_EQ(In({"get", "pools"}).code, kExitUsage) << text;
    EXPECT_EQ(In({"--server", server_address_, "get", "pools"}).code, kExitDone) << text;
  }
  Write("");
  EXPECT_THAT(LoadContexts(file_)->contexts, IsEmpty());
}

TEST_F(ContextTest, AFolderThatCannotBeWrittenIsSaid) {
  const absl::Status status = SaveContexts("/proc/none/contexts.yaml", {});
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/proc/none/contexts.yaml: cannot be written"));
}

TEST_F(ContextTest, NamesAreCompleted) {
  ASSERT_EQ(In({"context", "add", "prod", "--server", "x:1"}).code, kExitDone);
  ASSERT_EQ(setenv("SPILLWAY_CONTEXTS_FILE", file_.c_str(), 1), 0);
  std::ostringstream out, err;
  EXPECT_EQ(RunCommandLine({"__complete", "context", "use", ""}, {out, err}), kExitDone);
  EXPECT_EQ(RunCommandLine({"__complete", "--context", "p"}, {out, err}), kExitDone);
  unsetenv("SPILLWAY_CONTEXTS_FILE");
  EXPECT_EQ(out.str(), "prod\tx:1\nprod\tx:1\n");
}

}  // namespace
}  // namespace spillway::client

#include "buffer/redis/reply.h"

#include <gtest/gtest.h>

#include "buffer/redis/command.h"

namespace spillway::buffer {
namespace {

struct ErrorRow {
  const char* text;
  StoreCode code;
};

class ErrorTest : public ::testing::TestWithParam<ErrorRow> {};

TEST_P(ErrorTest, HasItsCode) { EXPECT_EQ(CodeOfError(GetParam().text), GetParam().code); }

INSTANTIATE_TEST_SUITE_P(
    All, ErrorTest,
    ::testing::Values(
        ErrorRow{"FENCED 4:00000000000000ab", StoreCode::kFenced},
        ErrorRow{"NO_SHARD", StoreCode::kNoShard}, ErrorRow{"WATERMARK 17", StoreCode::kWatermark},
        ErrorRow{"CLOCK 17", StoreCode::kClock},
        ErrorRow{"DROP_REVISION 3", StoreCode::kDropRevision},
        ErrorRow{"OOM command not allowed when used memory > 'maxmemory'. script: ab, on "
                 "@user_script:61.",
                 StoreCode::kMemory},
        ErrorRow{"ERR Error running script (call to f_ab): @user_script:61: @user_script: 61: -OOM "
                 "command not allowed when used memory > 'maxmemory'.",
                 StoreCode::kMemory},
        ErrorRow{"TRYAGAIN Multiple keys request during rehashing of slot", StoreCode::kMoving},
        ErrorRow{"ASK 3999 127.0.0.1:6381", StoreCode::kMoving},
        ErrorRow{"CLUSTERDOWN Hash slot not served", StoreCode::kMoving},
        ErrorRow{"LOADING Redis is loading the dataset in memory", StoreCode::kUnavailable},
        ErrorRow{"KEYTYPE {default/1}d is of type string, not zset", StoreCode::kInvalid},
        ErrorRow{"WRONGTYPE Operation against a key", StoreCode::kInvalid}));

TEST(ReplyTest, ReadsNothingFromNothing) {
  const Reply reply;
  EXPECT_FALSE(reply.is_error());
  EXPECT_TRUE(reply.is_nil());
  EXPECT_EQ(reply.text(), "");
  EXPECT_EQ(reply.integer(), 0);
  EXPECT_EQ(reply.size(), 0u);
  EXPECT_EQ(reply[3].text(), "");
}

TEST(CommandTest, HasTheWireForm) {
  EXPECT_EQ(Command({"GET", "a"}).wire(), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  Command command("MGET", 2);
  command.Add("a");
  EXPECT_FALSE(command.is_complete());
  command.Add("b");
  EXPECT_TRUE(command.is_complete());
  EXPECT_EQ(command.wire(), "*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n");
}

TEST(CommandTest, CallsAScriptByNameOrByText) {
  static constexpr Script kScript = {"x", "0123", "return 1"};
  Command command(kScript, 1, 1);
  command.Add("k").Add(7);
  EXPECT_TRUE(command.is_complete());
  const std::string tail = "$1\r\n1\r\n$1\r\nk\r\n$1\r\n7\r\n";
  EXPECT_EQ(command.wire(), "*5\r\n$7\r\nEVALSHA\r\n$4\r\n0123\r\n" + tail);
  EXPECT_EQ(command.WireWithSource(), "*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n" + tail);
}

}  // namespace
}  // namespace spillway::buffer

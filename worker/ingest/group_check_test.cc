#include "worker/ingest/group_check.h"

#include <gtest/gtest.h>

namespace spillway::ingest {
namespace {

TEST(ForeignMembersTest, AFleetsOwnMembersAreNone) {
  EXPECT_EQ(ForeignMembers("g", "spillway/default/", {}), "");
  EXPECT_EQ(ForeignMembers("g", "spillway/default/",
                           {{"spillway/default/ingest-0", "/10.0.0.1"},
                            {"spillway/default/ingest-1", "/10.0.0.2"}}),
            "");
}

TEST(ForeignMembersTest, NamesAnotherImplementation) {
  EXPECT_EQ(ForeignMembers("process-spans", "spillway/default/",
                           {{"spillway/default/ingest-0", "/10.0.0.1"}, {"rdkafka", "/10.0.0.2"}}),
            "input.group: process-spans has members that are not of this fleet (rdkafka at "
            "/10.0.0.2): stop them, or give input.group another name");
}

TEST(ForeignMembersTest, AnotherNamespaceIsAnotherFleet) {
  EXPECT_NE(ForeignMembers("g", "spillway/a/", {{"spillway/a-b/ingest-0", "/10.0.0.1"}}), "");
}

TEST(ForeignMembersTest, NamesOnlyAFew) {
  const std::vector<kafka::GroupMember> many(5, {"rdkafka", "/h"});
  EXPECT_EQ(ForeignMembers("g", "spillway/default/", many),
            "input.group: g has members that are not of this fleet (rdkafka at /h, rdkafka at /h, "
            "rdkafka at /h and 2 more): stop them, or give input.group another name");
}

}  // namespace
}  // namespace spillway::ingest

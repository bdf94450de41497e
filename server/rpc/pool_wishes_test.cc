#include "server/rpc/pool_wishes.h"

#include <gtest/gtest.h>

namespace spillway::rpc {
namespace {

using supervisor::RefusalReason;

TEST(PoolWishesTest, ACreationTakesWhatIsGivenAndLeavesTheRestToTheFleet) {
  v1::CreatePoolRequest request;
  request.set_pool_id("flush-2");
  request.mutable_pool()->set_role(v1::ROLE_FLUSH);
  request.mutable_pool()->set_desired(3);
  const auto creation = ToCreation(request);
  ASSERT_TRUE(creation.ok()) << creation.status();
  EXPECT_EQ(creation->pool, "flush-2");
  EXPECT_EQ(creation->role, wire::Role::kFlush);
  EXPECT_EQ(creation->wishes.desired, 3);
  EXPECT_FALSE(creation->wishes.max || creation->wishes.state || creation->wishes.scale_owner);
}

TEST(PoolWishesTest, WhatIsNoRoleStateOrOwnerIsNamed) {
  v1::CreatePoolRequest request;
  EXPECT_EQ(ToCreation(request).status().message(),
            "pool.role: 0: expected ROLE_INGEST or ROLE_FLUSH");
  request.mutable_pool()->set_role(v1::ROLE_INGEST);
  request.mutable_pool()->set_state(v1::POOL_STATE_DRAINING);
  EXPECT_EQ(RefusalReason(ToCreation(request).status()), "OUT_OF_RANGE");
  request.mutable_pool()->set_state(v1::POOL_STATE_PAUSED);
  EXPECT_TRUE(ToCreation(request).ok());
}

TEST(PoolWishesTest, AnUpdateTakesWhatItsMaskNames) {
  v1::UpdatePoolRequest request;
  request.mutable_pool()->set_name("pools/flush");
  request.mutable_pool()->set_desired(3);
  request.mutable_pool()->set_min(2);
  EXPECT_EQ(RefusalReason(ToUpdate(request).status()), "UNKNOWN_FIELD") << "an empty mask";
  request.mutable_update_mask()->add_paths("desired");
  const auto update = ToUpdate(request);
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_EQ(update->pool, "flush");
  EXPECT_EQ(update->wishes.desired, 3);
  EXPECT_FALSE(update->wishes.min.has_value());
  request.mutable_update_mask()->add_paths("role");
  EXPECT_EQ(ToUpdate(request).status().message(),
            "update_mask: \"role\": expected desired, min, max, state or scale_owner");
}

}  // namespace
}  // namespace spillway::rpc

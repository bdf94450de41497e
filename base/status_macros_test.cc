#include "base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>

namespace spillway {
namespace {

absl::StatusOr<std::unique_ptr<int>> Number(int value) {
  if (value < 0) return absl::InvalidArgumentError("negative");
  return std::make_unique<int>(value);
}

absl::StatusOr<int> Sum(int a, int b) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> first, Number(a));
  ASSIGN_OR_RETURN(auto second, Number(b));
  return *first + *second;
}

absl::Status Both(const absl::Status& first, const absl::Status& second, int* reached) {
  RETURN_IF_ERROR(first);
  ++*reached;
  RETURN_IF_ERROR(second);
  ++*reached;
  return absl::OkStatus();
}

TEST(AssignOrReturnTest, AssignsMoveOnlyValues) { EXPECT_EQ(*Sum(1, 2), 3); }

TEST(AssignOrReturnTest, ReturnsTheError) {
  EXPECT_EQ(Sum(1, -2).status(), absl::InvalidArgumentError("negative"));
}

TEST(ReturnIfErrorTest, StopsAtTheFirstError) {
  int reached = 0;
  EXPECT_TRUE(absl::IsAborted(Both(absl::OkStatus(), absl::AbortedError(""), &reached)));
  EXPECT_EQ(reached, 1);
}

TEST(ReturnIfErrorTest, GoesOnWhenAllIsWell) {
  int reached = 0;
  EXPECT_TRUE(Both(absl::OkStatus(), absl::OkStatus(), &reached).ok());
  EXPECT_EQ(reached, 2);
}

}  // namespace
}  // namespace spillway

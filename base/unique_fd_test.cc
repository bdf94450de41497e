#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFdTest, ClosesWhatItOwns) {
  const int fd = ::open("/dev/null", O_RDONLY);
  { const UniqueFd owner(fd); }
  EXPECT_FALSE(IsOpen(fd));
}

TEST(UniqueFdTest, MovingHandsOverTheDescriptor) {
  UniqueFd first(::open("/dev/null", O_RDONLY));
  const int fd = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): what a move leaves is defined
  EXPECT_EQ(second.get(), fd);
  EXPECT_TRUE(IsOpen(fd));
}

TEST(UniqueFdTest, ReleaseLeavesItOpen) {
  UniqueFd owner(::open("/dev/null", O_RDONLY));
  const UniqueFd again(owner.Release());
  EXPECT_FALSE(owner.valid());
  EXPECT_TRUE(IsOpen(again.get()));
}

}  // namespace
}  // namespace spillway

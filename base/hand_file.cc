#include "base/hand_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace spillway {
namespace {

constexpr uint64_t kMagic = 0x31'646e'6168'7773;  // "swhand1"

absl::Status Errno(const std::string& path) {
  return absl::InternalError(absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace

struct HandFile::Record {
  uint64_t magic = kMagic;
  Generation generation;
  uint64_t is_in_hand = 0;
  ClaimInHand claim;
};

std::string HandFilePath(const std::string& run_dir, const std::string& pool, int32_t slot) {
  return absl::StrCat(run_dir, "/", pool, "-", slot, ".hand");
}

absl::StatusOr<std::unique_ptr<HandFile>> HandFile::Create(const std::string& path,
                                                           Generation generation) {
  static_assert(std::is_trivially_copyable_v<Record>);
  ::unlink(path.c_str());
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (fd.get() < 0) return Errno(path);
  Record record;
  record.generation = generation;
  // Written, not only mapped: a full disk is an error here, and not a SIGBUS later.
  errno = ENOSPC;
  if (::pwrite(fd.get(), &record, sizeof(record), 0) != sizeof(record)) return Errno(path);
  void* const mapped =
      ::mmap(nullptr, sizeof(record), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return Errno(path);
  return std::unique_ptr<HandFile>(new HandFile(static_cast<Record*>(mapped)));
}

HandFile::~HandFile() { ::munmap(record_, sizeof(Record)); }

// A process that is ended between two stores has done those before: the compiler alone must keep
// their order.
void HandFile::Note(const std::optional<ClaimInHand>& in_hand) {
  volatile uint64_t& is_in_hand = record_->is_in_hand;
  is_in_hand = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (!in_hand) return;
  record_->claim = *in_hand;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  is_in_hand = 1;
}

std::optional<ClaimInHand> ReadHandFile(const std::string& path, Generation generation) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  HandFile::Record record;
  if (fd.get() < 0 || ::pread(fd.get(), &record, sizeof(record), 0) != sizeof(record)) return {};
  const bool is_its = record.magic == kMagic && record.generation == generation;
  if (!is_its || record.is_in_hand != 1 || record.claim.shard.value < 0) return {};
  return record.claim;
}

}  // namespace spillway

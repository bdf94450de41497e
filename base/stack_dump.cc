#include "base/stack_dump.h"

#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace spillway {
namespace {

constexpr int kMaxThreads = 128;
constexpr int kMaxFrames = 64;

// A thread that was asked. Only the asked thread writes between kAnswering and kAnswered; a slot it
// is late with is not used again before it has finished.
enum class SlotState { kFree, kAsked, kAnswering, kAnswered };
struct Slot {
  std::atomic<SlotState> state{SlotState::kFree};
  std::atomic<pid_t> thread{0};
  int frame_count = 0;
  std::array<void*, kMaxFrames> frames{};
};

// What a signal handler works with: it is given nothing, so all of it is static.
int dump_fd = -1;
int answered_fd = -1;  // an eventfd: counts answers
std::atomic<bool> is_dumping{false};
std::array<Slot, kMaxThreads> slots;

// ---- only functions that may be called in a signal handler from here on
// --------------------------

class Writer {
 public:
  ~Writer() { Flush(); }
  Writer& Text(const char* text) {
    for (; *text != '\0'; ++text) Put(*text);
    return *this;
  }
  Writer& Number(uint64_t value, unsigned base = 10) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value > 0);
    while (count > 0) Put(digits[--count]);
    return *this;
  }
  Writer& Address(uint64_t value) { return Text(" 0x").Number(value, 16).Text("\n"); }
  void Put(char c) {
    if (size_ == sizeof(buffer_)) Flush();
    buffer_[size_++] = c;
  }

 private:
  void Flush() {
    size_t written = 0;
    while (written < size_) {
      const ssize_t n = ::write(dump_fd, buffer_ + written, size_ - written);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // a full disk: nobody to tell
      written += static_cast<size_t>(n);
    }
    size_ = 0;
  }
  char buffer_[1024];
  size_t size_ = 0;
};

// The beginning of a file of /proc/self, as text.
struct ProcText {
  ProcText(pid_t thread, const char* file) {
    char path[64] = "/proc/self/task/";
    char digits[12];
    int count = 0;
    for (pid_t rest = thread; rest > 0; rest /= 10)
      digits[count++] = static_cast<char>('0' + rest % 10);
    char* end = path + std::strlen(path);
    while (count > 0) *end++ = digits[--count];
    *end++ = '/';
    std::strcpy(end, file);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t read = fd < 0 ? 0 : ::read(fd, text, sizeof(text) - 1);
    text[read > 0 ? read : 0] = '\0';
    if (fd >= 0) ::close(fd);
  }
  char text[2048];
};

bool BlocksSignal(pid_t thread) {
  const ProcText status(thread, "status");
  const char* blocked = std::strstr(status.text, "SigBlk:");
  if (blocked == nullptr) return false;
  uint64_t mask = 0;
  for (const char* c = blocked + std::strlen("SigBlk:\t"); *c != '\0' && *c != '\n'; ++c) {
    const bool is_letter = *c >= 'a';
    mask = mask * 16 + static_cast<uint64_t>(is_letter ? *c - 'a' + 10 : *c - '0');
  }
  return (mask >> (StackDumpSignal() - 1) & 1) != 0;
}

// The last word of …/syscall: where a thread that waits in the kernel will go on.
void WriteWaitingPlace(Writer& writer, pid_t thread) {
  ProcText place(thread, "syscall");
  const char* address = std::strrchr(place.text, ' ');
  if (address == nullptr) return;  // "running"
  writer.Text(address);            // ends its line
}

void WriteHead(Writer& writer, pid_t thread) {
  ProcText stat(thread, "stat");
  char* name = std::strchr(stat.text, '(');
  char* end = std::strrchr(stat.text, ')');
  const bool is_known = name != nullptr && end != nullptr && end[1] == ' ';
  writer.Text("thread ").Number(static_cast<uint64_t>(thread)).Text(" ");
  if (is_known) {
    *end = '\0';
    writer.Put(end[2]);
    writer.Text(" ").Text(name + 1);
  } else {
    writer.Text("X ?");  // has ended meanwhile
  }
  writer.Text("\n");
}

uint64_t InterruptedAt(const void* context) {
  [[maybe_unused]] const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<uint64_t>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return machine.pc;
#else
  return 0;
#endif
}

// The calling thread's frames, from where the signal interrupted it.
void Unwind(Slot& slot, const void* context) {
  const int count = ::backtrace(slot.frames.data(), kMaxFrames);
  int first = 0;  // the handler's own frames go
  const auto interrupted = InterruptedAt(context);
  for (int i = 0; i < count && first == 0; ++i) {
    if (reinterpret_cast<uint64_t>(slot.frames[static_cast<size_t>(i)]) == interrupted) first = i;
  }
  slot.frame_count = count - first;
  std::memmove(slot.frames.data(), slot.frames.data() + first,
               static_cast<size_t>(slot.frame_count) * sizeof(void*));
}

// An asked thread's part.
void Answer(const void* context) {
  const pid_t self = ::gettid();
  for (Slot& slot : slots) {
    if (slot.thread.load() != self) continue;
    SlotState asked = SlotState::kAsked;
    if (!slot.state.compare_exchange_strong(asked, SlotState::kAnswering)) continue;
    Unwind(slot, context);
    slot.state.store(SlotState::kAnswered);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(answered_fd, &one, sizeof(one));
    return;
  }
}

// A slot for a thread; null: there are too many.
Slot* Allot(pid_t thread) {
  for (Slot& slot : slots) {
    const SlotState state = slot.state.load();
    if (state == SlotState::kAsked || state == SlotState::kAnswering) continue;
    if (slot.thread.load() != 0) continue;
    slot.frame_count = 0;
    slot.state.store(SlotState::kFree);
    slot.thread.store(thread);
    return &slot;
  }
  return nullptr;
}

// Asks every other thread; answers how many were asked.
int AskThreads(const void* context) {
  struct Entry {  // as the kernel writes it
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[1];
  };
  alignas(Entry) char buffer[2048];
  const pid_t self = ::gettid();
  int asked = 0;
  const int folder = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (folder >= 0) {
    const long read = ::syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (read <= 0) break;
    for (long at = 0; at < read;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      const pid_t thread = std::atoi(static_cast<const char*>(entry->name));
      Slot* slot = thread > 0 ? Allot(thread) : nullptr;
      if (slot == nullptr) continue;
      if (thread == self) {
        Unwind(*slot, context);
        slot->state.store(SlotState::kAnswered);
      } else if (!BlocksSignal(thread)) {
        slot->state.store(SlotState::kAsked);
        asked += ::syscall(SYS_tgkill, ::getpid(), thread, StackDumpSignal()) == 0;
      }
    }
  }
  if (folder >= 0) ::close(folder);
  return asked;
}

void AwaitAnswers(int asked) {
  const Instant deadline = SystemClock().Now() + kStackAnswerTimeout;
  while (asked > 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().Now());
    if (left.count() <= 0) return;
    pollfd watched{answered_fd, POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(left.count())) <= 0) continue;
    uint64_t answers = 0;
    if (::read(answered_fd, &answers, sizeof(answers)) > 0) asked -= static_cast<int>(answers);
  }
}

void WriteThread(Writer& writer, Slot& slot) {
  const pid_t thread = slot.thread.load();
  WriteHead(writer, thread);
  SlotState state = SlotState::kAsked;
  const bool is_silent = slot.state.compare_exchange_strong(state, SlotState::kFree);
  if (state == SlotState::kAnswered) {
    for (int i = 0; i < slot.frame_count; ++i) {
      writer.Address(reinterpret_cast<uint64_t>(slot.frames[static_cast<size_t>(i)]));
    }
  } else {
    WriteWaitingPlace(writer, thread);
    const bool was_asked = is_silent || state == SlotState::kAnswering;
    writer.Text(was_asked ? " ! no answer\n" : " ! blocks the signal\n");
  }
  if (state != SlotState::kAnswering) slot.state.store(SlotState::kFree);
  slot.thread.store(0);
}

void WriteMaps(Writer& writer) {
  writer.Text("maps\n");
  const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  char buffer[1024];
  while (fd >= 0) {
    const ssize_t read = ::read(fd, buffer, sizeof(buffer));
    if (read <= 0) break;
    for (ssize_t i = 0; i < read; ++i) writer.Put(buffer[i]);
  }
  if (fd >= 0) ::close(fd);
  writer.Text(kStackDumpEnd + 1);  // the last line has ended
}

// The part of whichever thread the request came to.
void Dump(int request, const void* context) {
  if (is_dumping.exchange(true)) return;  // it is being written
  {
    Writer writer;
    writer.Text("spillway-stacks 1 request ").Number(static_cast<uint64_t>(request));
    writer.Text(" pid ").Number(static_cast<uint64_t>(::getpid())).Text("\n");
    AwaitAnswers(AskThreads(context));
    for (Slot& slot : slots) {
      if (slot.thread.load() != 0) WriteThread(writer, slot);
    }
    WriteMaps(writer);
  }
  is_dumping.store(false);
}

void OnSignal(int, siginfo_t* info, void* context) {
  const int error = errno;
  const bool is_ours = info->si_code == SI_TKILL && info->si_pid == ::getpid();
  is_ours ? Answer(context) : Dump(info->si_value.sival_int, context);
  errno = error;
}

}  // namespace

int StackDumpSignal() { return SIGRTMIN + 7; }

std::string StackDumpPath(const std::string& run_dir, const std::string& pool, int32_t slot) {
  return absl::StrCat(run_dir, "/", pool, "-", slot, ".stacks");
}

absl::Status InstallStackDump(const std::string& path) {
  dump_fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  answered_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (dump_fd < 0 || answered_fd < 0) {
    return absl::InternalError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  void* frames[2];
  ::backtrace(frames, 2);  // the first call loads libgcc's unwinder: not in a handler
  SystemClock().Now();
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(StackDumpSignal(), &action, nullptr) != 0) {
    return absl::InternalError(absl::StrCat("sigaction: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace spillway

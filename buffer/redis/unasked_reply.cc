#include "buffer/redis/unasked_reply.h"

#include <hiredis/hiredis.h>

namespace spillway::buffer {
namespace {

// hiredis' own, the same for every reader.
const redisReplyObjectFunctions* own_functions = nullptr;

bool IsUnasked(const redisReadTask* task) {
  return task->parent == nullptr && task->type != REDIS_REPLY_ERROR &&
         !static_cast<const ReplyExpectation*>(task->privdata)->IsReplyExpected();
}

void* CreateString(const redisReadTask* task, char* text, size_t size) {
  return IsUnasked(task) ? nullptr : own_functions->createString(task, text, size);
}
void* CreateArray(const redisReadTask* task, size_t count) {
  return IsUnasked(task) ? nullptr : own_functions->createArray(task, count);
}
void* CreateInteger(const redisReadTask* task, long long value) {
  return IsUnasked(task) ? nullptr : own_functions->createInteger(task, value);
}
void* CreateDouble(const redisReadTask* task, double value, char* text, size_t size) {
  return IsUnasked(task) ? nullptr : own_functions->createDouble(task, value, text, size);
}
void* CreateNil(const redisReadTask* task) {
  return IsUnasked(task) ? nullptr : own_functions->createNil(task);
}
void* CreateBool(const redisReadTask* task, int value) {
  return IsUnasked(task) ? nullptr : own_functions->createBool(task, value);
}

}  // namespace

void RefuseUnaskedReplies(redisReader* reader, ReplyExpectation& expectation) {
  static redisReplyObjectFunctions functions = [reader] {
    own_functions = reader->fn;
    redisReplyObjectFunctions all = *reader->fn;
    all.createString = CreateString;
    all.createArray = CreateArray;
    all.createInteger = CreateInteger;
    all.createDouble = CreateDouble;
    all.createNil = CreateNil;
    all.createBool = CreateBool;
    return all;
  }();
  reader->fn = &functions;
  reader->privdata = &expectation;
}

}  // namespace spillway::buffer

// RedisShardStore: the dictionaries that a shard's chunks name.
#include <utility>

#include "absl/strings/str_cat.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

Command MakeDictionaryCall(const ShardKeys& keys, Epoch epoch, uint32_t id, size_t arguments) {
  Command command(scripts::kDictionary, 4, 2 + arguments);
  command.AddAll({keys.meta(), keys.dictionaries(), keys.due(), keys.inflight(), EpochText(epoch),
                  DictionaryIdText(id)});
  return command;
}

}  // namespace

void RedisShardStore::StoreDictionary(ShardId shard, Epoch epoch, const Dictionary& dictionary,
                                      Done<bool> done) {
  Command command = MakeDictionaryCall(KeysOf(shard), epoch, dictionary.id(), 1);
  command.Add(dictionary.content());
  RouteTo(shard).Send(std::move(command),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
                        if (!result.ok()) return done(Failed<bool>(shard, result));
                        done(Succeeded(true));
                      });
}

void RedisShardStore::DropDictionary(ShardId shard, const DropDictionaryRequest& request,
                                     Done<bool> done) {
  Command command = MakeDictionaryCall(KeysOf(shard), request.epoch, request.id, 3);
  command.Add("").Add(request.expected_watermark).Add(request.last_deadline.ms);
  RouteTo(shard).Send(std::move(command),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
                        if (!result.ok()) return done(Failed<bool>(shard, result));
                        done(Succeeded(result.reply.integer() == 1));
                      });
}

void RedisShardStore::ReadDictionary(ShardId shard, uint32_t id,
                                     Done<std::shared_ptr<const Dictionary>> done) {
  using Found = std::shared_ptr<const Dictionary>;
  RouteTo(shard).Send(
      Command({"HGET", KeysOf(shard).dictionaries(), DictionaryIdText(id)}),
      [shard, id, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<Found>(shard, result));
        Found found = Dictionary::Make(std::string(result.reply.text()));
        if (found != nullptr && found->id() == id) return done(Succeeded(std::move(found)));
        done({.code = StoreCode::kNoDictionary,
              .value = nullptr,
              .message = absl::StrCat("shard ", shard.value, ": dictionary ", DictionaryIdText(id),
                                      result.reply.is_nil() ? " is not there" : " is damaged")});
      });
}

}  // namespace spillway::buffer

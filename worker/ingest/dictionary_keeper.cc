#include "worker/ingest/dictionary_keeper.h"

#include <zdict.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace spillway::ingest {

std::shared_ptr<const buffer::Dictionary> TrainDictionary(const DictionarySamples& samples,
                                                          size_t most_bytes) {
  std::string content(most_bytes, '\0');
  const size_t size =
      ZDICT_trainFromBuffer(content.data(), content.size(), samples.bytes.data(),
                            samples.sizes.data(), static_cast<unsigned>(samples.sizes.size()));
  if (ZDICT_isError(size)) return nullptr;
  content.resize(size);
  return buffer::Dictionary::Make(std::move(content));
}

DictionaryKeeper::DictionaryKeeper(const DictionaryLimits& limits, Parts parts)
    : limits_(limits), parts_(std::move(parts)), policy_(limits) {}

void DictionaryKeeper::Use(std::shared_ptr<const buffer::Dictionary> dictionary) {
  current_ = std::move(dictionary);
  policy_.OnChanged(parts_.clock.Now());
}

void DictionaryKeeper::Adopt(std::shared_ptr<const buffer::Dictionary> dictionary) {
  if (!wants_one()) return;
  Log(LogLevel::kInfo, "dictionary adopted",
      {{"dictionary", buffer::DictionaryIdText(dictionary->id())},
       {"bytes", dictionary->content().size()}});
  ++counts_.adopted;
  Use(std::move(dictionary));
}

void DictionaryKeeper::Learn(const WorkBatch& batch) {
  if (limits_.bytes == 0) return;
  for (const ParsedMessage& message : batch.messages) {
    if (until_sample_ > 0) {
      --until_sample_;
      continue;
    }
    if (!message.is_valid) continue;
    Keep(message.bytes);
    if (current_ != nullptr) until_sample_ = limits_.sample_every - 1;
    if (current_ == nullptr && is_training_) return;  // it has what it needs
  }
  MaybeTrain();
}

void DictionaryKeeper::Keep(absl::string_view span) {
  span = span.substr(0, limits_.bytes_of_a_sample);
  sampled_bytes_ += span.size();
  if (samples_.size() < limits_.sample_spans) {
    samples_.emplace_back(span);
    return;
  }
  std::string& oldest = samples_[oldest_];
  sampled_bytes_ -= oldest.size();
  oldest.assign(span.data(), span.size());
  oldest_ = (oldest_ + 1) % samples_.size();
}

DictionarySamples DictionaryKeeper::Samples() const {
  DictionarySamples samples;
  for (size_t i = samples_.size(); i > 0 && samples.bytes.size() < limits_.sample_bytes; --i) {
    const std::string& span = samples_[(oldest_ + i - 1) % samples_.size()];
    samples.bytes += span;
    samples.sizes.push_back(span.size());
  }
  return samples;
}

void DictionaryKeeper::OnEncoded(uint64_t spans, const buffer::ChunkEncoder::Totals& totals) {
  policy_.OnEncoded(spans, totals.body_bytes - totals_.body_bytes,
                    totals.stored_bytes - totals_.stored_bytes);
  totals_ = totals;
}

wire::Compression DictionaryKeeper::Report() const {
  wire::Compression report;
  if (current_ != nullptr) {
    report.dictionary = buffer::DictionaryIdText(current_->id());
    report.dictionary_bytes = current_->content().size();
  }
  report.trained = counts_.trained;
  report.adopted = counts_.adopted;
  report.dropped = counts_.dropped;
  report.chunks = totals_.chunks;
  report.dictionary_chunks = totals_.dictionary_chunks;
  report.body_bytes = totals_.body_bytes;
  report.stored_bytes = totals_.stored_bytes;
  return report;
}

void DictionaryKeeper::MaybeTrain() {
  const bool has_enough =
      samples_.size() >= limits_.sample_spans || sampled_bytes_ >= limits_.sample_bytes;
  if (is_training_ || !has_enough || !policy_.ShouldTrain(parts_.clock.Now())) return;
  is_training_ = true;
  struct Training {
    DictionarySamples samples;
    std::shared_ptr<const buffer::Dictionary> result;
  };
  const auto training = std::make_shared<Training>(Training{Samples(), nullptr});
  const uint32_t before = current_ == nullptr ? 0 : current_->id();
  parts_.offload([training, train = parts_.train,
                  bytes = limits_.bytes] { training->result = train(training->samples, bytes); },
                 [this, alive = std::weak_ptr<bool>(alive_), training, before] {
                   if (alive.expired()) return;
                   is_training_ = false;
                   // One that was found meanwhile is as good.
                   if ((current_ == nullptr ? 0 : current_->id()) != before) return;
                   if (training->result == nullptr) return policy_.OnFailed(parts_.clock.Now());
                   Log(LogLevel::kInfo, "dictionary trained",
                       {{"dictionary", buffer::DictionaryIdText(training->result->id())},
                        {"bytes", training->result->content().size()},
                        {"spans", training->samples.sizes.size()}});
                   ++counts_.trained;
                   Use(std::move(training->result));
                 });
}

}  // namespace spillway::ingest

#include "worker/ingest/dictionary_policy.h"

namespace spillway::ingest {

void DictionaryPolicy::OnChanged(Instant now) {
  has_one_ = true;
  tried_at_ = now;
  spans_ = body_bytes_ = stored_bytes_ = 0;
  first_ratio_.reset();
  is_worse_ = false;
}

void DictionaryPolicy::OnEncoded(uint64_t spans, uint64_t body_bytes, uint64_t stored_bytes) {
  if (!has_one_) return;
  spans_ += spans;
  body_bytes_ += body_bytes;
  stored_bytes_ += stored_bytes;
  if (spans_ < limits_.window_spans || body_bytes_ == 0) return;
  const double ratio = static_cast<double>(stored_bytes_) / static_cast<double>(body_bytes_);
  if (!first_ratio_.has_value()) first_ratio_ = ratio;
  is_worse_ = ratio > limits_.worse * *first_ratio_;
  spans_ = body_bytes_ = stored_bytes_ = 0;
}

bool DictionaryPolicy::ShouldTrain(Instant now) const {
  if (limits_.bytes == 0 || (has_one_ && !is_worse_)) return false;
  return !tried_at_.has_value() || now - *tried_at_ >= limits_.interval;
}

}  // namespace spillway::ingest

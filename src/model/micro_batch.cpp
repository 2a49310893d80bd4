#include "model/micro_batch.h"

#include <algorithm>

#include "base/error.h"
#include "device/upload.h"

namespace eddy::model {
using tensor::Tensor;

namespace {

/// The documents of one row, as [begin, end) token ranges of the micro-batch, with the targets they allow.
void add_document(MicroBatch& b, std::int64_t begin, std::int64_t end, const std::uint8_t* loss) {
  std::int32_t* ids = b.ids.i32();
  for (std::int64_t i = begin; i < end; ++i) {
    b.positions.i32()[i] = static_cast<std::int32_t>(i - begin);
    b.valid.view().as<std::uint8_t>()[i] = 1;
    if (i + 1 < end) {
      b.mtp_ids.i32()[i] = ids[i + 1];
      b.mtp_valid.view().as<std::uint8_t>()[i] = 1;
      if (loss[i + 1 - begin]) {
        b.labels.i32()[i] = ids[i + 1];
        ++b.label_count;
      }
    }
    if (i + 2 < end && loss[i + 2 - begin]) {
      b.mtp_labels.i32()[i] = ids[i + 2];
      ++b.mtp_label_count;
    }
  }
  b.cu_seqlens.push_back(static_cast<std::int32_t>(end));
}

void add_padding(MicroBatch& b, std::int64_t begin, std::int64_t end) {
  if (begin == end) return;
  for (std::int64_t i = begin; i < end; ++i) b.positions.i32()[i] = static_cast<std::int32_t>(i - begin);
  b.cu_seqlens.push_back(static_cast<std::int32_t>(end));
}

}  // namespace

MicroBatch make_micro_batch(std::span<const Row> rows, int vocab_size, int max_positions, int multiple_of) {
  MicroBatch b;
  std::int64_t used = 0;
  for (const Row& r : rows) used += static_cast<std::int64_t>(r.ids.size());
  b.tokens = (used + multiple_of - 1) / multiple_of * multiple_of;
  for (Tensor* t : {&b.ids, &b.positions}) *t = Tensor::zeros({b.tokens}, Dtype::i32);
  for (Tensor* t : {&b.labels, &b.mtp_ids, &b.mtp_labels}) {
    *t = Tensor({b.tokens}, Dtype::i32);
    std::fill_n(t->i32(), b.tokens, -1);
  }
  for (Tensor* t : {&b.valid, &b.mtp_valid}) *t = Tensor::zeros({b.tokens}, Dtype::u8);
  b.cu_seqlens.push_back(0);

  std::int64_t at = 0;
  for (const Row& r : rows) {
    const auto length = static_cast<std::int64_t>(r.ids.size());
    b.row_begin.push_back(at);
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int32_t id = r.ids[static_cast<std::size_t>(i)];
      if (id < 0 || id >= vocab_size)
        fail_input("token id {} is outside the model's vocabulary of {}: the shards were made with another tokenizer",
                   id, vocab_size);
      b.ids.i32()[at + i] = id;
    }
    std::int64_t begin = at;
    for (const std::int32_t n : r.doc_lengths) {
      if (n > max_positions)
        fail_input("a document of {} tokens is longer than the model's {} positions", n, max_positions);
      if (begin + n > at + length) fail_run("a packed row's documents are longer than the row of {} tokens", length);
      add_document(b, begin, begin + n, r.loss.data() + (begin - at));
      begin += n;
    }
    add_padding(b, begin, at + length);
    at += length;
  }
  b.row_begin.push_back(at);
  add_padding(b, at, b.tokens);
  return b;
}

MicroBatch to_device(const device::Stream& stream, const MicroBatch& from) {
  MicroBatch b;
  b.tokens = from.tokens;
  b.cu_seqlens = from.cu_seqlens;
  b.row_begin = from.row_begin;
  b.label_count = from.label_count;
  b.mtp_label_count = from.mtp_label_count;
  std::vector<device::Upload> copies;
  const auto there = [&](tensor::View host) {
    Tensor t(host.shape, host.dtype, stream);
    copies.push_back({host.data, t.view().data, host.bytes()});
    return t;
  };
  for (const auto member : {&MicroBatch::ids, &MicroBatch::positions, &MicroBatch::labels, &MicroBatch::valid,
                            &MicroBatch::mtp_ids, &MicroBatch::mtp_labels, &MicroBatch::mtp_valid})
    b.*member = there(from.*member);
  b.cu_seqlens_on_device = there({b.cu_seqlens.data(), Dtype::i32, {static_cast<std::int64_t>(b.cu_seqlens.size())}});
  device::upload(stream, copies);
  return b;
}

}  // namespace eddy::model

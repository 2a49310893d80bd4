#include "model/micro_batch.h"

#include "base/error.h"
#include "catch.h"

using eddy::model::make_micro_batch;
using eddy::model::MicroBatch;
using eddy::model::Row;
using Ints = std::vector<std::int32_t>;

namespace {
Ints ints(const eddy::tensor::Tensor& t) {
  return {t.i32(), t.i32() + t.view().numel()};
}
Ints bytes(const eddy::tensor::Tensor& t) {
  const auto* p = t.view().as<std::uint8_t>();
  return {p, p + t.view().numel()};
}
}  // namespace

TEST_CASE("targets and the MTP shift stay within a document") {
  const Ints ids{5, 6, 7, 8, 9, 0}, lengths{3, 2};
  const std::vector<std::uint8_t> loss{1, 1, 1, 0, 1, 0};
  const Row row{ids, lengths, loss};
  const MicroBatch b = make_micro_batch(std::span(&row, 1), 10, 16, 4);
  CHECK(b.tokens == 8);
  CHECK(ints(b.ids) == Ints{5, 6, 7, 8, 9, 0, 0, 0});
  CHECK(ints(b.positions) == Ints{0, 1, 2, 0, 1, 0, 0, 1});
  CHECK(ints(b.labels) == Ints{6, 7, -1, 9, -1, -1, -1, -1});
  CHECK(ints(b.mtp_ids) == Ints{6, 7, -1, 9, -1, -1, -1, -1});
  CHECK(ints(b.mtp_labels) == Ints{7, -1, -1, -1, -1, -1, -1, -1});
  CHECK(bytes(b.valid) == Ints{1, 1, 1, 1, 1, 0, 0, 0});
  CHECK(bytes(b.mtp_valid) == Ints{1, 1, 0, 1, 0, 0, 0, 0});
  CHECK(b.cu_seqlens == Ints{0, 3, 5, 6, 8});
  CHECK(b.label_count == 3);
  CHECK(b.mtp_label_count == 1);
}

TEST_CASE("a masked token is no target, but is read") {
  const Ints ids{1, 2, 3, 4}, lengths{4};
  const std::vector<std::uint8_t> loss{0, 0, 1, 1};
  const Row row{ids, lengths, loss};
  const MicroBatch b = make_micro_batch(std::span(&row, 1), 10, 16, 1);
  CHECK(ints(b.labels) == Ints{-1, 3, 4, -1});
  CHECK(ints(b.mtp_labels) == Ints{3, 4, -1, -1});
  CHECK(ints(b.mtp_ids) == Ints{2, 3, 4, -1});
}

TEST_CASE("rows follow each other") {
  const Ints a{1, 2}, b{3, 4}, lengths{2};
  const std::vector<std::uint8_t> loss{1, 1};
  const Row rows[] = {{a, lengths, loss}, {b, lengths, loss}};
  const MicroBatch batch = make_micro_batch(rows, 10, 16, 1);
  CHECK(batch.row_begin == std::vector<std::int64_t>{0, 2, 4});
  CHECK(ints(batch.positions) == Ints{0, 1, 0, 1});
  CHECK(batch.label_count == 2);
}

TEST_CASE("a copy for where the stream runs holds all of a micro-batch") {
  const Ints ids{5, 6, 7, 8, 9, 0}, lengths{3, 2};
  const std::vector<std::uint8_t> loss{1, 1, 1, 0, 1, 0};
  const Row row{ids, lengths, loss};
  MicroBatch from = make_micro_batch(std::span(&row, 1), 10, 16, 4);
  const MicroBatch b = to_device({}, from);
  from.ids.i32()[0] = 99;
  CHECK(ints(b.ids) == Ints{5, 6, 7, 8, 9, 0, 0, 0});
  for (const auto member : {&MicroBatch::positions, &MicroBatch::labels, &MicroBatch::mtp_ids, &MicroBatch::mtp_labels})
    CHECK(ints(b.*member) == ints(from.*member));
  for (const auto member : {&MicroBatch::valid, &MicroBatch::mtp_valid}) CHECK(bytes(b.*member) == bytes(from.*member));
  CHECK(b.cu_seqlens == from.cu_seqlens);
  CHECK(ints(b.cu_seqlens_on_device) == from.cu_seqlens);
  CHECK(b.row_begin == from.row_begin);
  CHECK((b.tokens == 8 && b.label_count == 3 && b.mtp_label_count == 1));
}

TEST_CASE("what the model cannot take is refused") {
  const Ints ids{1, 12, 3}, lengths{3};
  const std::vector<std::uint8_t> loss{1, 1, 1};
  const Row row{ids, lengths, loss};
  CHECK_THROWS_WITH(make_micro_batch(std::span(&row, 1), 10, 16, 1),
                    contains_text("token id 12") && contains_text("vocabulary of 10"));
  CHECK_THROWS_WITH(make_micro_batch(std::span(&row, 1), 13, 2, 1),
                    contains_text("3 tokens") && contains_text("2 positions"));
}

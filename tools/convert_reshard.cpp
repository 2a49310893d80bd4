#include "base/error.h"
#include "base/options.h"
#include "convert_commands.h"
#include "convert_common.h"

namespace eddy::convert {

int reshard(comm::Session& session, const Arguments& arguments) {
  std::string in, out;
  bool overwrite = false;
  Options options("eddy-convert reshard", "--in CKPT --out CKPT [--overwrite]",
                  "Writes a checkpoint anew, optimizer and all, comparing every checksum on the way.");
  options.add("in", &in, "Eddy checkpoint", {.required = true});
  options.add("out", &out, "checkpoint to write", {.required = true});
  options.add("overwrite", &overwrite, "replace a checkpoint that exists");
  if (!options.parse(arguments)) return 0;
  check_output(session.world(), in, out, overwrite, Output::checkpoint);
  const checkpoint::Checkpoint from(in);
  std::vector<tensor::Slice> mine;
  std::uint64_t bytes = 0;
  std::size_t turn = 0;
  for (const auto& t : from.tensors())
    for (tensor::Slice& piece :
         pieces(t.name, t.dtype, t.shape, std::vector<std::int64_t>(t.shape.size(), 0), t.shape)) {
      if (static_cast<int>(turn++ % static_cast<std::size_t>(session.size())) != session.rank()) continue;
      bytes += piece.view.bytes();
      mine.push_back(std::move(piece));
    }
  log::Progress progress("writing", bytes, "bytes");
  checkpoint::SaveOptions how;
  how.attachments = from.attachments();
  how.progress = [&](std::uint64_t done) { progress.update(done); };
  how.fill = [&](std::size_t i, void* buffer) {
    tensor::Slice s = mine[i];
    s.view.data = buffer;
    from.read(s);
  };
  checkpoint::save(session.world(), out, from.meta(), mine, how);
  return 0;
}

}  // namespace eddy::convert

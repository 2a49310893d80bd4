#pragma once
// Where a run computes: run.device and train.dtype, settled.
#include <string>

#include "comm/session.h"
#include "device/stream.h"
#include "train/options.h"

namespace eddy::train {

struct Device {
  device::Stream stream;     ///< the CPU's, or the GPU's with most of its free memory
  std::string name;          ///< the GPU's; empty on the CPU
  std::size_t capacity = 0;  ///< bytes of the GPU's memory that this rank will have; 0 on the CPU
  int index = -1;            ///< the GPU's number on this host; -1 on the CPU
  bool on_gpu() const { return index >= 0; }
};

/// Settles run.device (auto, cpu, cuda) without taking memory: the stream is not open yet. auto is the GPU where one is
/// there. Throws Error (status 2), saying why, where cuda is asked for and cannot be had. Collective over the world.
Device choose_device(comm::Session& session, const std::string& asked);
/// Takes the memory. Throws Error (status 1) where the GPU does not give it.
void open(Device& device);
/// float32 or bf16 for train.dtype (auto, bf16, float32); throws Error (status 2) for bf16 on a CPU.
Dtype choose_dtype(const Device& device, const std::string& asked);
/// Writes what was settled into the configuration's auto options. Throws Error (status 2) as choose_dtype, and for
/// optim.moments = bf16 on a CPU.
void settle(const Device& device, Config& config);

}  // namespace eddy::train

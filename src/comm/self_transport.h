#pragma once
// Data in a GPU's memory, in a group of one: copies on the device.
#include <memory>

#include "comm/device_transport.h"

namespace eddy::comm {

std::unique_ptr<DeviceTransport> self_transport();

}  // namespace eddy::comm

#include "io/hdf5_image.h"

#include <algorithm>
#include <cstring>
#include <new>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

namespace eddy::io::detail {
namespace {

struct Driver {
  H5FD_t head;  // HDF5's; first
  H5Image* image;
  haddr_t end;  // of the space that HDF5 has given out
};
struct Info {  // what the access list carries
  H5Image* image;
};

Driver& own(H5FD_t* file) {
  return *reinterpret_cast<Driver*>(file);
}
const Driver& own(const H5FD_t* file) {
  return *reinterpret_cast<const Driver*>(file);
}

H5FD_t* open_image(const char*, unsigned flags, hid_t access, haddr_t) {
  const auto* info = static_cast<const Info*>(H5Pget_driver_info(access));
  if (!info || !(flags & H5F_ACC_CREAT)) return nullptr;
  auto* driver = new (std::nothrow) Driver{};
  if (!driver) return nullptr;
  driver->image = info->image;
  *driver->image = {};
  return &driver->head;
}
herr_t close_image(H5FD_t* file) {
  delete &own(file);
  return 0;
}
herr_t query_image(const H5FD_t*, unsigned long* flags) {
  if (flags) *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}
haddr_t allocated_end(const H5FD_t* file, H5FD_mem_t) {
  return own(file).end;
}
herr_t set_allocated_end(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  own(file).end = end;
  return 0;
}
haddr_t file_end(const H5FD_t* file, H5FD_mem_t) {
  return own(file).image->bytes;
}
herr_t truncate_image(H5FD_t* file, hid_t, hbool_t) {
  own(file).image->bytes = own(file).end;
  return 0;
}

herr_t read_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t bytes, void* out) {
  std::memset(out, 0, bytes);
  for (const auto& [begin, part] : own(file).image->parts) {
    const std::uint64_t from = std::max<std::uint64_t>(at, begin),
                        to = std::min<std::uint64_t>(at + bytes, begin + part.size());
    if (from < to) std::memcpy(static_cast<char*>(out) + (from - at), part.data() + (from - begin), to - from);
  }
  return 0;
}

herr_t write_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t bytes, const void* from) try {
  H5Image& image = *own(file).image;
  auto& parts = image.parts;
  auto part = parts.upper_bound(at);
  if (part != parts.begin() && std::prev(part)->first + std::prev(part)->second.size() >= at)
    --part;  // it reaches to here
  else
    part = parts.emplace(at, "").first;
  std::string& text = part->second;
  if (at + bytes > part->first + text.size()) text.resize(at + bytes - part->first);
  std::memcpy(text.data() + (at - part->first), from, bytes);
  for (auto next = std::next(part); next != parts.end() && next->first <= at + bytes; next = parts.erase(next)) {
    const std::uint64_t covered = at + bytes - next->first;
    if (next->second.size() > covered) text.append(next->second, covered);
  }
  image.bytes = std::max<std::uint64_t>(image.bytes, at + bytes);
  return 0;
} catch (const std::bad_alloc&) {
  return -1;
}

hid_t driver_id() {
  static const hid_t id = [] {
    static H5FD_class_t c;
    std::memset(&c, 0, sizeof c);
#if H5_VERSION_GE(1, 13, 0)
    c.version = H5FD_CLASS_VERSION;
    c.value = static_cast<H5FD_class_value_t>(600);  // of those that are free for any use
#endif
    c.name = "eddy image";
    c.maxaddr = static_cast<haddr_t>(1) << 62;
    c.fc_degree = H5F_CLOSE_WEAK;
    c.fapl_size = sizeof(Info);
    c.open = open_image;
    c.close = close_image;
    c.query = query_image;
    c.get_eoa = allocated_end;
    c.set_eoa = set_allocated_end;
    c.get_eof = file_end;
    c.read = read_image;
    c.write = write_image;
    c.truncate = truncate_image;
    const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(map), std::end(map), std::begin(c.fl_map));
    return H5FDregister(&c);
  }();
  return id;
}

}  // namespace

bool use_image(hid_t access_list, H5Image& image) {
  const Info info{&image};
  return driver_id() >= 0 && H5Pset_driver(access_list, driver_id(), &info) >= 0;
}

}  // namespace eddy::io::detail

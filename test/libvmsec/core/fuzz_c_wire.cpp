// Any bytes under vmsec/wire.h: each field lies within them, and what is written again reads as the same.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "vmsec/wire.h"

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

bool same(const vmsec_field& a, const vmsec_field& b) {
  return a.number == b.number && a.type == b.type && a.value == b.value && a.bytes.size == b.bytes.size &&
         (a.bytes.size == 0 || std::memcmp(a.bytes.data, b.bytes.data, a.bytes.size) == 0);
}

bool is_written(const vmsec_field& field) {
  return field.type == VMSEC_BYTES || (field.type == VMSEC_VARINT && field.value != 0);
}

void walk(vmsec_bytes input, int depth) {
  vmsec_writer writer = vmsec_writer_of(4 * input.size + 16);
  vmsec_reader reader = vmsec_reader_of(input);
  vmsec_field field;
  while (vmsec_read(&reader, &field) != 0) {
    expect(field.number >= 1 && field.number <= 0x1fffffff);
    if (field.type == VMSEC_BYTES) {
      expect(field.bytes.data >= input.data && field.bytes.data + field.bytes.size <= input.data + input.size);
      const std::size_t begin = vmsec_write_begin(&writer, field.number);
      vmsec_append_(&writer, field.bytes.data, field.bytes.size);
      vmsec_write_end(&writer, begin);
      if (depth < 8) walk(field.bytes, depth + 1);
    } else if (field.type == VMSEC_VARINT) {
      vmsec_write_number(&writer, field.number, field.value);
    }
  }
  expect(reader.at == reader.end);
  expect(writer.failed == 0);
  vmsec_reader first = vmsec_reader_of(input);
  vmsec_reader second = vmsec_reader_of(vmsec_written(&writer));
  vmsec_field again;
  while (vmsec_read(&first, &field) != 0) {
    if (!is_written(field)) continue;
    expect(vmsec_read(&second, &again) != 0);
    expect(same(field, again));
  }
  expect(vmsec_read(&second, &again) == 0 && second.malformed == 0);
  vmsec_writer_drop(&writer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size != 0) walk(vmsec_bytes_of(data, size), 0);
  return 0;
}

/* Protobuf's wire format in plain C11: a bounded writer and a strict reader, all
 * that a module in C needs of it (share/vmsec/proto has the messages). Header-only.
 *
 *   vmsec_writer request = vmsec_writer_of(256);
 *   vmsec_write_text(&request, 1, uuid);
 *
 *   vmsec_reader reader = vmsec_reader_of(bytes);
 *   vmsec_field field;
 *   while (vmsec_read(&reader, &field))
 *     if (field.number == 2 && field.type == VMSEC_BYTES) name = field.bytes;
 *   if (reader.malformed) ...
 *
 * Neither is for several threads at once. Field numbers are 1 to 2^29 - 1. */
#ifndef VMSEC_WIRE_H
#define VMSEC_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes. */
typedef struct vmsec_bytes {
  const uint8_t* data;
  size_t size;
} vmsec_bytes;

static inline vmsec_bytes vmsec_bytes_of(const void* data, size_t size) {
  vmsec_bytes bytes;
  bytes.data = (const uint8_t*)data;
  bytes.size = size;
  return bytes;
}

static inline int vmsec_equal(vmsec_bytes bytes, const char* text) {
  const size_t size = strlen(text);
  return bytes.size == size && (size == 0 || memcmp(bytes.data, text, size) == 0);
}

enum { VMSEC_VARINT = 0, VMSEC_FIXED64 = 1, VMSEC_BYTES = 2, VMSEC_FIXED32 = 5 };

typedef struct vmsec_field {
  uint32_t number;
  uint32_t type;     /* one of the four above */
  uint64_t value;    /* of all but VMSEC_BYTES */
  vmsec_bytes bytes; /* of VMSEC_BYTES: a text, bytes or a message; borrowed from the reader's */
} vmsec_field;

/* ---- read ---------------------------------------------------------------- */

typedef struct vmsec_reader {
  const uint8_t* at;
  const uint8_t* end;
  int malformed; /* 1: what came was cut short or is no Protobuf; nothing more is read */
} vmsec_reader;

/* The bytes outlive the reader and its fields. */
static inline vmsec_reader vmsec_reader_of(vmsec_bytes bytes) {
  vmsec_reader reader;
  reader.at = bytes.data;
  reader.end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
  reader.malformed = 0;
  return reader;
}

static inline int vmsec_bad_(vmsec_reader* reader) {
  reader->malformed = 1;
  reader->at = reader->end;
  return 0;
}

/* At most ten bytes, and the tenth holds one bit. */
static inline int vmsec_read_varint_(vmsec_reader* reader, uint64_t* value) {
  unsigned shift;
  *value = 0;
  for (shift = 0; shift < 70 && reader->at != reader->end; shift += 7) {
    const uint8_t byte = *reader->at++;
    if (shift == 63 && byte > 1) return vmsec_bad_(reader);
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return 1;
  }
  return vmsec_bad_(reader);
}

static inline int vmsec_read_fixed_(vmsec_reader* reader, unsigned size, uint64_t* value) {
  unsigned i;
  if ((size_t)(reader->end - reader->at) < size) return vmsec_bad_(reader);
  *value = 0;
  for (i = 0; i < size; ++i) *value |= (uint64_t)reader->at[i] << (8 * i);
  reader->at += size;
  return 1;
}

static inline int vmsec_read_bytes_(vmsec_reader* reader, vmsec_bytes* bytes) {
  uint64_t size;
  if (!vmsec_read_varint_(reader, &size)) return 0;
  if (size > (uint64_t)(reader->end - reader->at)) return vmsec_bad_(reader);
  *bytes = vmsec_bytes_of(reader->at, (size_t)size);
  reader->at += (size_t)size;
  return 1;
}

/* The next field: 1, or 0 at the end and where `malformed` is set. Fields that a
 * program does not know are there for it to pass over. */
static inline int vmsec_read(vmsec_reader* reader, vmsec_field* field) {
  uint64_t key;
  memset(field, 0, sizeof *field);
  if (reader->at == reader->end) return 0;
  if (!vmsec_read_varint_(reader, &key)) return 0;
  if ((key >> 3) == 0 || (key >> 3) > 0x1fffffff) return vmsec_bad_(reader);
  field->number = (uint32_t)(key >> 3);
  field->type = (uint32_t)(key & 7);
  switch (field->type) {
    case VMSEC_VARINT:
      return vmsec_read_varint_(reader, &field->value);
    case VMSEC_FIXED64:
      return vmsec_read_fixed_(reader, 8, &field->value);
    case VMSEC_FIXED32:
      return vmsec_read_fixed_(reader, 4, &field->value);
    case VMSEC_BYTES:
      return vmsec_read_bytes_(reader, &field->bytes);
    default:
      return vmsec_bad_(reader); /* groups are of another time */
  }
}

/* ---- write --------------------------------------------------------------- */

typedef struct vmsec_writer {
  uint8_t* data; /* the writer's own, until vmsec_writer_drop() */
  size_t size;
  size_t room;
  size_t limit;
  int failed; /* 1: the limit, or the memory, did not do; nothing more is written */
} vmsec_writer;

/* Empty; takes memory as it is written to, `limit` bytes at most. */
static inline vmsec_writer vmsec_writer_of(size_t limit) {
  vmsec_writer writer;
  memset(&writer, 0, sizeof writer);
  writer.limit = limit;
  return writer;
}

static inline void vmsec_writer_drop(vmsec_writer* writer) {
  free(writer->data);
  *writer = vmsec_writer_of(writer->limit);
}

static inline vmsec_bytes vmsec_written(const vmsec_writer* writer) {
  return vmsec_bytes_of(writer->data, writer->size);
}

static inline void vmsec_append_(vmsec_writer* writer, const void* data, size_t size) {
  if (writer->failed || size == 0) return;
  if (size > writer->limit - writer->size) {
    writer->failed = 1;
    return;
  }
  if (size > writer->room - writer->size) {
    const size_t doubled = writer->room > writer->limit / 2 ? writer->limit : 2 * writer->room;
    const size_t room = doubled > writer->size + size ? doubled : writer->size + size;
    uint8_t* more = (uint8_t*)realloc(writer->data, room);
    if (more == NULL) {
      writer->failed = 1;
      return;
    }
    writer->data = more;
    writer->room = room;
  }
  memcpy(writer->data + writer->size, data, size);
  writer->size += size;
}

static inline size_t vmsec_varint_(uint8_t* out, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = (uint8_t)(value | 0x80);
  out[size++] = (uint8_t)value;
  return size;
}

static inline void vmsec_append_varint_(vmsec_writer* writer, uint64_t value) {
  uint8_t bytes[10];
  vmsec_append_(writer, bytes, vmsec_varint_(bytes, value));
}

/* Integers, enums and booleans. Zero is what an absent field says: it is not written. */
static inline void vmsec_write_number(vmsec_writer* writer, uint32_t number, uint64_t value) {
  if (value == 0) return;
  vmsec_append_varint_(writer, (uint64_t)number << 3 | VMSEC_VARINT);
  vmsec_append_varint_(writer, value);
}

static inline void vmsec_write_bytes(vmsec_writer* writer, uint32_t number, vmsec_bytes bytes) {
  vmsec_append_varint_(writer, (uint64_t)number << 3 | VMSEC_BYTES);
  vmsec_append_varint_(writer, bytes.size);
  vmsec_append_(writer, bytes.data, bytes.size);
}

static inline void vmsec_write_text(vmsec_writer* writer, uint32_t number, const char* text) {
  vmsec_write_bytes(writer, number, vmsec_bytes_of(text, strlen(text)));
}

/* A message within the message: what is written until vmsec_write_end(), which
 * gets what this answered. They nest. */
static inline size_t vmsec_write_begin(vmsec_writer* writer, uint32_t number) {
  vmsec_append_varint_(writer, (uint64_t)number << 3 | VMSEC_BYTES);
  return writer->size;
}

static inline void vmsec_write_end(vmsec_writer* writer, size_t begin) {
  uint8_t length[10];
  size_t size, digits;
  if (writer->failed) return;
  size = writer->size - begin;
  digits = vmsec_varint_(length, size);
  vmsec_append_(writer, length, digits); /* room; the bytes are put before the message below */
  if (writer->failed) return;
  memmove(writer->data + begin + digits, writer->data + begin, size);
  memcpy(writer->data + begin, length, digits);
}

#ifdef __cplusplus
}
#endif

#endif

// Messages in Protobuf's wire format (protobuf.dev/programming-guides/encoding),
// described once and used everywhere: across the module ABI, between processes
// and between hosts. proto/ holds the same messages as .proto files; a test
// compares the two field by field.
//
// A message is a plain struct that lists its fields:
//
//   struct PinRequest {
//     Uuid domain;
//     std::uint32_t vcpu = 0;
//     std::vector<std::uint32_t> cpus;
//     static constexpr std::string_view kMessage = "vmsec.PinRequest";
//     static constexpr auto fields() {
//       return wire::fields(wire::field(1, "domain", &PinRequest::domain),
//                           wire::field(2, "vcpu", &PinRequest::vcpu),
//                           wire::field(3, "cpus", &PinRequest::cpus));
//     }
//   };
//
// Field types: bool, signed and unsigned integers, double, enum, std::string
// (bytes; text where the .proto says so), Quantity, Uuid, another message,
// std::vector and std::optional of these, and Fd. A descriptor travels beside
// the bytes; its field holds 1 + its place among the packet's descriptors.
//
// Decoding is strict where it matters: a wrong wire type, a truncated field, a
// number out of range, a bad UUID or a descriptor that is not there is an
// error that names the field. Unknown fields are skipped, so that messages
// can grow. Nesting is bounded by the messages' types; a message type with a
// constant kAtMost is repeated at most so often.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "vmsec/fd.hpp"
#include "vmsec/result.hpp"
#include "vmsec/types.hpp"

namespace vmsec {

// Bytes with the descriptors that belong to them.
struct Packet {
  std::string bytes;
  std::vector<Fd> fds;
};

namespace wire {

template <class S, class M>
struct Field {
  std::uint32_t number;
  std::string_view name;
  M S::* member;
};

template <class S, class M>
constexpr Field<S, M> field(std::uint32_t number, std::string_view name, M S::* member) {
  return {number, name, member};
}

// A message's fields, in order: a function that calls visit(field) for each. (A
// std::tuple of them costs the compiler half as much again for every message.)
template <class... Fields>
constexpr auto fields(Fields... each) {
  return [=](auto&& visit) { (visit(each), ...); };
}

template <class T>
concept Message = requires {
  { T::kMessage } -> std::convertible_to<std::string_view>;
  T::fields();
};

template <class T>
struct IsQuantity : std::false_type {};
template <class Tag>
struct IsQuantity<Quantity<Tag>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

// Calls visit(field) for each field of the message type T, in order.
template <Message T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  T::fields()(visit);
}

// ---- encode -----------------------------------------------------------------

template <class T>
  requires Message<std::remove_cvref_t<T>>
void encode_into(std::string& out, T& message, std::vector<Fd>* fds);

template <class M>
void put(protozero::pbf_writer& writer, std::uint32_t number, M& value, std::vector<Fd>* fds, bool keep_default) {
  using T = std::remove_cvref_t<M>;
  if constexpr (IsOptional<T>::value) {
    if (value) put(writer, number, *value, fds, true);
  } else if constexpr (IsVector<T>::value) {
    for (auto&& element : value) put(writer, number, element, fds, true);
  } else if constexpr (std::is_same_v<T, Fd>) {
    if (fds == nullptr || !value.valid()) return;
    if constexpr (std::is_const_v<std::remove_reference_t<M>>) {
      auto copy = value.duplicate();
      if (!copy) return;  // the receiver then says that the descriptor is missing
      fds->push_back(std::move(*copy));
    } else {
      fds->push_back(std::move(value));
    }
    writer.add_uint32(number, static_cast<std::uint32_t>(fds->size()));
  } else if constexpr (std::is_same_v<T, Uuid>) {
    if (keep_default || !value.is_nil()) writer.add_string(number, value.text());
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (keep_default || !value.empty()) writer.add_bytes(number, value);
  } else if constexpr (IsQuantity<T>::value) {
    if (keep_default || value.value != 0) writer.add_uint64(number, value.value);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (keep_default || value) writer.add_bool(number, value);
  } else if constexpr (std::is_enum_v<T>) {
    if (keep_default || static_cast<std::uint32_t>(value) != 0)
      writer.add_uint32(number, static_cast<std::uint32_t>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (keep_default || value != 0) writer.add_double(number, value);
  } else if constexpr (std::is_signed_v<T>) {
    if (keep_default || value != 0) writer.add_int64(number, value);
  } else if constexpr (std::is_integral_v<T>) {
    if (keep_default || value != 0) writer.add_uint64(number, value);
  } else {
    static_assert(Message<T>, "a field's type must be one that wire.hpp lists");
    std::string nested;
    encode_into(nested, value, fds);
    if (keep_default || !nested.empty()) writer.add_message(number, nested);
  }
}

template <class T>
  requires Message<std::remove_cvref_t<T>>
void encode_into(std::string& out, T& message, std::vector<Fd>* fds) {
  protozero::pbf_writer writer(out);
  for_each_field<std::remove_cvref_t<T>>(
      [&](const auto& each) { put(writer, each.number, message.*(each.member), fds, false); });
}

// The bytes of a message. Descriptors in it are left out.
template <Message T>
std::string encode(const T& message) {
  std::string out;
  encode_into(out, message, nullptr);
  return out;
}

// The bytes and the descriptors of a message. The descriptors move out of it;
// those of a const message are duplicated.
template <class T>
  requires Message<std::remove_cvref_t<T>>
Packet pack(T&& message) {
  Packet packet;
  encode_into(packet.bytes, message, &packet.fds);
  return packet;
}

// ---- decode -----------------------------------------------------------------

template <Message T>
Status decode_into(T& message, std::string_view bytes, std::vector<Fd>* fds);

inline std::unexpected<Error> field_error(std::string_view message, std::string_view name, std::string_view cause) {
  return fail(Code::invalid_argument,
              "decode " + std::string(message) + "." + std::string(name) + ": " + std::string(cause));
}

inline bool is(const protozero::pbf_reader& reader, protozero::pbf_wire_type type) {
  return reader.wire_type() == type;
}

template <class T>
Status get(protozero::pbf_reader& reader, T& value, std::vector<Fd>* fds, std::string_view message,
           std::string_view name) {
  using protozero::pbf_wire_type;
  constexpr bool kLengthDelimited = std::is_same_v<T, std::string> || std::is_same_v<T, Uuid> || Message<T>;
  if constexpr (IsOptional<T>::value) {
    return get(reader, value.emplace(), fds, message, name);
  } else if constexpr (IsVector<T>::value) {
    using E = typename T::value_type;
    constexpr bool kPackable = std::is_arithmetic_v<E> || std::is_enum_v<E>;
    if constexpr (kPackable && !std::is_floating_point_v<E>) {
      if (is(reader, pbf_wire_type::length_delimited)) {
        for (auto number : reader.get_packed_uint64()) {
          if constexpr (!std::is_signed_v<E> && std::is_integral_v<E>) {
            if (number > std::numeric_limits<E>::max()) return field_error(message, name, "number out of range");
          }
          value.push_back(static_cast<E>(number));
        }
        return {};
      }
    }
    if constexpr (std::is_same_v<E, bool>) {
      bool element = false;
      VMSEC_CHECK(get(reader, element, fds, message, name));
      value.push_back(element);
      return {};
    } else {
      if constexpr (requires { E::kAtMost; }) {
        if (value.size() == E::kAtMost)
          return field_error(message, name, "more than " + std::to_string(E::kAtMost) + " of them");
      }
      return get(reader, value.emplace_back(), fds, message, name);
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!is(reader, pbf_wire_type::fixed64)) return field_error(message, name, "not a double");
    value = reader.get_double();
    return {};
  } else if constexpr (kLengthDelimited) {
    if (!is(reader, pbf_wire_type::length_delimited)) return field_error(message, name, "not length-delimited");
    const auto view = reader.get_view();
    const std::string_view bytes(view.data(), view.size());
    if constexpr (std::is_same_v<T, std::string>) {
      value.assign(bytes);
      return {};
    } else if constexpr (std::is_same_v<T, Uuid>) {
      auto uuid = Uuid::parse(bytes);
      if (!uuid) return field_error(message, name, uuid.error().message);
      value = *uuid;
      return {};
    } else {
      return decode_into(value, bytes, fds);
    }
  } else {
    if (!is(reader, pbf_wire_type::varint)) return field_error(message, name, "not a varint");
    const std::uint64_t number = reader.get_uint64();
    if constexpr (std::is_same_v<T, Fd>) {
      if (fds == nullptr || number == 0 || number > fds->size() || !(*fds)[number - 1].valid())
        return field_error(message, name, "its descriptor did not come along");
      value = std::move((*fds)[number - 1]);
    } else if constexpr (IsQuantity<T>::value) {
      value.value = number;
    } else if constexpr (std::is_same_v<T, bool>) {
      value = number != 0;
    } else if constexpr (std::is_enum_v<T>) {
      if (number > std::numeric_limits<std::uint32_t>::max()) return field_error(message, name, "enum out of range");
      value = static_cast<T>(number);
    } else if constexpr (std::is_signed_v<T>) {
      const auto signed_number = static_cast<std::int64_t>(number);
      if (signed_number < std::numeric_limits<T>::min() || signed_number > std::numeric_limits<T>::max())
        return field_error(message, name, "number out of range");
      value = static_cast<T>(signed_number);
    } else {
      if (number > std::numeric_limits<T>::max()) return field_error(message, name, "number out of range");
      value = static_cast<T>(number);
    }
    return {};
  }
}

template <Message T>
Status decode_into(T& message, std::string_view bytes, std::vector<Fd>* fds) {
  // protozero reports malformed input by exceptions: this is the one guard.
  try {
    protozero::pbf_reader reader(bytes.data(), bytes.size());
    while (reader.next()) {
      Status status;
      bool known = false;
      for_each_field<T>([&](const auto& each) {
        if (known || each.number != reader.tag()) return;
        known = true;
        status = get(reader, message.*(each.member), fds, T::kMessage, each.name);
      });
      if (!known) reader.skip();
      VMSEC_CHECK(status);
    }
    return {};
  } catch (const std::exception& malformed) {
    return fail(Code::invalid_argument, "decode " + std::string(T::kMessage) + ": " + malformed.what());
  }
}

template <Message T>
Result<T> decode(std::string_view bytes) {
  T message;
  VMSEC_CHECK(decode_into(message, bytes, nullptr));
  return message;
}

// Descriptors that no field claims are closed with the packet.
template <Message T>
Result<T> unpack(Packet packet) {
  T message;
  VMSEC_CHECK(decode_into(message, packet.bytes, &packet.fds));
  return message;
}

}  // namespace wire

// The empty message: for calls without arguments, and answers without a result.
struct Empty {
  static constexpr std::string_view kMessage = "vmsec.Empty";
  static constexpr auto fields() { return wire::fields(); }
};

}  // namespace vmsec

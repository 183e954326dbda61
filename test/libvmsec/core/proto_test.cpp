// proto/ and the headers describe the same messages and interfaces.
#include <cxxabi.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <memory>

#include "libvmsec/core/all_messages.hpp"
#include "libvmsec/core/fill.hpp"

namespace vmsec::test {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::Type;

const char* const kFiles[] = {"vmsec/core.proto", "vmsec/capability.proto", "vmsec/service.proto",
                              "vmsec/worker.proto"};

// The descriptors that the build's protoc made of proto/.
class Protos {
 public:
  Protos() {
    std::ifstream file(VMSEC_PROTO_SET, std::ios::binary);
    pb::FileDescriptorSet set;
    REQUIRE(set.ParseFromIstream(&file));
    for (const auto& each : set.file()) REQUIRE(pool_.BuildFile(each) != nullptr);
  }
  [[nodiscard]] const pb::DescriptorPool& pool() const { return pool_; }

 private:
  pb::DescriptorPool pool_;
};

// "vmsec.DomainState" for the C++ type.
template <class T>
std::string proto_name_of_type() {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, &status),
                                                    std::free);
  std::string out = name.get();
  for (auto at = out.find("::"); at != std::string::npos; at = out.find("::")) out.replace(at, 2, ".");
  return out;
}

template <class T>
void check_type(const pb::FieldDescriptor& field) {
  if constexpr (wire::IsVector<T>::value) {
    CHECK(field.is_repeated());
    check_type<typename T::value_type>(field);
  } else if constexpr (wire::IsOptional<T>::value) {
    // Messages know their absence without the word.
    CHECK(field.has_presence());
    check_type<typename T::value_type>(field);
  } else if constexpr (std::is_same_v<T, std::string>) {
    CHECK((field.type() == Type::TYPE_STRING || field.type() == Type::TYPE_BYTES));
  } else if constexpr (std::is_same_v<T, Uuid>) {
    CHECK(field.type() == Type::TYPE_STRING);
  } else if constexpr (wire::IsQuantity<T>::value || std::is_same_v<T, std::uint64_t>) {
    CHECK(field.type() == Type::TYPE_UINT64);
  } else if constexpr (std::is_same_v<T, Fd> || std::is_same_v<T, std::uint32_t>) {
    CHECK(field.type() == Type::TYPE_UINT32);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    CHECK(field.type() == Type::TYPE_INT64);
  } else if constexpr (std::is_same_v<T, bool>) {
    CHECK(field.type() == Type::TYPE_BOOL);
  } else if constexpr (std::is_same_v<T, double>) {
    CHECK(field.type() == Type::TYPE_DOUBLE);
  } else if constexpr (std::is_enum_v<T>) {
    REQUIRE(field.type() == Type::TYPE_ENUM);
    CHECK(field.enum_type()->full_name() == proto_name_of_type<T>());
  } else {
    static_assert(wire::Message<T>, "a type that no .proto field stands for");
    REQUIRE(field.type() == Type::TYPE_MESSAGE);
    CHECK(field.message_type()->full_name() == T::kMessage);
  }
}

template <wire::Message T>
void check_message(const pb::DescriptorPool& pool) {
  INFO("message " << T::kMessage);
  const pb::Descriptor* descriptor = pool.FindMessageTypeByName(std::string(T::kMessage));
  REQUIRE(descriptor != nullptr);
  CHECK(proto_name_of_type<T>() == T::kMessage);
  int count = 0;
  wire::for_each_field<T>([&](const auto& each) {
    ++count;
    INFO("field " << each.name);
    const pb::FieldDescriptor* field = descriptor->FindFieldByNumber(static_cast<int>(each.number));
    REQUIRE(field != nullptr);
    CHECK(field->name() == each.name);
    using M = std::remove_cvref_t<decltype(std::declval<T>().*(each.member))>;
    if constexpr (!wire::IsVector<M>::value) CHECK_FALSE(field->is_repeated());
    check_type<M>(*field);
  });
  CHECK(descriptor->field_count() == count);
}

template <wire::Message T>
void check_round_trip(const pb::DescriptorPool& pool) {
  INFO("message " << T::kMessage);
  const T message = filled<T>();
  Packet packet = wire::pack(message);
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> theirs(
      factory.GetPrototype(pool.FindMessageTypeByName(std::string(T::kMessage)))->New());
  REQUIRE(theirs->ParseFromString(packet.bytes));
  CHECK(theirs->GetReflection()->GetUnknownFields(*theirs).empty());
  int present = 0;
  wire::for_each_field<T>([&](const auto&) { ++present; });
  std::vector<const pb::FieldDescriptor*> set;
  theirs->GetReflection()->ListFields(*theirs, &set);
  CHECK(static_cast<int>(set.size()) == present);
  auto back = wire::unpack<T>(Packet{theirs->SerializeAsString(), std::move(packet.fds)});
  REQUIRE(back);
  CHECK(wire::pack(std::as_const(*back)).bytes == packet.bytes);
}

template <class I>
void check_interface(const pb::DescriptorPool& pool) {
  INFO("interface " << Methods<I>::kName);
  const pb::ServiceDescriptor* service = pool.FindServiceByName(std::string(Methods<I>::kName));
  REQUIRE(service != nullptr);
  int count = 0;
  for_each_method<I>([&](const auto& each) {
    INFO("method " << each.name);
    using M = std::remove_cvref_t<decltype(each)>;
    CHECK(static_cast<int>(each.number) == ++count);
    REQUIRE(count <= service->method_count());
    const pb::MethodDescriptor* method = service->method(count - 1);
    CHECK(method->name() == each.name);
    CHECK(method->input_type()->full_name() == M::RequestType::kMessage);
    CHECK(method->output_type()->full_name() == M::ReplyType::kMessage);
  });
  CHECK(service->method_count() == count);
}

TEST_CASE("every message of the headers is in proto, field by field, and nothing else is") {
  const Protos protos;
  AllMessages::for_each([&]<class T>() { check_message<T>(protos.pool()); });
  std::size_t messages = 0;
  for (const char* file : kFiles)
    messages += static_cast<std::size_t>(protos.pool().FindFileByName(file)->message_type_count());
  CHECK(messages == AllMessages::kSize);
}

TEST_CASE("every interface of the headers is a service in proto, method by method, and nothing else is") {
  const Protos protos;
  AllInterfaces::for_each([&]<class I>() { check_interface<I>(protos.pool()); });
  std::size_t services = 0;
  for (const char* file : kFiles)
    services += static_cast<std::size_t>(protos.pool().FindFileByName(file)->service_count());
  CHECK(services == AllInterfaces::kSize);
}

TEST_CASE("a filled message means the same to Google's implementation and comes back unchanged") {
  const Protos protos;
  AllMessages::for_each([&]<class T>() { check_round_trip<T>(protos.pool()); });
}

TEST_CASE("error codes keep their numbers in proto") {
  const Protos protos;
  const pb::EnumDescriptor* codes = protos.pool().FindEnumTypeByName("vmsec.Code");
  REQUIRE(codes != nullptr);
  for (int i = 0; i < codes->value_count(); ++i) {
    const auto* value = codes->value(i);
    std::string name = value->name().substr(5);  // without CODE_
    std::ranges::transform(name, name.begin(), [](char c) { return c == '_' ? ' ' : static_cast<char>(c | 0x20); });
    const std::string_view ours = to_string(static_cast<Code>(value->number()));
    if (ours == "i/o error" || ours == "internal error") continue;
    CHECK(ours == name);
  }
  CHECK(codes->FindValueByName("CODE_IO")->number() == static_cast<int>(Code::io));
  CHECK(codes->FindValueByName("CODE_INTERNAL")->number() == static_cast<int>(Code::internal));
}

}  // namespace
}  // namespace vmsec::test

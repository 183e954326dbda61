#include "loader/module_file.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>

#include "vmsec/module.hpp"

namespace vmsec::loader {
namespace {

Result<std::string> digest_of_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Code::io, "read " + file + ": cannot open it");
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return fail(Code::internal, "digest " + file + ": SHA-256 is not available");
  std::array<char, 1 << 16> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0)
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(in.gcount()));
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Status check_entry(const vmsec_module* entry, const std::string& file) {
  const auto refuse = [&](const std::string& cause) {
    return fail(Code::unsupported, "load module " + file + ": " + cause);
  };
  if (entry == nullptr) return refuse("it has no symbol vmsec_module_entry");
  if (entry->abi_major != VMSEC_ABI_MAJOR || entry->abi_minor > VMSEC_ABI_MINOR)
    return refuse("its ABI is " + std::to_string(entry->abi_major) + "." + std::to_string(entry->abi_minor) +
                  ", this host's " + std::to_string(VMSEC_ABI_MAJOR) + "." + std::to_string(VMSEC_ABI_MINOR));
  if (entry->size < sizeof(vmsec_module)) return refuse("its entry has " + std::to_string(entry->size) + " bytes");
  if (entry->manifest == nullptr || entry->create == nullptr || entry->call == nullptr || entry->destroy == nullptr)
    return refuse("its entry is not complete");
  return {};
}

}  // namespace

Result<ModuleFile> ModuleFile::open(const std::string& file) {
  VMSEC_TRY(std::string digest, digest_of_file(file));
  VMSEC_TRY(SharedObject object, SharedObject::open(file));
  const auto* entry = static_cast<const vmsec_module*>(object.symbol("vmsec_module_entry"));
  VMSEC_CHECK(check_entry(entry, file));
  VMSEC_TRY(Manifest manifest, parse_manifest(std::string_view(entry->manifest, entry->manifest_size), file));
  return ModuleFile(std::move(object), entry, std::move(manifest), std::move(digest));
}

Result<std::unique_ptr<ModuleInstance>> ModuleInstance::create(const vmsec_module& entry, const vmsec_host& host,
                                                               const Settings& settings) {
  const std::string configuration = wire::encode(settings);
  void* instance = nullptr;
  vmsec_reply reply{};
  reply.size = sizeof reply;
  entry.create(&host, configuration.data(), configuration.size(), &instance, &reply);
  VMSEC_CHECK(sdk::result_of(reply));
  if (instance == nullptr) return fail(Code::internal, "the module made no instance");
  return std::unique_ptr<ModuleInstance>(new ModuleInstance(entry, instance));
}

ModuleInstance::~ModuleInstance() { entry_.destroy(instance_); }

Result<Packet> ModuleInstance::call(std::string_view interface, std::uint32_t method, Packet request) {
  return sdk::call_through(entry_.call, instance_, interface, 0, method, std::move(request));
}

}  // namespace vmsec::loader

#include "evidence/efi.hpp"

#include <catch2/catch.hpp>

#include "efi_data.hpp"

namespace vmsec::boot::test {
namespace {

// Every node that firmware is met with, and how UEFI writes it.
const std::vector<std::pair<std::string, std::string>>& nodes() {
  static const std::vector<std::pair<std::string, std::string>> kNodes{
      {node(1, 1, std::string("\2\x1d", 2)), "Pci(0x1d,0x2)"},
      {node(1, 3, little(11U) + little(std::uint64_t{16}) + little(std::uint64_t{255})), "MemoryMapped(0x10,0xff)"},
      {node(1, 4, guid(kGlobal)), "VenHw(8be4df61-93ca-11d2-aa0d-00e098032b8c)"},
      {node(2, 1, little(0x0a0341d0U) + little(1U)), "PciRoot(0x1)"},
      {node(2, 1, little(0x0a0841d0U) + little(0U)), "PcieRoot(0x0)"},
      {node(2, 1, little(0x060441d0U) + little(0U)), "Acpi(0x60441d0,0x0)"},
      {node(3, 1, std::string("\0\1\0\0", 4)), "Ata(0x0,0x1)"},
      {node(3, 2, std::string("\1\0\2\0", 4)), "Scsi(0x1,0x2)"},
      {node(3, 5, std::string("\3\0", 2)), "USB(0x3,0x0)"},
      {node(3, 10, guid(kShim)), "VenMsg(605dab50-e046-4300-abb6-3dd810dd8b23)"},
      {node(3, 11, std::string("\x52\x54\0\1\2\3", 6) + std::string(27, '\0')), "MAC(525400010203)"},
      {node(3, 12, std::string(23, '\0')), "IPv4(00000000)"},
      {node(3, 18, std::string("\1\0\xff\xff\0\0", 6)), "Sata(0x1,0xffff,0x0)"},
      {node(3, 23, little(1U) + std::string("\1\2\3\4\5\6\7\10", 8)), "NVMe(0x1,0807060504030201)"},
      {node(3, 24, "http://boot.example/a.efi"), "Uri(http://boot.example/a.efi)"},
      {hard_drive(), "HD(1,GPT,ef72374c-2630-46a1-88d6-082693781140)"},
      {node(4, 2, std::string(20, '\0')), "CDROM"},
      {node(4, 7, guid(kGlobal)) + node(4, 6, guid(kShim)),
       "Fv(8be4df61-93ca-11d2-aa0d-00e098032b8c)/FvFile(605dab50-e046-4300-abb6-3dd810dd8b23)"},
      {node(4, 8, little(0U) + little(std::uint64_t{1}) + little(std::uint64_t{2})), "Offset(0x1,0x2)"},
      {node(5, 1, std::string(4, '\0') + "Harddisk1" + std::string(1, '\0')), "BBS(Harddisk1)"},
      {node(3, 99, "ab"), "Path(3,99,6162)"},
      {node(1, 1, "a"), "Path(1,1,61)"},  // too short for what it is
      {node(4, 1, "short"), "Path(4,1,73686f7274)"},
      {node(4, 4, utf16("\\EFI\\a") + std::string(2, '\0')) + node(4, 4, utf16("b.efi")), "\\EFI\\a\\b.efi"},
  };
  return kNodes;
}

}  // namespace

TEST_CASE("a device path is written as UEFI writes it") {
  for (const auto& [bytes, text] : nodes()) {
    const auto path = efi::read_device_path(bytes + end_of_path());
    CHECK(path.whole);
    CHECK(path.text == text);
  }
  const auto path = efi::read_device_path(disk_path("\\EFI\\BOOT\\BOOTX64.EFI"));
  CHECK(path.file == "\\EFI\\BOOT\\BOOTX64.EFI");
  CHECK(path.device == "PciRoot(0x0)/Pci(0x3,0x0)/HD(1,GPT,ef72374c-2630-46a1-88d6-082693781140)");
  CHECK(path.text == path.device + "/" + path.file);
}

TEST_CASE("a device path that is cut anywhere is not whole") {
  const std::string bytes = disk_path("\\EFI\\BOOT\\BOOTX64.EFI");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(efi::read_device_path(std::string_view(bytes).substr(0, size)).whole);
  CHECK_FALSE(efi::read_device_path(std::string("\1\1\3\0", 4) + end_of_path()).whole);  // shorter than its head
}

TEST_CASE("a variable has name, vendor and value, and no length passes its end") {
  const std::string bytes = variable(kGlobal, "SecureBoot", "\1");
  const auto read = efi::read_variable(bytes);
  REQUIRE(read);
  CHECK(read->vendor == kGlobal);
  CHECK(read->name == "SecureBoot");
  CHECK(read->data == "\1");
  CHECK(read->whole == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(efi::read_variable(std::string_view(bytes).substr(0, size)));
  CHECK(efi::read_variable(bytes + "123456")->whole == bytes);  // as shim's older versions write it
  CHECK_FALSE(efi::read_variable(bytes + "123456789"));
  const std::string huge(8, '\xff');
  CHECK_FALSE(efi::read_variable(guid(kGlobal) + huge + huge + "ab"));
  CHECK_FALSE(efi::read_variable(guid(kGlobal) + little(std::uint64_t{1}) + huge + "ab"));
}

TEST_CASE("signature lists are counted by kind, and a list that does not add up is none") {
  const auto read = efi::read_signature_lists(hash_list(3) + hash_list(2));
  REQUIRE(read);
  CHECK(read->hashes == 5);
  CHECK(read->certificates == 0);
  CHECK(efi::read_signature_lists("")->hashes == 0);
  const std::string list = hash_list(2);
  for (std::size_t size = 1; size < list.size(); ++size)
    CHECK_FALSE(efi::read_signature_lists(std::string_view(list).substr(0, size)));
  const auto with = [](std::uint32_t size, std::uint32_t header, std::uint32_t each) {
    return guid(kX509List) + little(size) + little(header) + little(each) + std::string(100, 'x');
  };
  CHECK(efi::read_signature_lists(with(128, 0, 100))->certificates == 1);
  CHECK(efi::read_signature_lists(with(128, 0, 100))->names.empty());  // its bytes are no certificate
  CHECK(efi::read_signature_lists(with(128, 60, 20))->certificates == 2);
  CHECK_FALSE(efi::read_signature_lists(with(128, 0, 0)));
  CHECK_FALSE(efi::read_signature_lists(with(128, 0, 16)));
  CHECK_FALSE(efi::read_signature_lists(with(128, 0, 99)));
  CHECK_FALSE(efi::read_signature_lists(with(27, 0, 20)));
  CHECK_FALSE(efi::read_signature_lists(with(128, 0xffffffff, 20)));
  CHECK_FALSE(efi::read_signature_lists(with(0xffffffff, 0, 100)));
}

TEST_CASE("certificates are told by their name") {
  const std::string der = certificate("Test Signing CA");
  CHECK(efi::certificate_name(der) == "Test Signing CA");
  CHECK(efi::certificate_name(certificate("a\x1b[2Jb")) == "a?[2Jb");
  CHECK_FALSE(efi::certificate_name(std::string_view(der).substr(0, der.size() - 1)));
  CHECK_FALSE(efi::certificate_name(""));
  const auto lists = efi::read_signature_lists(certificate_list(der) + hash_list(2));
  REQUIRE(lists);
  CHECK(lists->certificates == 1);
  CHECK(lists->names == std::vector<std::string>{"Test Signing CA"});
}

TEST_CASE("load options, images and partition tables are read whole or not at all") {
  const std::string option = load_option("debian", disk_path("\\EFI\\debian\\shimx64.efi"));
  CHECK(efi::read_load_option(option)->description == "debian");
  CHECK(efi::read_load_option(option)->path.file == "\\EFI\\debian\\shimx64.efi");
  for (std::size_t size = 0; size < option.size(); ++size)
    CHECK_FALSE(efi::read_load_option(std::string_view(option).substr(0, size)));

  const std::string load = image(disk_path("\\a.efi"));
  CHECK(efi::read_image_load(load)->bytes == 1000);
  for (std::size_t size = 0; size < load.size(); ++size)
    CHECK_FALSE(efi::read_image_load(std::string_view(load).substr(0, size)));
  CHECK_FALSE(efi::read_image_load(image("") + "left by shim")->path);

  const std::string table = partition_table({"EFI system", "root"});
  CHECK(efi::read_partition_table(table)->disk == "2aeb90b6-e13c-4197-8ee2-59e9ed2959dc");
  CHECK(efi::read_partition_table(table)->partitions == std::vector<std::string>{"EFI system", "root"});
  for (std::size_t size = 0; size < table.size(); ++size)
    CHECK_FALSE(efi::read_partition_table(std::string_view(table).substr(0, size)));
  CHECK_FALSE(efi::read_partition_table(table + "x"));
}

}  // namespace vmsec::boot::test

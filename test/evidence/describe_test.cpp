#include "evidence/describe.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "efi_data.hpp"
#include "evidence/event_types.hpp"

namespace vmsec::boot::test {
namespace {

bool says(const std::vector<std::string>& remarks, const std::string& what) {
  return std::ranges::any_of(remarks, [&](const auto& remark) { return remark.find(what) != std::string::npos; });
}

// Describes events with a digest that is of their data, unless another is given.
class Teller {
 public:
  Description operator()(std::uint32_t pcr, EventType type, std::string_view data) {
    return (*this)(pcr, type, data, data);
  }
  Description operator()(std::uint32_t pcr, EventType type, std::string_view data, std::string_view hashed) {
    const std::string digest = type == EventType::no_action ? std::string(32, '\0') : sha256({hashed}).value();
    Event event{0, 0, pcr, static_cast<std::uint32_t>(type), {{Hash::sha256, digest}}, data};
    return describer.describe(event);
  }

  Describer describer{{{Hash::sha256, 32}}};
};

struct Told {
  std::uint32_t pcr;
  EventType type;
  std::string data;
  Part part;
  std::string text;
};

std::vector<Told> firmware_events() {
  const std::string blob = little(std::uint64_t{0x820000}) + little(std::uint64_t{917504});
  const std::string tables = little(std::uint64_t{1}) + guid(kGlobal) + std::string(8, '\0');
  return {
      {0, EventType::no_action, spec_id({{0x000b, 32}}), Part::other, "header of the log, Spec ID Event03"},
      {0, EventType::no_action, std::string("StartupLocality\0\3", 17), Part::firmware, "from locality 3"},
      {0, EventType::no_action, "SP800-155 Event2" + std::string(20, 'x'), Part::other, "reference values"},
      {0, EventType::no_action, "else", Part::other, "informs of \"else\""},
      {0, EventType::separator, std::string(4, '\0'), Part::separator, "separator"},
      {7, EventType::separator, std::string(4, '\xff'), Part::separator, "separator"},
      {12, EventType::separator, "WBCL", Part::separator, "separator \"WBCL\""},
      {4, EventType::efi_action, "Calling EFI Application from Boot Option", Part::action, "\"Calling EFI"},
      {5, EventType::action, "INT 19h", Part::action, "\"INT 19h\""},
      {0, EventType::crtm_version, utf16("v1.2") + std::string(2, '\0'), Part::firmware, "CRTM version \"v1.2\""},
      {0, EventType::crtm_version, guid(kGlobal), Part::firmware, "CRTM version 8be4df61-"},
      {0, EventType::crtm_version, std::string(2, '\0'), Part::firmware, "of no words"},
      {0, EventType::crtm_contents, "Boot Guard Measured S-CRTM", Part::firmware, "CRTM \"Boot Guard"},
      {0, EventType::post_code, "ACPI DATA", Part::firmware, "POST code \"ACPI DATA\""},
      {0, EventType::post_code2, "\4PEI " + blob, Part::firmware, "POST code \"PEI \", 917504 bytes at 0x820000"},
      {0, EventType::firmware_blob, blob, Part::firmware, "firmware 917504 bytes at 0x820000"},
      {2, EventType::firmware_blob2, "\3DXE" + blob, Part::firmware, "firmware \"DXE\", 917504 bytes at 0x820000"},
      {1, EventType::handoff_tables, tables, Part::firmware_setting, "1 table: 8be4df61-"},
      {1, EventType::handoff_tables2, "\6SMBIOS" + tables, Part::firmware_setting, "\"SMBIOS\", 1 table"},
      {1, EventType::cpu_microcode, "rev 5", Part::firmware, "microcode \"rev 5\""},
      {1, EventType::platform_config_flags, "flags", Part::firmware_setting, "platform configuration"},
      {11, EventType::compact_hash, std::string("\x10\0\0\0", 4), Part::other, "compact hash 4 bytes: 10000000"},
      {5, EventType::gpt, partition_table({"EFI system", "root"}), Part::partition_table,
       "2 partitions: EFI system, root"},
      {5, EventType::gpt2, partition_table({}), Part::partition_table, "0 partitions"},
  };
}

std::vector<Told> variable_events() {
  using enum EventType;
  const std::string option = load_option("debian", disk_path("\\EFI\\debian\\shimx64.efi"));
  const std::string owner = guid(kGlobal);
  return {
      {7, variable_driver_config, variable(kGlobal, "SecureBoot", "\1"), Part::secure_boot, "SecureBoot: on"},
      {7, variable_driver_config, variable(kGlobal, "SecureBoot", {"\0", 1}), Part::secure_boot, "SecureBoot: off"},
      {7, variable_driver_config, variable(kGlobal, "SecureBoot", ""), Part::secure_boot, "SecureBoot: none"},
      {7, variable_driver_config, variable(kGlobal, "PK", ""), Part::secure_boot_key, "PK: empty"},
      {7, variable_driver_config, variable(kGlobal, "KEK", hash_list(1)), Part::secure_boot_key, "KEK: 1 hash"},
      {7, variable_driver_config, variable(kImageSecurity, "dbx", hash_list(77)), Part::signature_list,
       "dbx: 77 hashes"},
      {7, variable_driver_config, variable(kShim, "db", "x"), Part::firmware_setting, "db of 605dab50-"},  // no such db
      {1, variable_driver_config, variable(kShim, "Vendor", "x=1"), Part::firmware_setting, "Vendor of 605dab50"},
      {1, variable_boot, variable(kGlobal, "BootOrder", {"\1\0\x1a\0", 4}), Part::firmware_setting,
       "BootOrder: Boot0001 Boot001A"},
      {1, variable_boot, variable(kGlobal, "Boot001A", option), Part::firmware_setting,
       "Boot001A: \"debian\", PciRoot(0x0)/Pci(0x3,0x0)/HD(1,GPT,ef72374c-2630-46a1-88d6-082693781140)/\\EFI\\debian"},
      {1, variable_boot2, variable(kGlobal, "Boot0002", load_option("off", end_of_path(), 0)), Part::firmware_setting,
       "not active"},
      {7, variable_authority, variable(kImageSecurity, "db", owner + std::string(32, 'h')), Part::authority,
       "db: let an image run, by hash 6868"},
      {7, variable_authority, variable(kShim, "SbatLevel", "sbat,1,2021030218\n"), Part::signature_list,
       "SbatLevel: sbat,1,2021030218"},
      {7, variable_authority, variable(kShim, "MokListTrusted", "\1"), Part::signature_list, "MokListTrusted: on"},
  };
}

std::vector<Told> boot_events() {
  using enum EventType;
  const std::string in_firmware = node(4, 7, guid(kGlobal)) + node(4, 6, guid(kShim)) + end_of_path();
  return {
      {4, boot_services_application, image(disk_path("\\EFI\\debian\\shimx64.efi")), Part::boot_loader,
       "\\EFI\\debian\\shimx64.efi, 1000 bytes, of PciRoot(0x0)"},
      {4, boot_services_application, image(disk_path("\\EFI\\Linux\\arch.efi")), Part::kernel,
       "\\EFI\\Linux\\arch.efi"},
      {4, boot_services_application, image(disk_path("\\vmlinuz-linux-lts")), Part::kernel, "\\vmlinuz-linux-lts"},
      {4, boot_services_application, image(disk_path("\\tool.efi")), Part::other, "\\tool.efi"},
      {4, boot_services_application, image(in_firmware), Part::firmware, "Fv(8be4df61"},
      {2, boot_services_driver, image(node(4, 8, std::string(20, '\0')) + end_of_path()), Part::firmware, "Offset("},
      {0, runtime_services_driver, image(""), Part::firmware, "told without a path"},
      {9, event_tag, tagged(0x8f3b22ec, {"Linux initrd\0", 13}), Part::initrd,
       "initrd, by the kernel's stub: Linux initrd"},
      {9, event_tag, tagged(0x8f3b22ed, {"LOADED_IMAGE::LoadOptions\0", 26}), Part::command_line, "command line"},
      {5, ipl, "boot", Part::partition_table, "started from boot"},
      {8, event_tag, tagged(0xf5bc582a, utf16("loader.conf")), Part::boot_loader_setting, "systemd-boot's loader.conf"},
      {13, event_tag, tagged(0x40010001, tagged(0x00070001, utf16("\\winload.efi"))), Part::other,
       "Windows: trust boundary: \\winload.efi"},
      {12, ipl, utf16("root=/dev/vda1 quiet") + std::string(2, '\0'), Part::command_line,
       "command line: root=/dev/vda1"},
      {12, ipl, utf16("Credentials initrd"), Part::initrd, "Credentials initrd"},
      {11, ipl, utf16(".linux") + std::string(2, '\0'), Part::kernel, "unified kernel image, section .linux"},
      {11, ipl, utf16(".cmdline"), Part::command_line, "section .cmdline"},
      {14, ipl, std::string("MokListX\0", 9), Part::signature_list, "shim's MokListX"},
      {14, ipl, std::string("MokSBState\0", 11), Part::secure_boot, "shim's MokSBState"},
      {9, ipl, std::string("grub_linuxefi Initrd\0", 21), Part::initrd, "loaded by GRUB: grub_linuxefi Initrd"},
  };
}

void check(const std::vector<Told>& events) {
  for (const auto& each : events) {
    Teller teller;
    const auto told = teller(each.pcr, each.type, each.data);
    INFO(event_type_name(static_cast<std::uint32_t>(each.type)) << ": " << told.text);
    CHECK(told.part == each.part);
    CHECK(told.text.find(each.text) != std::string::npos);
    for (const auto& remark : told.remarks) FAIL_CHECK(remark);
  }
}

// Each event of the log of a real boot; `change` may change it before.
template <class Change>
std::vector<Description> describe_log(const std::string& log, Change change) {
  auto reader = EventLogReader::open(log).value();
  Describer describer(reader.banks());
  std::vector<Description> all;
  while (auto event = reader.next().value()) {
    change(*event);
    all.push_back(describer.describe(*event));
  }
  CHECK(describer.finish().empty());
  return all;
}

}  // namespace

TEST_CASE("every event of a real boot is described, without a remark") {
  const auto told = describe_log(ovmf_log(), [](Event&) {});
  REQUIRE(told.size() == 25);
  for (const auto& each : told) {
    CHECK_FALSE(each.text.empty());
    for (const auto& remark : each.remarks) FAIL_CHECK(remark);
  }
  CHECK(told[4].part == Part::secure_boot);
  CHECK(told[4].text == "SecureBoot: off");
  CHECK(told[10].part == Part::kernel);  // started by QEMU's own loader
  CHECK(told[21].part == Part::command_line);
  CHECK(told[22].part == Part::initrd);
  CHECK(told[24].text == "\"Exit Boot Services Returned with Success\"");
}

TEST_CASE("what firmware measures is described") { check(firmware_events()); }
TEST_CASE("what variables hold is described") { check(variable_events()); }
TEST_CASE("what boot loaders, kernels and systems measure is described") { check(boot_events()); }

TEST_CASE("data whose digest is of other data is remarked on") {
  std::size_t covered = 0;
  std::string changed;
  for (std::uint32_t number = 1; number < 25; ++number) {
    const auto told = describe_log(ovmf_log(), [&](Event& event) {
      if (event.number != number || event.data.empty()) return;
      changed = std::string(event.data);
      changed.back() = static_cast<char>(changed.back() ^ 1);
      event.data = changed;
    });
    covered += says(told[number].remarks, "its digest is not that of") ? 1 : 0;
  }
  // All but two volumes, the kernel's image, the two of the kernel's stub: their digests are of what the log does not
  // hold.
  CHECK(covered == 24 - 5);
}

TEST_CASE("a type that is unknown or has no place in its PCR is remarked on") {
  Teller teller;
  CHECK(says(teller(3, EventType{0x1234}, "x").remarks, "event type 0x00001234 is not known"));
  CHECK(says(teller(4, EventType::crtm_version, "x").remarks, "EV_S_CRTM_VERSION has no place in PCR 4"));
  CHECK(says(teller(8, EventType::efi_action, "x").remarks, "has no place in PCR 8"));
  CHECK(says(teller(0, EventType::event_tag, tagged(0x8f3b22ec, "")).remarks, "has no place in PCR 0"));
  CHECK(says(teller(9, EventType::event_tag, tagged(0x12345678, "")).remarks, "its tag is not known"));
}

TEST_CASE("an event that hides as information keeps its digest, and is remarked on") {
  Describer describer({{Hash::sha256, 32}});
  const std::string digest(32, 'd');
  const Event event{5, 0, 4, kNoAction, {{Hash::sha256, digest}}, "x"};
  CHECK(says(describer.describe(event).remarks, "EV_NO_ACTION has a digest"));
}

TEST_CASE("malformed data is remarked on") {
  using enum EventType;
  const std::vector<std::pair<EventType, std::string>> kinds{
      {variable_driver_config, variable(kGlobal, "SecureBoot", "\1")},
      {boot_services_application, image(disk_path("\\a.efi"))},
      {gpt, partition_table({"root"})},
      {event_tag, tagged(0x8f3b22ec, "Linux initrd")},
      {handoff_tables, little(std::uint64_t{1}) + guid(kGlobal) + std::string(8, '\0')},
  };
  Teller teller;
  for (const auto& [type, data] : kinds)
    for (std::size_t size = 0; size < data.size(); ++size)
      CHECK(says(teller(9, type, std::string_view(data).substr(0, size)).remarks, "malformed"));
  CHECK(says(teller(7, variable_driver_config, variable(kImageSecurity, "dbx", "x")).remarks, "signature list"));
  CHECK(says(teller(7, variable_driver_config, variable(kGlobal, "SecureBoot", "\2")).remarks, "neither 0 nor 1"));
  CHECK(says(teller(1, variable_boot, variable(kGlobal, "BootOrder", "x")).remarks, "order is malformed"));
  CHECK(says(teller(1, variable_boot, variable(kGlobal, "Boot0000", "x")).remarks, "load option is malformed"));
  CHECK(says(teller(4, boot_services_application, image(node(1, 1, "ab"))).remarks, "device path is malformed"));
}

TEST_CASE("a boot entry's digest may be of its value alone, another variable's not") {
  Teller teller;
  const std::string entry = variable(kGlobal, "BootOrder", {"\1\0", 2});
  CHECK(teller(1, EventType::variable_boot, entry, {"\1\0", 2}).remarks.empty());
  CHECK_FALSE(teller(1, EventType::variable_boot2, entry, {"\1\0", 2}).remarks.empty());
  const std::string secure = variable(kGlobal, "SecureBoot", "\1");
  CHECK_FALSE(teller(7, EventType::variable_driver_config, secure, "\1").remarks.empty());
}

TEST_CASE("bytes that shim leaves behind a variable are not malformed, if its digest is not of others") {
  Teller teller;
  const std::string shim = variable(kShim, "Shim", std::string(40, 'c'));
  CHECK(teller(7, EventType::variable_authority, shim + "123456", shim + "12345").remarks.empty());
  CHECK(says(teller(7, EventType::variable_authority, shim + "123456", shim + "12346").remarks, "its digest"));
}

TEST_CASE("an authority is told by its certificate's name, of db and of shim's own") {
  Teller teller;
  const std::string der = certificate("Test Signing CA");
  const auto by_db = teller(7, EventType::variable_authority, variable(kImageSecurity, "db", guid(kGlobal) + der));
  CHECK(by_db.text == "db: let an image run, by certificate Test Signing CA");
  const auto by_shim = teller(7, EventType::variable_authority, variable(kShim, "Shim", der));
  CHECK(by_shim.text == "Shim: let an image run, by certificate Test Signing CA");
  const auto list = teller(7, EventType::variable_driver_config, variable(kImageSecurity, "db", certificate_list(der)));
  CHECK(list.text == "db: 1 certificate (Test Signing CA)");
  CHECK((by_db.remarks.empty() && by_shim.remarks.empty() && list.remarks.empty()));
}

TEST_CASE("separators: one in each of firmware's PCRs, and no Secure Boot setting behind it") {
  Teller teller;
  const std::string zero(4, '\0');
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr) CHECK(teller(pcr, EventType::separator, zero).remarks.empty());
  CHECK(teller.describer.finish().empty());
  const std::string secure = variable(kGlobal, "SecureBoot", "\1");
  CHECK(says(teller(7, EventType::variable_driver_config, secure).remarks, "behind PCR 7's separator"));
  teller(3, EventType::separator, zero);
  CHECK(teller.describer.finish() == std::vector<std::string>{"PCR 3 has 2 separators, where firmware measures one"});

  Teller few;
  few(0, EventType::separator, zero);
  few(7, EventType::separator, zero);
  CHECK(says(few.describer.finish(), "no separator in PCR 1,2,3,4,5,6"));
  CHECK(says(few(1, EventType::separator, std::string("\1\0\0\0bad", 7)).remarks, "measuring has failed"));
  CHECK(says(few(2, EventType::separator, "what").remarks, "neither 0 nor all ones"));

  Teller none;
  none(14, EventType::ipl, "module");
  CHECK(none.describer.finish().empty());  // not a log of firmware's
}

TEST_CASE("GRUB's words tell which of its files is the kernel, and their digest covers them") {
  Teller teller;
  const auto grub = [&](std::uint32_t pcr, const std::string& text, const std::string& hashed) {
    return teller(pcr, EventType::ipl, text + '\0', hashed);
  };
  teller(4, EventType::boot_services_application, image(disk_path("\\EFI\\debian\\shimx64.efi")));
  CHECK(teller(4, EventType::boot_services_application, image(""), "image").part == Part::boot_loader);  // by shim
  const std::string linux_words = "linux (hd0,gpt2)/odd-name root=/dev/vda2 quiet";
  const auto command = grub(8, "grub_cmd: " + linux_words, linux_words);
  CHECK(command.part == Part::boot_loader_setting);
  CHECK(command.text == "GRUB command: " + linux_words);
  CHECK(command.remarks.empty());
  CHECK(grub(9, "(hd0,gpt2)/odd-name", "file").part == Part::kernel);
  CHECK(teller(4, EventType::boot_services_application, image(""), "image").part == Part::kernel);
  CHECK(grub(8, "kernel_cmdline: /odd-name quiet", "/odd-name quiet").part == Part::command_line);
  grub(8, "grub_cmd: initrd /early.cpio /other", "initrd /early.cpio /other");
  CHECK(grub(9, "(hd0,gpt2)/early.cpio", "file").part == Part::initrd);
  CHECK(grub(9, "/other", "file").part == Part::initrd);
  CHECK(grub(9, "/boot/grub/grub.cfg", "file").part == Part::boot_loader_setting);
  CHECK(teller(4, EventType::boot_services_application, image(""), "image").part == Part::other);
  CHECK(
      says(grub(8, "grub_cmd: linux /vmlinuz quiet", "linux /vmlinuz init=/bin/sh").remarks, "not that of the words"));
  CHECK(says(grub(8, "kernel_cmdline: quiet", "init=/bin/sh").remarks, "not that of the words"));
}

TEST_CASE("what a host says cannot be long, or steer a terminal") {
  Teller teller;
  const auto told = teller(8, EventType::ipl, "grub_cmd: \x1b[2J\n" + std::string(5000, 'x'));
  CHECK(told.text.size() <= 300);
  for (const char c : told.text) CHECK((c >= ' ' && c <= '~'));
}

TEST_CASE("each part has a name of its own") {
  std::vector<std::string_view> names;
  for (int part = 0; part <= static_cast<int>(Part::action); ++part)
    names.push_back(to_string(static_cast<Part>(part)));
  std::ranges::sort(names);
  CHECK(std::ranges::adjacent_find(names) == names.end());
}

}  // namespace vmsec::boot::test

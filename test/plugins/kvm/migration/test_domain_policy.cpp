#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

namespace {

Status check(const std::string& xml, const IncomingPolicy& policy = permissive_policy()) {
  return check_domain(policy, expected_domain(), xml);
}

// The captured domain with something put before `</devices>`, or `</domain>`.
std::string with_device(const std::string& xml) {
  return replaced(data("domain.xml"), "</devices>", xml + "</devices>");
}
std::string with_element(const std::string& xml) {
  return replaced(data("domain.xml"), "</domain>", xml + "</domain>");
}
std::string swapped(const std::string& from, const std::string& to) { return replaced(data("domain.xml"), from, to); }

void check_denied(const std::string& xml, const std::string& where) {
  const auto checked = check(xml);
  REQUIRE_FALSE(checked);
  INFO(checked.error().message);
  CHECK(checked.error().code == Code::denied);
  CHECK(checked.error().message.find(where) != std::string::npos);
  CHECK(checked.error().message.find("km-web") != std::string::npos);
}

}  // namespace

TEST_CASE("the captured domain is accepted") { CHECK(check(data("domain.xml"))); }

TEST_CASE("the captured cookies are accepted") {
  const auto domain = expected_domain();
  const auto prepare = rpc::parse_prepare(captured("prepare").payload());
  CHECK(check_cookie(domain, prepare->cookie, CookieOf::prepare) == prepare->cookie);
  const auto prepared = rpc::parse_prepare_reply(captured("prepare_reply").payload());
  CHECK(check_cookie(domain, prepared->cookie, CookieOf::prepare) == prepared->cookie);
  const auto finished = rpc::parse_finish_reply(captured("finish_reply").payload());
  CHECK(check_cookie(domain, finished->cookie, CookieOf::finish) == finished->cookie);
  CHECK(without_definition(permissive_policy(), domain, finished->cookie) == finished->cookie);
}

TEST_CASE("the definition to keep is taken out of a source's last cookie, the rest is as it was") {
  const auto finish = rpc::parse_finish(captured("finish").payload());
  REQUIRE(finish->cookie.find("<domain") != std::string::npos);
  const auto passed = without_definition(permissive_policy(), expected_domain(), finish->cookie);
  REQUIRE(passed);
  CHECK(passed->back() == '\0');
  CHECK(passed->find("domain") == std::string::npos);
  CHECK(passed->find("/usr/bin/") == std::string::npos);
  CHECK(rpc::cookie_number(*passed, "memory_total") == rpc::cookie_number(finish->cookie, "memory_total"));
  CHECK(check_cookie(expected_domain(), *passed, CookieOf::finish));
  // Left in, it is refused.
  CHECK_FALSE(check_cookie(expected_domain(), finish->cookie, CookieOf::finish));
  SECTION("however many there are") {
    const auto twice = replaced(finish->cookie, "</qemu-migration>", "<domain type='qemu'/></qemu-migration>");
    CHECK(without_definition(permissive_policy(), expected_domain(), twice) == *passed);
  }
  SECTION("also where no domain stands in it") {
    CHECK(without_definition(permissive_policy(), expected_domain(), "") == std::string());
    CHECK_FALSE(without_definition(permissive_policy(), expected_domain(), "<qemu-migration/>"));
  }
}

TEST_CASE("a cookie of prepare that is empty, or does not say what its host can do, is refused") {
  // libvirt 9.0 reads capabilities that are not there, and dies.
  const auto domain = expected_domain();
  const auto of = [&](std::string cookie) { return check_cookie(domain, cookie, CookieOf::prepare); };
  CHECK_FALSE(of(""));
  CHECK_FALSE(of(std::string(1, '\0')));
  const std::string names = "<name>km-web</name><uuid>" + kDomainUuid + "</uuid>";
  CHECK_FALSE(of("<qemu-migration>" + names + "</qemu-migration>" + '\0'));
  CHECK_FALSE(of("<qemu-migration>" + names + "<!--<capabilities/>--></qemu-migration>" + '\0'));
  CHECK(of("<qemu-migration>" + names + "<capabilities/></qemu-migration>" + '\0'));
  CHECK(check_cookie(domain, "", CookieOf::finish));
}

TEST_CASE("a policy that says nothing accepts no disk, kernel, file or tap") {
  const auto policy = IncomingPolicy::from_settings({});
  REQUIRE(policy);
  CHECK(policy->disk_roots.empty());
  CHECK_FALSE(check(data("domain.xml"), *policy));
}

TEST_CASE("programs and host paths beyond the policy are refused") {
  check_denied(swapped("/usr/bin/qemu-system-x86_64", "/usr/bin/env"), "domain/devices/emulator");
  check_denied(swapped("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64 "), "domain/devices/emulator");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "/etc/shadow"), "domain/devices/disk[file]/source/@file");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "/srv/vmsec/disks/../../../etc/shadow"), "plain absolute path");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "/srv/vmsec/disks"), "incoming.disk_roots");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "/srv/vmsec/disks-of-others/a"), "incoming.disk_roots");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "srv/vmsec/disks/a"), "plain absolute path");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "/srv/vmsec/disks//web-b.img"), "plain absolute path");
  check_denied(swapped("/srv/vmsec/disks/web-b.img", "json:{&quot;driver&quot;:&quot;nbd&quot;}"),
               "plain absolute path");
  check_denied(swapped("/srv/vmsec/guest/flat.elf", "/etc/passwd"), "domain/os/kernel");
  check_denied(swapped("<cmdline>", "<initrd>/etc/shadow</initrd><cmdline>"), "domain/os/initrd");
  check_denied(swapped("<cmdline>", "<dtb>/etc/shadow</dtb><cmdline>"), "domain/os/dtb");
  check_denied(swapped("<boot dev='hd'/>", "<loader readonly='yes' type='pflash'>/etc/shadow</loader>"),
               "domain/os/loader");
  check_denied(swapped("<boot dev='hd'/>", "<loader readonly='no' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>"),
               "domain/os/loader/@readonly");
  check_denied(swapped("<boot dev='hd'/>", "<nvram>/etc/shadow</nvram>"), "domain/os/nvram");
  check_denied(swapped("<boot dev='hd'/>", "<nvram template='/etc/shadow'>/var/lib/libvirt/qemu/nvram/x</nvram>"),
               "domain/os/nvram/@template");
  check_denied(swapped("<boot dev='hd'/>", "<acpi><table type='slic'>/etc/shadow</table></acpi>"), "domain/os/acpi");
  check_denied(swapped("/var/log/libvirt/qemu/serial-km-web.log", "/root/.ssh/authorized_keys"),
               "domain/devices/serial[file]/source/@path");
}

TEST_CASE("devices of the host are refused") {
  check_denied(with_device("<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0' slot='2' "
                           "function='0'/></source></hostdev>"),
               "domain/devices/hostdev[pci]");
  check_denied(with_device("<hostdev mode='subsystem' type='usb'/>"), "domain/devices/hostdev[usb]");
  check_denied(with_device("<hostdev mode='capabilities' type='misc'><source><char>/dev/mem</char></source></hostdev>"),
               "domain/devices/hostdev[misc]");
  check_denied(with_device("<interface type='hostdev'><source/></interface>"), "domain/devices/interface[hostdev]");
  check_denied(with_device("<interface type='direct'><source dev='eth0' mode='passthrough'/></interface>"),
               "domain/devices/interface[direct]");
  check_denied(swapped("<backend type='emulator' version='2.0'/>",
                       "<backend type='passthrough'><device path='/dev/tpm0'/></backend>"),
               "domain/devices/tpm/backend[passthrough]");
  check_denied(swapped("device='disk'", "device='lun'"), "domain/devices/disk[file]/@device");
  check_denied(swapped("device='disk'", "device='disk' rawio='yes'"), "domain/devices/disk[file]/@rawio");
  check_denied(with_device("<redirdev bus='usb' type='tcp'/>"), "domain/devices/redirdev[tcp]");
  check_denied(with_device("<smartcard mode='host'/>"), "domain/devices/smartcard");
  check_denied(with_device("<input type='passthrough' bus='virtio'><source evdev='/dev/input/event0'/></input>"),
               "domain/devices/input");
  check_denied(swapped(">/dev/urandom<", ">/dev/sda<"), "domain/devices/rng/backend[random]");
}

TEST_CASE("ways to the host's files, memory and network are refused") {
  check_denied(with_device("<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>"),
               "domain/devices/filesystem");
  check_denied(with_device("<shmem name='x'/>"), "domain/devices/shmem");
  check_denied(with_device("<memory model='nvdimm'><source><path>/etc/shadow</path></source></memory>"),
               "domain/devices/memory");
  check_denied(with_device("<vsock model='virtio'><cid auto='yes'/></vsock>"), "domain/devices/vsock");
  check_denied(with_device("<crypto model='virtio' type='qemu'/>"), "domain/devices/crypto");
  check_denied(with_device("<interface type='user'/>"), "domain/devices/interface[user]");
  check_denied(with_device("<interface type='bridge'><source bridge='br-mgmt'/></interface>"), "incoming.bridges");
  check_denied(with_device("<interface type='network'><source network='default'/></interface>"), "incoming.networks");
  check_denied(with_device("<interface type='vhostuser'><source type='unix' path='/x' mode='client'/></interface>"),
               "domain/devices/interface[vhostuser]");
  check_denied(swapped("<target dev='kmtap0' managed='yes'/>", "<target dev='eth0' managed='yes'/>"),
               "incoming.tap_prefix");
  check_denied(
      swapped("<target dev='kmtap0' managed='yes'/>", "<target dev='kmtap0' managed='yes'/><script path='/srv/x.sh'/>"),
      "domain/devices/interface[ethernet]/script");
  check_denied(with_device("<serial type='unix'><source mode='bind' path='/run/x'/></serial>"),
               "domain/devices/serial[unix]");
  check_denied(with_device("<serial type='tcp'><source mode='connect' host='10.0.0.1' service='1'/></serial>"),
               "domain/devices/serial[tcp]");
  check_denied(with_device("<serial type='dev'><source path='/dev/ttyS0'/></serial>"), "domain/devices/serial[dev]");
  check_denied(with_device("<console type='pipe'><source path='/tmp/x'/></console>"), "domain/devices/console[pipe]");
  check_denied(
      swapped("<channel type='unix'>", "<channel type='unix'><source mode='connect' path='/run/docker.sock'/>"),
      "domain/devices/channel[unix]/source");
  check_denied(with_device("<graphics type='vnc' port='5900' listen='0.0.0.0'/>"), "incoming.listen");
  check_denied(with_device("<graphics type='vnc' socket='/run/x'/>"), "domain/devices/graphics[vnc]/@socket");
  check_denied(with_device("<graphics type='spice'/>"), "domain/devices/graphics[spice]");
  check_denied(swapped("<source type='memfd'/>", "<source type='file'/>"), "domain/memoryBacking/source/@type");
}

TEST_CASE("disks whose content comes from elsewhere are refused") {
  check_denied(with_device("<disk type='network' device='disk'><source protocol='nbd' name='x'/></disk>"),
               "domain/devices/disk[network]");
  check_denied(with_device("<disk type='nvme' device='disk'/>"), "domain/devices/disk[nvme]");
  check_denied(with_device("<disk type='dir' device='disk'><source dir='/'/></disk>"), "domain/devices/disk[dir]");
  check_denied(with_device("<disk type='volume' device='disk'><source pool='p' volume='v'/></disk>"),
               "domain/devices/disk[volume]");
  check_denied(swapped("<backingStore/>",
                       "<backingStore type='file'><format type='raw'/><source file='/etc/shadow'/>"
                       "</backingStore>"),
               "backingStore[file]/source/@file");
  check_denied(swapped("<backingStore/>",
                       "<backingStore type='file'><format type='qcow2'/>"
                       "<source file='/srv/vmsec/disks/base'/><backingStore type='file'><format "
                       "type='raw'/><source file='/etc/shadow'/></backingStore></backingStore>"),
               "backingStore[file]/backingStore[file]/source/@file");
  check_denied(swapped("<backingStore/>", "<backingStore type='network'/>"), "backingStore[network]");
  check_denied(swapped("<backingStore/>", ""), "has no backingStore");
  check_denied(swapped("<backingStore/>", "<backingStore/><mirror type='file'/>"), "disk[file]/mirror");
  check_denied(swapped("type='qcow2'", "type='vvfat'"), "disk[file]/driver/@type");
  check_denied(swapped("name='qemu' type='qcow2'", "name='phy' type='qcow2'"), "disk[file]/driver/@name");
  check_denied(swapped("<source file='/srv/vmsec/disks/web-b.img'/>",
                       "<source file='/srv/vmsec/disks/web-b.img'><dataStore type='file'><source "
                       "file='/etc/shadow'/></dataStore></source>"),
               "disk[file]/source/dataStore");
  check_denied(swapped("<source file='/srv/vmsec/disks/web-b.img'/>",
                       "<source file='/srv/vmsec/disks/web-b.img'><encryption format='luks'/></source>"),
               "disk[file]/source/encryption");
}

TEST_CASE("a chain of backing files within the policy is accepted") {
  CHECK(check(swapped("<backingStore/>",
                      "<backingStore type='file' index='2'><format type='qcow2'/><source "
                      "file='/srv/vmsec/disks/base.qcow2'/><backingStore type='file' index='3'><format type='raw'/>"
                      "<source file='/srv/vmsec/disks/root.img'/><backingStore/></backingStore></backingStore>")));
}

TEST_CASE("extensions of the hypervisor's command line and privileges are refused") {
  check_denied(swapped("<domain type='qemu'>",
                       "<domain type='qemu' "
                       "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"),
               "declares another XML namespace");
  check_denied(with_element("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
                            "<qemu:arg value='-S'/></qemu:commandline>"),
               "belongs to another XML namespace");
  check_denied(with_element("<q:override xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>"),
               "belongs to another XML namespace");
  check_denied(swapped("<domain type='qemu'>", "<domain type='lxc'>"), "domain/@type");
  check_denied(swapped("<domain type='qemu'>", "<domain type='qemu' id='7'>"), "domain/@id");
  check_denied(with_element("<seclabel type='none'/>"), "domain/seclabel[none]");
  check_denied(with_element("<seclabel type='static' model='dac' relabel='no'><label>0:0</label></seclabel>"),
               "domain/seclabel[static]");
  check_denied(with_element("<launchSecurity type='sev'/>"), "domain/launchSecurity");
  check_denied(with_element("<idmap/>"), "domain/idmap");
  check_denied(with_element("<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>"),
               "domain/sysinfo[fwcfg]");
  check_denied(with_element("<keywrap/>"), "domain/keywrap");
  check_denied(swapped("<partition>/machine<", "<partition>/../other<"), "domain/resource/partition");
}

TEST_CASE("another domain is refused") {
  check_denied(swapped("5f08b624", "5f08b625"), "domain/uuid");
  check_denied(swapped("<name>km-web<", "<name>km-other<"), "domain/name");
  check_denied(swapped("<name>km-web</name>", ""), "exactly one name and one UUID");
  check_denied(swapped("<name>km-web</name>", "<name>km-web</name><name>km-web</name>"),
               "exactly one name and one UUID");
  check_denied(with_element("<uuid>" + kDomainUuid + "</uuid>"), "exactly one name and one UUID");
}

TEST_CASE("tricks of XML itself are refused") {
  check_denied("<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/shadow'>]>" + data("domain.xml"), "document type");
  check_denied(swapped("<title>", "<?php x?><title>"), "neither element nor text");
  check_denied("<?xml-stylesheet href='x'?>" + data("domain.xml"), "beside the root element");
  check_denied("<?xml version='1.0' encoding='ISO-8859-1'?>" + data("domain.xml"), "not UTF-8");
  check_denied(swapped("<devices>", "<devices>text"), "holds text");
  const auto unknown = swapped("</devices>", "<emulator>&x;</emulator></devices>");
  CHECK(check(unknown).error().code == Code::invalid_argument);
}

TEST_CASE("what is no XML, or too much of it, is an error and no crash") {
  const std::string whole = data("domain.xml");
  for (std::size_t size = 0; size + 2 < whole.size(); size += 7) CHECK_FALSE(check(whole.substr(0, size)));
  CHECK_FALSE(check(""));
  CHECK_FALSE(check(std::string(64, '\0')));
  CHECK_FALSE(check(std::string(2 << 20, 'x')));
  CHECK_FALSE(check("<network/>"));
  CHECK_FALSE(check(std::string("<domain>\0</domain>", 18)));
  std::string deep = "<domain type='qemu'>";
  for (int i = 0; i < 200; ++i) deep += "<devices>";
  CHECK_FALSE(check(deep));
}

TEST_CASE("what lies below a root is a regular file, and no link leads there") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("vmsec-policy-kinds-" + std::to_string(::getpid()));
  fs::create_directories(root / "disks" / "folder");
  std::ofstream(root / "disks" / "a.img") << "disk";
  fs::create_symlink("a.img", root / "disks" / "link.img");
  fs::create_directory_symlink("folder", root / "disks" / "way");
  REQUIRE(::mkfifo((root / "disks" / "fifo").c_str(), 0600) == 0);
  auto policy = permissive_policy();
  policy.disk_roots.push_back((root / "disks").string());
  policy.kernel_roots.push_back((root / "disks").string());
  const auto at = [&](const std::string& from, const std::string& name) {
    const auto checked = check(swapped(from, (root / "disks" / name).string()), policy);
    return checked ? std::string("accepted") : checked.error().message;
  };
  const std::string disk = "/srv/vmsec/disks/web-b.img";
  CHECK(at(disk, "a.img") == "accepted");
  CHECK(at(disk, "not-yet.img") == "accepted");
  CHECK(at(disk, "link.img").find("is a symbolic link") != std::string::npos);
  CHECK(at(disk, "way/a.img").find("leads through a symbolic link") != std::string::npos);
  CHECK(at(disk, "folder").find("is a folder") != std::string::npos);
  CHECK(at(disk, "fifo").find("is a pipe or a socket") != std::string::npos);
  // What packages bring has links of its own.
  CHECK(at("/srv/vmsec/guest/flat.elf", "link.img") == "accepted");
  CHECK(at("/srv/vmsec/guest/flat.elf", "fifo").find("not a regular file") != std::string::npos);
  fs::remove_all(root);
}

TEST_CASE("a device is no disk's file, and a disk's device is a block device of /dev") {
  auto policy = permissive_policy();
  policy.disk_roots = {"/srv/vmsec/disks", "/dev"};
  CHECK(check(swapped("/srv/vmsec/disks/web-b.img", "/dev/null"), policy).error().message.find("is a device") !=
        std::string::npos);
  const std::string disk =
      "<disk type='file' device='disk'>\n      <driver name='qemu' type='raw' cache='none'/>\n"
      "      <source file='/srv/vmsec/disks/web-b.img'/>";
  const auto block = [&](const std::string& path) {
    return check(
        swapped(disk, "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='" + path + "'/>"),
        policy);
  };
  CHECK(block("/dev/null").error().message.find("not a block device") != std::string::npos);
  CHECK(block("/srv/vmsec/disks/not-there"));
  // Made below a root that is not /dev: names this host's own device, wherever it lies.
  const auto node = std::filesystem::temp_directory_path() / ("vmsec-node-" + std::to_string(::getpid()));
  if (::mknod(node.c_str(), S_IFBLK | 0600, makedev(7, 0)) != 0) {
    WARN("no block device can be made here");
    return;
  }
  policy.disk_roots.push_back(node.parent_path().string());
  const auto made = block(node.string());
  std::filesystem::remove(node);
  REQUIRE_FALSE(made);
  CHECK(made.error().message.find("outside of /dev") != std::string::npos);
}

TEST_CASE("a symbolic link does not lead out of a root") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("vmsec-policy-" + std::to_string(::getpid()));
  fs::create_directories(root / "disks");
  fs::create_symlink("/etc", root / "disks" / "out");
  auto policy = permissive_policy();
  policy.disk_roots.push_back((root / "disks").string());
  const auto at = [&](const std::string& path) { return check(swapped("/srv/vmsec/disks/web-b.img", path), policy); };
  CHECK(at((root / "disks" / "a.img").string()));
  const auto out = at((root / "disks" / "out" / "shadow").string());
  fs::remove_all(root);
  REQUIRE_FALSE(out);
  CHECK(out.error().message.find("incoming.disk_roots") != std::string::npos);
}

TEST_CASE("metadata is nobody's business here") {
  CHECK(check(swapped("<metadata>", "<metadata><a:b xmlns:a='urn:x'><c d='/etc/shadow'/></a:b>")));
}

TEST_CASE("a message shows no password and no control character") {
  const auto checked = check(with_device("<graphics type='vnc' passwd='s3cret' socket='/x'/>"));
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message.find("s3cret") == std::string::npos);
  const auto odd = check(swapped("/srv/vmsec/disks/web-b.img", "/a&#10;b"));
  REQUIRE_FALSE(odd);
  CHECK(odd.error().message.find('\n') == std::string::npos);
}

TEST_CASE("settings that name no policy, or a root that is none, are refused") {
  CHECK_FALSE(IncomingPolicy::from_settings({{"incoming.disk_root", "/srv"}}));
  CHECK_FALSE(IncomingPolicy::from_settings({{"incoming.disk_roots", "/"}}));
  CHECK_FALSE(IncomingPolicy::from_settings({{"incoming.disk_roots", "srv"}}));
  const auto policy = IncomingPolicy::from_settings({{"incoming.disk_roots", " /a , /b/c,"}, {"uri", "x"}});
  REQUIRE(policy);
  CHECK(policy->disk_roots == std::vector<std::string>{"/a", "/b/c"});
}

TEST_CASE("cookies with more than a migration needs are refused") {
  const auto whole = rpc::parse_prepare(captured("prepare").payload())->cookie;
  const auto checked = [&](const std::string& from, const std::string& to) {
    return check_cookie(expected_domain(), replaced(whole, from, to), CookieOf::prepare);
  };
  CHECK(checked("</qemu-migration>", "<statistics><x>1</x></statistics></qemu-migration>"));
  CHECK_FALSE(checked("</qemu-migration>", "<nbd port='1'/></qemu-migration>"));
  CHECK_FALSE(
      checked("</qemu-migration>", "<lockstate driver='sanlock'><leases>x</leases></lockstate></qemu-migration>"));
  CHECK_FALSE(checked("</qemu-migration>", "<blockDirtyBitmaps/></qemu-migration>"));
  CHECK_FALSE(checked("</qemu-migration>", "<domain type='qemu'/></qemu-migration>"));
  CHECK_FALSE(checked("</qemu-migration>", "<statistics><x><y/></x></statistics></qemu-migration>"));
  CHECK_FALSE(checked("<name>km-web<", "<name>km-other<"));
  CHECK_FALSE(check_cookie(expected_domain(), "<qemu-migration/>", CookieOf::finish));
}

TEST_CASE("a chain of backing files that is left open anywhere is refused") {
  const std::string link =
      "<backingStore type='file'><format type='qcow2'/><source file='/srv/vmsec/disks/base.qcow2'/>";
  check_denied(swapped("<backingStore/>", link + "</backingStore>"), "backingStore[file]: has no backingStore");
  check_denied(swapped("<backingStore/>", link + link + "</backingStore></backingStore>"),
               "backingStore[file]/backingStore[file]: has no backingStore");
  check_denied(swapped("<backingStore/>", link + link + link + "</backingStore></backingStore></backingStore>"),
               "has no backingStore");
  // The first closed and the second open: libvirt reads one of them.
  check_denied(swapped("<backingStore/>", "<backingStore/>" + link + "</backingStore>"), "has no backingStore");
  check_denied(swapped("<backingStore/>", link + "<backingStore/></backingStore><backingStore/>"),
               "more than one backingStore");
  check_denied(
      swapped("<backingStore/>", "<backingStore type='file'><format type='raw'/><backingStore/></backingStore>"),
      "names no file");
  check_denied(swapped("<source file='/srv/vmsec/disks/web-b.img'/>",
                       "<source file='/srv/vmsec/disks/web-b.img'/><source file='/srv/vmsec/disks/web-c.img'/>"),
               "more than one source");
  check_denied(swapped("<driver name='qemu' type='raw' cache='none'/>",
                       "<driver name='qemu' type='raw'/><driver name='qemu' type='qcow2'/>"),
               "more than one driver");
}

TEST_CASE("a guest cannot have this host write files, nor start programs") {
  check_denied(swapped("action='reset'", "action='dump'"), "domain/devices/watchdog/@action");
  for (const std::string action : {"coredump-destroy", "coredump-restart"})
    check_denied(swapped("<on_crash>destroy<", "<on_crash>" + action + "<"), "domain/on_crash");
  CHECK(check(swapped("<on_crash>destroy<", "<on_crash>restart<")));
  check_denied(swapped("<video>", "<video><driver name='vhostuser'/>"), "domain/devices/video/driver/@name");
  CHECK(check(swapped("<video>", "<video><driver name='qemu'/>")));
}

TEST_CASE("a firmware's variables are the domain's own file") {
  const auto with = [](const std::string& file) {
    return swapped("<boot dev='hd'/>", "<nvram>/var/lib/libvirt/qemu/nvram/" + file + "</nvram><boot dev='hd'/>");
  };
  CHECK(check(with("km-web_VARS.fd")));
  CHECK(check(with(kDomainUuid + "_VARS.fd")));
  for (const std::string file : {"km-other_VARS.fd", "xkm-web_VARS.fd", "km-web_VARS.fd2", "km-web"})
    check_denied(with(file), "is not the file of this domain");
}

TEST_CASE("a TPM is swtpm's, of a model that its state moves with") {
  const std::string tpm = "<tpm model='tpm-crb'>\n      <backend type='emulator' version='2.0'/>";
  CHECK(check(swapped(tpm, "<tpm model='tpm-tis'><backend type='emulator' version='2.0' persistent_state='yes'/>")));
  check_denied(swapped("<tpm model='tpm-crb'>", "<tpm model='spapr-tpm-proxy'>"), "domain/devices/tpm/@model");
  check_denied(swapped(tpm,
                       "<tpm model='tpm-crb'><backend type='emulator' version='2.0'><encryption "
                       "secret='0b1c1b3e-4b1b-4b1b-8b1b-0b1c1b3e4b1b'/></backend>"),
               "domain/devices/tpm/backend[emulator]/encryption");
  check_denied(
      swapped(tpm, "<tpm model='tpm-crb'><backend type='external'><source type='unix' path='/run/x'/></backend>"),
      "domain/devices/tpm/backend[external]");
  check_denied(swapped("version='2.0'", "version='2.0' debug='1'"), "domain/devices/tpm/backend[emulator]/@debug");
}

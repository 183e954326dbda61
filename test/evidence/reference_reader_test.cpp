#include "evidence/reference_reader.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "evidence/digest_set.hpp"

namespace vmsec::boot::test {
namespace {

class File {
 public:
  File() : path_(std::filesystem::temp_directory_path() / ("vmsec-reference-" + std::to_string(::getpid()))) {}
  ~File() { remove(); }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string reference(char digit) { return "pcrs = [4]\n[pcr.4]\nvalues = [\"" + std::string(64, digit) + "\"]\n"; }

std::string value_in(const Reference& reference) { return reference.pcrs.at(4).values.at(0); }

}  // namespace

TEST_CASE("a reference is parsed once, and anew as soon as a byte of its file has changed") {
  const File file;
  ReferenceReader reader;
  file.write(reference('1'));
  const auto first = reader.read(file.path()).value();
  CHECK(value_in(*first) == std::string(32, '\x11'));
  CHECK(reader.read(file.path()).value() == first);
  file.write(reference('2'));
  CHECK(value_in(**reader.read(file.path())) == std::string(32, '\x22'));
  CHECK(value_in(*first) == std::string(32, '\x11'));
}

TEST_CASE("a reference that cannot be read or parsed any more is not replaced by what it was") {
  const File file;
  ReferenceReader reader;
  file.write(reference('1'));
  REQUIRE(reader.read(file.path()));
  file.write("pcrs = 0\n");
  CHECK_FALSE(reader.read(file.path()));
  CHECK_FALSE(reader.read(file.path()));
  file.remove();
  CHECK_FALSE(reader.read(file.path()));
  file.write(reference('1'));
  CHECK(reader.read(file.path()));
}

TEST_CASE("a digest is found in whatever order and number, and no other is") {
  const std::vector<std::string> digests{"c", "a", "b", "a"};
  DigestSet known(digests);
  for (const char* each : {"c", "a", "b", "a", "a", "a", "c", "b", "b"}) CHECK(known.contains(each));
  for (const char* each : {"", "d", "ab", "A"}) CHECK_FALSE(known.contains(each));
  CHECK(known.contains("a"));
  const std::vector<std::string> none;
  CHECK_FALSE(DigestSet(none).contains(""));
}

}  // namespace vmsec::boot::test

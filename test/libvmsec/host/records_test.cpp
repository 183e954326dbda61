#include <sys/stat.h>

#include <thread>

#include "host/records_service.hpp"
#include "libvmsec/identity/cloud.hpp"

namespace vmsec::test {
namespace {

struct Store {
  TempDir dir;
  std::string folder = dir.path() / "records.toy";
  host::RecordsService records{folder};
};

}  // namespace

TEST_CASE("a record is what was put last, also to whoever opens the folder next") {
  Store store;
  CHECK(store.records.put({"a", "one"}));
  CHECK(store.records.put({"a", std::string("two\0\xff", 5)}));
  CHECK(good(store.records.get({"a"})).value == std::string("two\0\xff", 5));
  host::RecordsService again(store.folder);
  CHECK(good(again.get({"a"})).value.size() == 5);
}

TEST_CASE("records are listed by prefix, in order, without what is being written") {
  Store store;
  for (const char* key : {"b.2", "a", "b.1"}) CHECK(store.records.put({key, key}));
  spit(fs::path(store.folder) / ".new", "torn");
  const auto list = good(store.records.list({"b."}));
  REQUIRE(list.records.size() == 2);
  CHECK(list.records[0].key == "b.1");
  CHECK(list.records[1].value == "b.2");
  CHECK(good(store.records.list({""})).records.size() == 3);
  Store none;
  CHECK(good(none.records.list({""})).records.empty());
}

TEST_CASE("a removed record is gone; removing none succeeds") {
  Store store;
  CHECK(store.records.put({"a", "one"}));
  CHECK(store.records.remove({"a"}));
  CHECK(store.records.remove({"a"}));
  CHECK(code_of(store.records.get({"a"})) == Code::not_found);
}

TEST_CASE("a key leads out of the folder in no way") {
  Store store;
  for (const std::string& key : {std::string(), std::string("."), std::string(".."), std::string("../x"),
                                 std::string("a/b"), std::string(".new"), std::string("a\0b", 3), std::string("a b"),
                                 std::string(129, 'k'), std::string("\xc3\xa4")}) {
    INFO(key);
    CHECK(code_of(store.records.put({key, "x"})) == Code::invalid_argument);
    CHECK(code_of(store.records.get({key})) == Code::invalid_argument);
    CHECK(code_of(store.records.remove({key})) == Code::invalid_argument);
  }
  CHECK(store.records.put({std::string(128, 'k'), "x"}));
}

TEST_CASE("a symbolic link in the folder is not followed") {
  Store store;
  CHECK(store.records.put({"a", "one"}));
  spit(store.dir.path() / "secret", "secret");
  fs::create_symlink(store.dir.path() / "secret", fs::path(store.folder) / "link");
  CHECK(code_of(store.records.get({"link"})) == Code::io);
  fs::create_symlink(store.dir.path() / "secret", fs::path(store.folder) / ".new");
  CHECK(code_of(store.records.put({"b", "x"})) == Code::io);
  CHECK(slurp(store.dir.path() / "secret") == "secret");
  CHECK(good(store.records.get({"a"})).value == "one");
}

TEST_CASE("a value beyond 1 MiB is refused and the old one stays") {
  Store store;
  CHECK(store.records.put({"a", std::string(1 << 20, 'x')}));
  CHECK(code_of(store.records.put({"a", std::string((1 << 20) + 1, 'y')})) == Code::limit_exceeded);
  CHECK(good(store.records.get({"a"})).value.front() == 'x');
  spit(fs::path(store.folder) / "big", std::string((1 << 20) + 1, 'z'));
  CHECK(code_of(store.records.get({"big"})) == Code::limit_exceeded);
}

TEST_CASE(
    "a module keeps no more bytes and records than its quotas, whose names it is told, and those of another run "
    "count") {
  Store store;
  host::RecordsService few(store.folder, {Bytes{1 << 20}, 3});
  CHECK(few.put({"a", "one"}));
  CHECK(few.put({"b", "two"}));
  CHECK(few.put({"c", "three"}));
  const auto fourth = few.put({"d", "four"});
  CHECK(code_of(fourth) == Code::limit_exceeded);
  CHECK_THAT(message_of(fourth), Catch::Contains("record_count of 3"));
  CHECK(few.put({"a", "one again"}));
  CHECK(few.remove({"c"}));
  CHECK(few.put({"d", std::string((1 << 20) - 100, 'x')}));
  const auto large = few.put({"b", std::string(100, 'x')});
  CHECK(code_of(large) == Code::limit_exceeded);
  CHECK_THAT(message_of(large), Catch::Contains("quota records of 1 MiB"));
  CHECK(good(few.get({"b"})).value == "two");
  host::RecordsService again(store.folder, {Bytes{1 << 20}, 3});
  CHECK(code_of(again.put({"b", std::string(100, 'x')})) == Code::limit_exceeded);
  CHECK(again.put({"d", "small"}));
  CHECK(again.put({"b", std::string(100, 'x')}));
}

TEST_CASE("a quota that was made smaller lets what is kept shrink") {
  Store store;
  CHECK(store.records.put({"a", std::string(1000, 'x')}));
  CHECK(store.records.put({"b", std::string(1000, 'x')}));
  host::RecordsService smaller(store.folder, {Bytes{100}, 1});
  CHECK(code_of(smaller.put({"a", std::string(1001, 'x')})) == Code::limit_exceeded);
  CHECK(smaller.put({"a", std::string(999, 'x')}));
}

TEST_CASE("records are this user's alone") {
  Store store;
  CHECK(store.records.put({"a", "one"}));
  struct stat found{};
  REQUIRE(::stat(store.folder.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0700);
  REQUIRE(::stat((store.folder + "/a").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a record that cannot be written is an error that names it") {
  Store store;
  fs::create_directories(fs::path(store.folder) / "a" / "b");
  const auto put = store.records.put({"a", "one"});
  CHECK(code_of(put) == Code::io);
  CHECK_THAT(message_of(put), Catch::Contains("put record a"));
  spit(store.dir.path() / "file", "");
  host::RecordsService no_folder(store.dir.path() / "file");
  CHECK(code_of(no_folder.put({"a", "one"})) == Code::io);
}

TEST_CASE("threads that put and list see whole records") {
  Store store;
  CHECK(store.records.put({"a", std::string(1000, '0')}));
  std::jthread writer([&] {
    for (char c = '0'; c <= '9'; ++c) std::ignore = store.records.put({"a", std::string(1000, c)});
  });
  for (int i = 0; i < 20; ++i) {
    const auto list = good(store.records.list({""}));
    REQUIRE(list.records.size() == 1);
    const std::string& value = list.records[0].value;
    CHECK(value == std::string(1000, value.front()));
  }
}

}  // namespace vmsec::test

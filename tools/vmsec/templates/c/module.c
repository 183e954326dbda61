/* my_module: asked by "vmsec inspect my_module VM", it says what it finds in a VM.
 * The messages are those of vmsec's .proto files, installed in share/vmsec/proto: the numbers
 * below are their fields'; a method's is its place in its service, from 1. */
#include <vmsec/module.h>

enum { kMostVcpus = 1024, kRequest = 256, kReport = 64 << 10 };

struct my_module {
  vmsec_host host;
  uint64_t domains; /* the handle of vmsec.DomainControl */
  uint64_t most_vcpus;
};

/* vmsec.Setting: path 1, type 2 (2: an integer), integer 4. */
static int read_setting(vmsec_bytes message, uint64_t* most_vcpus, vmsec_reply* reply) {
  vmsec_reader reader = vmsec_reader_of(message);
  vmsec_bytes path = {NULL, 0};
  uint64_t type = 0, value = 0;
  vmsec_field field;
  while (vmsec_read(&reader, &field)) {
    if (field.number == 1) path = field.bytes;
    if (field.number == 2) type = field.value;
    if (field.number == 4) value = field.value;
  }
  if (!reader.malformed && vmsec_equal(path, "most_vcpus") && type == 2 && value >= 1 && value <= kMostVcpus) {
    *most_vcpus = value;
    return 1;
  }
  vmsec_fail(reply, VMSEC_INVALID_ARGUMENT, "%.*s: my_module wants most_vcpus, an integer of 1 to %d", (int)path.size,
             (const char*)path.data, kMostVcpus);
  return 0;
}

/* vmsec.Settings: each Setting is field 1. */
static int read_settings(vmsec_bytes message, uint64_t* most_vcpus, vmsec_reply* reply) {
  vmsec_reader reader = vmsec_reader_of(message);
  vmsec_field field;
  while (vmsec_read(&reader, &field))
    if (field.number == 1 && !read_setting(field.bytes, most_vcpus, reply)) return 0;
  if (reader.malformed) vmsec_fail(reply, VMSEC_INVALID_ARGUMENT, "my_module: malformed settings");
  return !reader.malformed;
}

/* Once, when the host loads the module. */
static void create(const vmsec_host* host, const void* configuration, size_t size, void** instance,
                   vmsec_reply* reply) {
  vmsec_writer nothing = vmsec_writer_of(0);
  struct my_module* module = calloc(1, sizeof *module);
  *instance = NULL;
  if (module == NULL) {
    vmsec_fail(reply, VMSEC_INTERNAL, "my_module: no memory");
    return;
  }
  module->host = *host;
  module->most_vcpus = 4;
  if (!read_settings(vmsec_bytes_of(configuration, size), &module->most_vcpus, reply) ||
      !vmsec_open(host, "vmsec.DomainControl", &module->domains, reply)) {
    free(module);
    return;
  }
  *instance = module;
  vmsec_answer(reply, &nothing);
}

/* vmsec.InspectionReport: an Observation (severity 1, subject 2, message 3) is field 1. */
static void write_observation(vmsec_writer* report, uint64_t vcpus, uint64_t most) {
  char text[128];
  const size_t begin = vmsec_write_begin(report, 1);
  snprintf(text, sizeof text, "it has %llu, more than %llu", (unsigned long long)vcpus, (unsigned long long)most);
  vmsec_write_number(report, 1, 1); /* a warning */
  vmsec_write_text(report, 2, "vCPUs");
  vmsec_write_text(report, 3, text);
  vmsec_write_end(report, begin);
}

/* A Measurement (what 1, value 2) is field 2. */
static void write_measurement(vmsec_writer* report, const char* what, uint64_t value, const char* unit) {
  char text[64];
  const size_t begin = vmsec_write_begin(report, 2);
  snprintf(text, sizeof text, "%llu%s", (unsigned long long)value, unit);
  vmsec_write_text(report, 1, what);
  vmsec_write_text(report, 2, text);
  vmsec_write_end(report, begin);
}

/* vmsec.DomainInfo: vcpus 4, memory 5. */
static void report_on(vmsec_bytes info, uint64_t most_vcpus, vmsec_reply* reply) {
  vmsec_writer report = vmsec_writer_of(kReport);
  vmsec_reader reader = vmsec_reader_of(info);
  uint64_t vcpus = 0, memory = 0;
  vmsec_field field;
  while (vmsec_read(&reader, &field)) {
    if (field.number == 4) vcpus = field.value;
    if (field.number == 5) memory = field.value;
  }
  if (vcpus > most_vcpus) write_observation(&report, vcpus, most_vcpus);
  write_measurement(&report, "vCPUs", vcpus, "");
  write_measurement(&report, "memory", memory >> 20, " MiB");
  vmsec_answer(reply, &report);
}

/* vmsec.InspectionTarget: domain 1, wanted 2. */
static void inspect(struct my_module* module, vmsec_bytes target, vmsec_reply* reply) {
  vmsec_reader reader = vmsec_reader_of(target);
  vmsec_writer request = vmsec_writer_of(kRequest);
  vmsec_bytes domain = {NULL, 0};
  uint64_t most_vcpus = module->most_vcpus;
  vmsec_reply info;
  vmsec_field field;
  while (vmsec_read(&reader, &field)) {
    if (field.number == 1) domain = field.bytes;
    if (field.number == 2 && !read_settings(field.bytes, &most_vcpus, reply)) return;
  }
  vmsec_write_bytes(&request, 1, domain);
  if (!vmsec_host_call(&module->host, module->domains, 2, &request, &info)) { /* DomainControl.Get */
    *reply = info; /* the host's error, and its memory: ours to pass on */
    return;
  }
  report_on(vmsec_bytes_of(info.data, info.data_size), most_vcpus, reply);
  vmsec_reply_drop(&info);
}

/* Any thread, also several at once. */
static void call(void* instance, const vmsec_call* asked, vmsec_reply* reply) {
  size_t i;
  for (i = 0; i < asked->fd_count; ++i) close(asked->fds[i]); /* ours, whatever we answer */
  if (vmsec_equal(vmsec_bytes_of(asked->interface_name, asked->interface_name_size), "vmsec.Inspection") &&
      asked->method == 1)
    inspect(instance, vmsec_bytes_of(asked->data, asked->data_size), reply);
  else
    vmsec_fail(reply, VMSEC_UNSUPPORTED, "my_module has no such method");
}

static void destroy(void* instance) { free(instance); }

VMSEC_C_MODULE(create, call, destroy,
               "name = \"my_module\"\n"
               "version = \"0.1\"\n"
               "summary = \"Looks at a VM's size\"\n"
               "provides = [\"vmsec.Inspection\"]\n"
               "needs = [\"vmsec.DomainControl\"]\n");

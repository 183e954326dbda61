// Marks what libvmsec exports; everything else stays inside of it.
#pragma once

#define VMSEC_EXPORT __attribute__((visibility("default")))

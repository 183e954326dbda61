// XML element by element, escaped.
#pragma once

#include <libxml/xmlwriter.h>

#include <memory>
#include <string>
#include <string_view>

#include "policy_xml.hpp"

namespace vmsec::kvm {

// Closes an element at the end of its scope.
class XmlWriter {
 public:
  class Element {
   public:
    Element(XmlWriter& writer, const char* name) : writer_(writer.writer_.get()) {
      xmlTextWriterStartElement(writer_, bytes(name));
    }
    ~Element() { xmlTextWriterEndElement(writer_); }
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;
    Element& with(const char* name, const std::string& value) {
      xmlTextWriterWriteAttribute(writer_, bytes(name), bytes(value.c_str()));
      return *this;
    }
    void text(const std::string& value) { xmlTextWriterWriteString(writer_, bytes(value.c_str())); }

   private:
    xmlTextWriter* writer_;
  };

  XmlWriter() : buffer_(xmlBufferCreate()), writer_(xmlNewTextWriterMemory(buffer_.get(), 0)) {
    xmlTextWriterSetIndent(writer_.get(), 1);
    xmlTextWriterSetIndentString(writer_.get(), bytes("  "));
  }
  Element element(const char* name) { return Element(*this, name); }
  void element(const char* name, const std::string& text) { Element(*this, name).text(text); }
  // What was written. No element may be open.
  [[nodiscard]] std::string take() {
    xmlTextWriterFlush(writer_.get());
    return std::string(view(xmlBufferContent(buffer_.get())));
  }

 private:
  struct FreeBuffer {
    void operator()(xmlBuffer* buffer) const { xmlBufferFree(buffer); }
  };
  struct FreeWriter {
    void operator()(xmlTextWriter* writer) const { xmlFreeTextWriter(writer); }
  };
  static const xmlChar* bytes(const char* text) { return reinterpret_cast<const xmlChar*>(text); }

  std::unique_ptr<xmlBuffer, FreeBuffer> buffer_;
  std::unique_ptr<xmlTextWriter, FreeWriter> writer_;
};

}  // namespace vmsec::kvm
